"""A tuned model that answers: what it says of clips, in the words of its targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audiorig.config import ClipConfig
from audiorig.data.stretches import read_clip
from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.models.answers import Decision, answers_of
from audiorig.models.tuner import SpeechTuner

READING = ("max_sec", "trim_dbfs", "level")  # of the settings of clips, what is true of any clip


class Prediction(NamedTuple):
    """What is said of one target of a clip.

    Attributes:
        answer: the class; yes or no; of a rating the step that is to be expected, on its scale.
        probabilities: of each class, of no and yes, or of each step, adding up to 1.
    """

    answer: str | float
    probabilities: dict[str, float]


class Bundle:
    """A tuned model that answers.

    Args:
        model: on the CPU, in evaluation mode.
        about: what bundle.json says.

    Attributes:
        targets: what it answers.
        sample_rate_hz: of the waveforms that it takes.
    """

    def __init__(self, model: SpeechTuner, about: Mapping[str, Any]) -> None:
        self.model, self.about = model, about
        self.targets: tuple[Target, ...] = tuple(model.targets)
        self.sample_rate_hz: int = model.encoder.sample_rate_hz
        self._decisions = {name: Decision.from_dict(plain) for name, plain in about["thresholds"].items()}
        reading = {name: about["reading"][name] for name in READING}
        self._clips = ClipConfig.model_validate({"corpus": "clips", "split": "all", **reading})

    def predict(
        self, waveforms: Sequence[NDArray[np.float32]] | Tensor, lengths: Tensor | None = None
    ) -> list[dict[str, Prediction]]:
        """Answers to clips that were read as in training, by target.

        Args:
            waveforms: float32 (T,) each, in [-1, 1], at ``sample_rate_hz``; or (B, T), padded.
            lengths: int64 (B,), samples of each clip of a padded batch; all of T if not given.

        Raises:
            DataError: if a clip is shorter than a frame of the encoder.
        """
        if isinstance(waveforms, Tensor):
            waveform = waveforms
            lengths = torch.full((len(waveform),), waveform.shape[1]) if lengths is None else lengths
        else:
            clips = [torch.as_tensor(each, dtype=torch.float32) for each in waveforms]
            waveform, lengths = pad_sequence(clips, batch_first=True), torch.tensor([len(each) for each in clips])
        with torch.inference_mode():
            logits = self.model(waveform, lengths).logits
        answers = {
            target.name: _predictions(target, logits[target.name].numpy(), self._decisions.get(target.name))
            for target in self.targets
        }
        return [dict(zip(answers, each, strict=True)) for each in zip(*answers.values(), strict=True)]

    def predict_file(self, path: Path) -> dict[str, Prediction]:
        """Answers to a file, read as the clips of dev and test were.

        Raises:
            DataError: if it cannot be read, or is shorter than a frame of the encoder.
        """
        samples = read_clip(path, self._clips, self.sample_rate_hz)
        if not self.model.encoder.num_frames(len(samples)):
            raise DataError(f"{path}: found {len(samples)} samples to hear, expected a frame of the encoder or more")
        return self.predict([samples])[0]


def _predictions(target: Target, logits: NDArray[np.float32], decision: Decision | None) -> list[Prediction]:
    """Of one target, for (B, O) logits."""
    predicted, probabilities = answers_of(target, logits, decision)
    if target.kind == "binary":
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    elif target.kind == "rating":  # above each step but the last: what lies between two of them is a step's
        edges = np.ones((len(logits), 1))
        probabilities = -np.diff(np.concatenate([edges, probabilities, 0 * edges], axis=1), axis=1)
    said: Sequence[str | float] = [target.answers[int(each)] for each in predicted]
    if target.kind == "rating":
        said = np.interp(predicted, np.arange(len(target.steps)), target.steps).tolist()
    return [
        Prediction(answer, dict(zip(target.answers, each, strict=True)))
        for answer, each in zip(said, probabilities.tolist(), strict=True)
    ]
