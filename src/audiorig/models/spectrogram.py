"""Log-magnitude STFT frames, and their statistics over a training split."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiorig.config import SpectrogramConfig
from audiorig.files import written_aside

UNSCORED_FLOOR_SHARE = 0.99  # a bin that lies on the floor in more frames than this is not scored


def num_frames(num_samples: int, settings: SpectrogramConfig) -> int:
    """Frames of a waveform; frame n is centred on sample n * hop."""
    return 1 + num_samples // settings.hop


def log_magnitude(waveform: Tensor, settings: SpectrogramConfig) -> Tensor:
    """Natural logarithm of STFT magnitudes, not below the floor.

    The ends are padded with zeros, not mirrored: what follows the end of an item in a padded
    batch then changes nothing.

    Args:
        waveform: float32 (B, T), in [-1, 1]; zeros after an item's end.

    Returns:
        float32 (B, N, F), with N = 1 + T // hop and F = n_fft / 2 + 1.
    """
    window = torch.hann_window(settings.window, device=waveform.device)
    spectrum = torch.stft(
        waveform.float(),
        settings.n_fft,
        settings.hop,
        settings.window,
        window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    real, imaginary = torch.view_as_real(spectrum).unbind(-1)
    power = real * real + imaginary * imaginary  # a sum over the last axis, of two, takes three times as long
    return 0.5 * power.clamp_min(settings.floor**2).log().transpose(1, 2).contiguous()


@dataclass(frozen=True)
class SpectrumStatistics:
    """Per-bin statistics of log magnitudes over a training split.

    Attributes:
        mean: (F,) nepers.
        std: (F,) nepers, not below ``min_std``.
        floor_share: (F,) share of the frames in which the bin lies on the floor.
    """

    mean: Tensor
    std: Tensor
    floor_share: Tensor

    @property
    def is_scored(self) -> Tensor:
        """(F,) False for bins that hold nothing: 16-kHz audio at 24 kHz has none above 8 kHz."""
        return self.floor_share <= UNSCORED_FLOOR_SHARE

    def save(self, path: Path) -> None:
        with written_aside(path) as aside:
            save_file({"mean": self.mean, "std": self.std, "floor_share": self.floor_share}, aside)

    @classmethod
    def load(cls, path: Path) -> "SpectrumStatistics":
        return cls(**load_file(path))


def fit_statistics(waveforms: Iterable[Tensor], settings: SpectrogramConfig) -> SpectrumStatistics:
    """Statistics over all frames of some waveforms.

    Args:
        waveforms: float32 (T,) each, unpadded.
    """
    num_bins = settings.n_fft // 2 + 1
    count = 0
    total, squares, on_floor = (torch.zeros(num_bins, dtype=torch.float64) for _ in range(3))
    floor = torch.tensor(settings.floor).log() + 1e-4
    for waveform in waveforms:
        frames = log_magnitude(waveform[None], settings)[0]
        count += len(frames)
        total += frames.sum(0, dtype=torch.float64)
        squares += frames.double().square().sum(0)
        on_floor += (frames <= floor).sum(0)
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(settings.min_std)
    return SpectrumStatistics(mean.float(), std.float(), (on_floor / count).float())
