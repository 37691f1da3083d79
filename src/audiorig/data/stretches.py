"""What of a clip is heard: a stretch of what trimming leaves, brought to one level."""

from pathlib import Path
from typing import Literal

import numpy as np

from audiorig.config import ClipConfig
from audiorig.data.audio import AudioSource, Samples, read_info, read_window, resampled_length
from audiorig.errors import DataError

FRAME_SEC, MARGIN_SEC = 0.02, 0.1  # trimming: how fine it looks, how much it leaves beside the sound
PEAK_DBFS, RMS_DBFS = -1.0, -26.0  # the levels that clips are brought to
SILENT = 1e-7  # peak; a quieter clip has no level to change


def read_clip(source: Path | AudioSource, data: ClipConfig, rate_hz: int) -> Samples:
    """A clip as dev and test hold it: the middle of what trimming leaves, at its level.

    Returns:
        float32 (T,), T at most ``max_sec``.

    Raises:
        DataError: if it cannot be read, is empty, or holds samples that are no numbers.
    """
    max_samples = round(data.max_sec * rate_hz)
    if data.trim_dbfs is None:
        info = read_info(source)
        length = resampled_length(info.num_samples, info.sample_rate_hz, rate_hz)
        start, num_samples = place(0, length, max_samples, 0.5)
        samples = read_window(source, start, num_samples, rate_hz)
    else:
        whole = read_window(source, 0, -1, rate_hz)
        start, num_samples = place(*sound_bounds(whole, rate_hz, data.trim_dbfs), max_samples, 0.5)
        samples = whole[start : start + num_samples]
    if not len(samples):
        raise DataError(f"{source}: holds no samples")
    if not np.isfinite(samples).all():
        raise DataError(f"{source}: holds samples that are NaN or infinite")
    return to_level(samples, data.level)


def place(first: int, stop: int, max_samples: int, way: float) -> tuple[int, int]:
    """Begin and length of a stretch between two samples; ``way`` from 0 to 1 says how far along it lies."""
    slack = max(0, stop - first - max_samples)
    return first + min(slack, int(way * (slack + 1))), min(stop - first, max_samples)


def sound_bounds(samples: Samples, rate_hz: int, trim_dbfs: float) -> tuple[int, int]:
    """Where the sound of a clip (T,) begins and ends, with a margin.

    A frame of 20 ms is sound if its RMS level is no more than so many decibels below the clip's peak.
    Where no frame is, as in silence or in one click, all of the clip is kept.
    """
    size = max(1, round(FRAME_SEC * rate_hz))
    frames = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    peak = float(np.abs(samples).max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        loud = np.flatnonzero(np.vecdot(frames, frames) / size >= (peak * 10 ** (trim_dbfs / 20)) ** 2)
    if not len(loud) or peak < SILENT:
        return 0, len(samples)
    margin = round(MARGIN_SEC * rate_hz)
    return max(0, int(loud[0]) * size - margin), min(len(samples), (int(loud[-1]) + 1) * size + margin)


def to_level(samples: Samples, level: Literal["as_is", "peak", "rms"]) -> Samples:
    """A clip (T,) at a peak of -1 dBFS, or an RMS level of -26 dBFS; silence stays silence."""
    if level == "as_is" or not len(samples) or (peak := float(np.abs(samples).max())) < SILENT:
        return samples
    if level == "peak":
        return samples * np.float32(10 ** (PEAK_DBFS / 20) / peak)
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples * np.float32(10 ** (RMS_DBFS / 20) / rms)
