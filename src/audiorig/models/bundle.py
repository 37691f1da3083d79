"""A bundle: what a run has learnt, in a small folder that answers.

    bundle.json          what it is, and how it wants its clips: plain, to be read
    head.safetensors     head, pooling, prompts, and what of the encoder's own weights changed
    adapter/             low-rank updates, as PEFT writes them
    seal.json            digests of the others

What the encoder's weights were, and still are, is not in it: they are found where the record says,
or where somebody says, and compared by their digest. Changed weights are stored as they are and
not as differences: a difference is of the same size, and its sum with the base is rounded. Where
all of them changed, the bundle needs nothing else.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audiorig.config import ClipConfig, InfantCryRun, SpeechTuneRun
from audiorig.data.clips import read_clip
from audiorig.data.targets import Target
from audiorig.errors import DataError
from audiorig.files import file_digest, flush_to_disk, read_json, write_json
from audiorig.models.answers import Decision, answers_of
from audiorig.models.bundle_origin import base_weights, find_encoder, portable_record
from audiorig.models.tuner import SpeechTuner, TunerConfig
from audiorig.models.tuning.lora import load_adapter, lora_layers, save_adapter

FORMAT = 1
ABOUT, HEAD, ADAPTER, SEAL = "bundle.json", "head.safetensors", "adapter", "seal.json"
ENCODER = "encoder."
SHAPE = ("encoder", "tuning", "pooling", "head", "targets", "losses", "seed")  # what a tuner is built of
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


def save_bundle(
    folder: Path,
    model: SpeechTuner,
    *,
    run: SpeechTuneRun | InfantCryRun,
    encoder_record: Mapping[str, Any],
    split_sha256: str | Mapping[str, str],
    thresholds: Mapping[str, Decision],
    provenance: Mapping[str, Any],
) -> None:
    """Write a bundle, whole or not at all.

    Args:
        folder: replaced once everything is there.
        model: tuned; with its adapters, if they are to be in PEFT's format.
        run: its settings.
        encoder_record: as ``encoders.record.encoder_record`` makes it; the encoder still lies there.
        split_sha256: of the tables that it was trained and judged on.
        thresholds: what was chosen on dev, by target.
        provenance: what made it: plain data.

    Raises:
        DataError: if the encoder that it was tuned from is not where the record says, or another.
    """
    place = Path(str(encoder_record.get("checkpoint") or encoder_record["folder"]))
    base = base_weights(place, encoder_record, model.encoder.description())
    about = {
        "format": FORMAT,
        "experiment": run.experiment,
        "encoder": portable_record(encoder_record, run.encoder),
        "model": {name: getattr(model.config, name) for name in SHAPE},
        "targets": {target.name: list(target.answers) for target in model.targets},
        "thresholds": {name: decision.to_dict() for name, decision in thresholds.items()},
        "reading": {
            "sample_rate_hz": model.encoder.sample_rate_hz,
            **{name: getattr(run.data, name) for name in READING},
        },
        "split_sha256": split_sha256,
        "provenance": provenance,
    }
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        save_file(_learnt_weights(model, base), aside / HEAD, {"format": "pt"})
        if lora_layers(model.encoder):
            save_adapter(model.encoder, aside / ADAPTER, str(encoder_record.get("hub_id") or encoder_record["name"]))
        write_json(aside / ABOUT, about)
        _seal(aside)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(aside, folder)
        flush_to_disk(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_bundle(folder: Path, encoder: Path | None = None) -> Bundle:
    """The model of a bundle, ready to answer: on the CPU, in evaluation mode, without a network connection.

    Args:
        encoder: folder or file of the encoder's weights, if they are not where the record says.

    Raises:
        DataError: if a file is missing or not what was written, or the encoder is missing or another.
    """
    about = _opened(folder)
    model = SpeechTuner(TunerConfig(**about["model"])).eval()
    weights = _read(folder / HEAD)
    if (folder / ADAPTER).is_dir():
        load_adapter(model.encoder, folder / ADAPTER)
        weights |= {name: value for name, value in model.state_dict().items() if _is_adapter(name)}
    if lacking := [name for name in model.state_dict() if name not in weights]:
        place = find_encoder(about["encoder"], folder, encoder)
        base = base_weights(place, about["encoder"], model.encoder.description())
        weights |= {name: base[_base_name(name)] for name in lacking}
    model.load_state_dict(weights)
    return Bundle(model, about)


# ------------------------------------------------------------------- weights


def _is_adapter(name: str) -> bool:
    return ".lora_" in name


def _base_name(name: str) -> str:
    """What a weight of a tuned model is called in the encoder that it was tuned from."""
    return name.removeprefix(ENCODER).replace(".base_layer.", ".")


def _learnt_weights(model: SpeechTuner, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that the base encoder does not have, or has otherwise; low-rank updates apart."""
    learnt = {}
    for name, weight in model.state_dict().items():
        before = base.get(_base_name(name)) if name.startswith(ENCODER) else None
        if not _is_adapter(name) and (before is None or not torch.equal(weight.cpu(), before)):
            learnt[name] = weight.detach().cpu().contiguous().clone()
    return learnt


# --------------------------------------------------------------------- files


def _seal(folder: Path) -> None:
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in members:
        flush_to_disk(path)
    write_json(folder / SEAL, {"sha256": {path.relative_to(folder).as_posix(): file_digest(path) for path in members}})


def _opened(folder: Path) -> dict[str, Any]:
    """bundle.json, if every file is what was written.

    Raises:
        DataError: otherwise.
    """
    try:
        digests: dict[str, str] = read_json(folder / SEAL)["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{folder}: no bundle: expected {ABOUT}, {HEAD} and {SEAL}, as results/RUN/bundle has"
        ) from None
    for name in sorted({ABOUT, HEAD, *digests}):
        found = file_digest(folder / name) if (folder / name).is_file() else None
        if found is None or found != digests.get(name):
            what = "is gone" if found is None else "is not what was written"
            raise DataError(f"{folder / name}: {what} ({SEAL}): take the bundle anew from where it was made")
    about: dict[str, Any] = read_json(folder / ABOUT)
    if about.get("format") != FORMAT:
        raise DataError(f"{folder / ABOUT}: format is {about.get('format')}, expected {FORMAT}: make the bundle anew")
    return about


def _read(path: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as safetensors: {error}") from None
    return weights
