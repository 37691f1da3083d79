"""The pitch of a waveform at the very centres of its STFT frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from audiorig.data.resample import read_resampled, resampled_length
from audiorig.errors import ConfigError
from audiorig.models.pitch import yin
from audiorig.models.pitch.crepe import FRAME_SAMPLES, SAMPLE_RATE_HZ, decode, load_crepe
from audiorig.models.pitch.refine import refine

# Frames that go through the network together. A batch is always full (with zeros, at the end), so
# a frame's bits depend neither on its clip nor on its place: other batch sizes choose other kernels.
CPU_BATCH = 32  # 256 fall out of the caches: 15 % slower
GPU_BATCH = 1024
YIN_BATCH = 256
LOWEST_HZ, HIGHEST_HZ = 32.0, 1975.0  # where CREPE's bins lie

Precision = Literal["float32", "bfloat16"]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class PitchSettings(Protocol):
    """What the tracker reads of ``config.PitchConfig``."""

    @property
    def extractor(self) -> str: ...
    @property
    def min_hz(self) -> float: ...
    @property
    def max_hz(self) -> float: ...
    @property
    def voiced_periodicity(self) -> float: ...
    @property
    def silence_dbfs(self) -> float: ...


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of N frames.

    Attributes:
        hz: float32 (N,), the estimate in every frame, voiced or not.
        periodicity: float32 (N,), 0 to 1.
        is_voiced: bool (N,).
    """

    hz: Floats
    periodicity: Floats
    is_voiced: Bools


class PitchTracker:
    """Measures pitch; deterministic, and without any random state.

    Args:
        settings: as ``config.PitchConfig``; ``voiced_periodicity`` is CREPE's, yin has its own.
        sample_rate_hz: of the waveforms.
        hop: samples between frames.
        device: where the network runs (yin: always on the CPU).
        precision: of the network. bfloat16 is twice as fast on a CPU that has it.
    """

    def __init__(
        self,
        settings: PitchSettings,
        sample_rate_hz: int,
        hop: int,
        device: str | torch.device = "cpu",
        precision: Precision = "float32",
    ) -> None:
        if not LOWEST_HZ <= settings.min_hz < settings.max_hz <= HIGHEST_HZ:
            raise ConfigError(
                f"pitch: min_hz {settings.min_hz:g} and max_hz {settings.max_hz:g}; "
                f"expected {LOWEST_HZ:g} <= min_hz < max_hz <= {HIGHEST_HZ:g}"
            )
        self._settings, self._sample_rate_hz, self._hop = settings, sample_rate_hz, hop
        self._device = torch.device(device)
        self._crepe = None
        if settings.extractor != "yin":
            network = load_crepe("full" if settings.extractor == "crepe-full" else "tiny")
            self._crepe = network.to(self._device, getattr(torch, precision))

    def track(self, waveform: Floats) -> PitchTrack:
        """Pitch at samples 0, hop, 2 hop, ... of a waveform.

        Args:
            waveform: float32 (T,), in [-1, 1].

        Returns:
            1 + T // hop frames.
        """
        frames = list(self._measure(waveform))
        hz, periodicity, level = (np.concatenate(parts) for parts in zip(*frames, strict=True))
        is_loud = level > 10 ** (self._settings.silence_dbfs / 20)
        threshold = self._settings.voiced_periodicity if self._crepe else yin.VOICED_PERIODICITY
        return PitchTrack(hz, periodicity, (median_of_three(periodicity) > threshold) & is_loud)

    def _measure(self, waveform: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Pitch, periodicity and level, batch by batch."""
        sound = resample(waveform, self._sample_rate_hz)
        centres = frame_centres(len(waveform), self._hop, self._sample_rate_hz)
        batch = self._batch
        length = yin.FRAME_SAMPLES if self._crepe is None else FRAME_SAMPLES
        for start in range(0, len(centres), batch):
            frames = cut_frames(sound, centres[start : start + batch], length)
            yield *self._estimate(frames), frames.std(1)

    @property
    def _batch(self) -> int:
        if self._crepe is None:
            return YIN_BATCH
        return CPU_BATCH if self._device.type == "cpu" else GPU_BATCH

    def _estimate(self, frames: Floats) -> tuple[Floats, Floats]:
        low, high = self._settings.min_hz, self._settings.max_hz
        if self._crepe is None:
            return yin.estimate_pitch(frames, SAMPLE_RATE_HZ, low, high)
        full = np.zeros((self._batch, FRAME_SAMPLES), dtype=np.float32)
        full[: len(frames)] = frames
        # TF32 would be a third precision, which only some devices have.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            heard = torch.from_numpy(full).to(self._device)
            hz, periodicity = decode(self._crepe(heard), low, high)
            hz = refine(heard, hz, SAMPLE_RATE_HZ).clamp(low, high)[: len(frames)]
        return hz.cpu().numpy(), periodicity[: len(frames)].cpu().numpy()


def resample(waveform: Floats, sample_rate_hz: int) -> Floats:
    """The whole waveform at 16 kHz; its sample 0 stays at time 0."""
    length = resampled_length(len(waveform), sample_rate_hz, SAMPLE_RATE_HZ)
    return read_resampled(
        lambda start, stop: waveform[start:stop], len(waveform), sample_rate_hz, 0, length, SAMPLE_RATE_HZ
    )


def frame_centres(num_samples: int, hop: int, sample_rate_hz: int) -> NDArray[np.int64]:
    """The samples at 16 kHz (N,) nearest to samples 0, hop, 2 hop, ...; never more than 31 us off."""
    places = np.arange(1 + num_samples // hop, dtype=np.int64) * hop
    return (2 * places * SAMPLE_RATE_HZ + sample_rate_hz) // (2 * sample_rate_hz)


def cut_frames(sound: Floats, centres: NDArray[np.int64], length: int) -> Floats:
    """(N, length) samples round each centre, which becomes sample length / 2; zeros beyond the ends."""
    half = length // 2
    start, stop = int(centres[0]) - half, int(centres[-1]) + half
    inside = sound[max(0, start) : max(0, stop)]
    padded = np.zeros(stop - start, dtype=np.float32)
    offset = max(0, -start)
    padded[offset : offset + len(inside)] = inside
    return np.lib.stride_tricks.sliding_window_view(padded, length)[centres - centres[0]]


def median_of_three(values: Floats) -> Floats:
    """The median of each value and its neighbours; the ends are repeated."""
    padded = np.pad(values, 1, mode="edge")
    low, high = np.minimum(padded[:-2], padded[2:]), np.maximum(padded[:-2], padded[2:])
    return np.clip(values, low, high)


def cents_between(hz: NDArray[np.floating], other_hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far one pitch lies above another, in cents."""
    return 1200 * np.log2(np.asarray(hz, np.float64) / np.asarray(other_hz, np.float64))
