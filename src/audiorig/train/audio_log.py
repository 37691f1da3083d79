"""A few examples to hear and to see in TensorBoard, while a model trains."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import SpectrogramConfig
from audiorig.evaluate.audio import common_gain, griffin_lim, with_oracle_phase
from audiorig.models.wavemae import WaveMAE
from audiorig.randomness import random_state_fence
from audiorig.train.compilation import uncompiled

ORIGINAL_PEAK = 0.5  # leaves 6 dB before a reconstruction that is too loud is clipped
SHOWN_NEPERS = 8.0  # the colours reach this far below the loudest bin, 70 dB
BINS_PER_ROW = 3  # of the picture: whole ones took longer to compress than a phase to find
MARK_ROWS = 8  # height of the bar that marks hidden frames, in pixels
HIDDEN, VISIBLE = (0, 114, 178), (255, 255, 255)

log = logging.getLogger(__name__)


class AudioLog(TrainerCallback):
    """Logs some examples every few steps, and their originals once; changes nothing else.

    Args:
        folder: the run's folder. The examples go to ``tensorboard/audio/`` in it, which TensorBoard
            shows as a run of its own. It reads the event files of a folder one after the other, so a
            second one beside the scalars would hide those that come later, and its ``purge_step``
            would take away those that came before.
        model: the model that is trained.
        batch: ``waveform`` (B, T) float32 or int16, ``lengths`` (B,), ``is_hidden`` (B, N).
        every_steps: 0 for never.
    """

    def __init__(self, folder: Path, model: WaveMAE, batch: dict[str, Tensor], every_steps: int) -> None:
        self.folder = folder / "tensorboard" / "audio"
        self.model, self.batch, self.every_steps = model, batch, every_steps
        self.writer: SummaryWriter | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if not self.every_steps or not state.is_world_process_zero:
            return
        has_originals = state.global_step > 0 and any(self.folder.glob("events.*"))
        # As in callbacks.TensorBoard: what lies beyond the checkpoint comes again.
        self.writer = SummaryWriter(str(self.folder), purge_step=state.global_step + 1 if state.global_step else 0)
        if not has_originals:
            log_originals(self.writer, state.global_step, self.model, self.batch)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if self.writer is not None and state.global_step % self.every_steps == 0:
            log_audio_to_tensorboard(self.writer, state.global_step, self.model, self.batch)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if self.writer is not None:
            self.writer.close()


@dataclass(frozen=True)
class Example:
    """One clip, as far as it fills whole patches.

    Attributes:
        waveform: float32 (T,).
        original: log magnitudes (M, F) in nepers.
        rebuilt: likewise; the model's where hidden, the original's elsewhere.
        is_hidden: bool (M,).
    """

    waveform: Tensor
    original: Tensor
    rebuilt: Tensor
    is_hidden: Tensor

    @property
    def gain(self) -> float:
        """One for all that is made of this clip at any step: errors of level stay audible."""
        return common_gain(self.waveform, peak=ORIGINAL_PEAK)


def log_originals(writer: SummaryWriter, step: int, model: WaveMAE, batch: dict[str, Tensor]) -> None:
    """Write ``audio/{i}/original``, and ``audio/{i}/griffin_lim_of_original``.

    The latter is as good as a reconstruction can get: what is heard in it is not the model's fault.
    """
    for index, example in enumerate(rebuild_examples(model, batch)):
        found = griffin_lim(example.original, model.stft, len(example.waveform))
        for name, waveform in {"original": example.waveform, "griffin_lim_of_original": found}.items():
            _add_audio(writer, f"audio/{index}/{name}", waveform * example.gain, step, model.config.sample_rate_hz)
    writer.flush()


def log_audio_to_tensorboard(writer: SummaryWriter, step: int, model: WaveMAE, batch: dict[str, Tensor]) -> None:
    """Write what the model makes of the examples: two waveforms and a picture of each.

    ``audio/{i}/reconstruction`` is Griffin-Lim of the predicted magnitudes (the true ones where
    nothing was hidden). ``audio/{i}/oracle_phase`` has the same magnitudes and the true phase, which no
    model knows: it flatters. ``spectrogram/{i}`` is the original above the rebuilt one, with hidden frames
    marked between them.
    """
    for index, example in enumerate(rebuild_examples(model, batch)):
        if not example.rebuilt.isfinite().all():
            log.warning("step %d: example %d is not finite, and not logged", step, index)
            continue
        heard = {
            "reconstruction": griffin_lim(example.rebuilt, model.stft, len(example.waveform)),
            "oracle_phase": with_oracle_phase(example.rebuilt, example.waveform, model.stft),
        }
        for name, waveform in heard.items():
            _add_audio(writer, f"audio/{index}/{name}", waveform * example.gain, step, model.config.sample_rate_hz)
        writer.add_image(f"spectrogram/{index}", spectrogram_picture(example, model.stft), step, dataformats="HWC")
    writer.flush()


def rebuild_examples(model: WaveMAE, batch: dict[str, Tensor]) -> list[Example]:
    """Let the model fill in what is hidden; it is left in the mode, and the random states as, found."""
    was_training = model.training
    waveform = batch["waveform"]
    waveform = waveform / 32768 if waveform.dtype == torch.int16 else waveform.float()
    with random_state_fence(), torch.no_grad(), uncompiled():
        model.eval()
        try:
            inputs = (waveform, batch["lengths"], batch["is_hidden"])
            built = model.reconstruct(*(each.to(model.device) for each in inputs))
        finally:
            model.train(was_training)
    original, rebuilt = (model.magnitudes(frames).float().cpu() for frames in (built.original, built.predicted))
    is_hidden, num_frames = built.is_hidden.cpu(), (~built.is_padding).sum(1).tolist()
    examples = []
    for row, count in enumerate(num_frames):
        # Up to the last sample that is nearer to the last whole patch than to what follows it.
        length = min(int(batch["lengths"][row]), count * model.stft.hop - 1)
        parts = (frames[row, :count] for frames in (original, rebuilt, is_hidden))
        examples.append(Example(waveform[row, :length].cpu(), *parts))
    return examples


def spectrogram_picture(example: Example, stft: SpectrogramConfig) -> NDArray[np.uint8]:
    """Two spectrograms with a bar between them that is coloured where frames are hidden.

    Returns:
        uint8 (2 F / BINS_PER_ROW + MARK_ROWS, M, 3): original above rebuilt, high frequencies up.
    """
    high = float(example.original.max())
    low = max(high - SHOWN_NEPERS, math.log(stft.floor))
    colors = matplotlib.colormaps["magma"]
    panels = []
    for frames in (example.original, example.rebuilt):
        rows = frames.unfold(1, BINS_PER_ROW, BINS_PER_ROW).mean(-1).T.flip(0)
        panels.append(colors(((rows - low) / max(high - low, 1e-6)).clamp(0, 1).numpy(), bytes=True)[..., :3])
    bar = np.where(example.is_hidden.numpy()[:, None], HIDDEN, VISIBLE).astype(np.uint8)
    return np.concatenate([panels[0], np.repeat(bar[None], MARK_ROWS, axis=0), panels[1]])


def _add_audio(writer: SummaryWriter, tag: str, waveform: Tensor, step: int, sample_rate_hz: int) -> None:
    """A clean (1, T) in [-1, 1]; beyond that, TensorBoard would clip too, and print."""
    writer.add_audio(tag, waveform.clamp(-1, 1)[None], step, sample_rate_hz)
