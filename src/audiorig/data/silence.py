"""Whether a crop is too silent to learn from: hours of a home recording are nights and empty rooms."""

import numpy as np

from audiorig.config import SilenceConfig
from audiorig.data.source import Samples

FRAME_SEC = 0.025
LOWEST_DBFS = -200.0  # of nothing but zeros


def measure(samples: Samples, sample_rate_hz: int, active_dbfs: float) -> tuple[float, float]:
    """How loud a crop is, and how much of it.

    Levels are those of the sound alone: what a recorder adds as a constant is taken off, as it
    would make a silent crop a loud one.

    Args:
        samples: (T,), full scale 1, without padding.
        active_dbfs: RMS level above which a frame of 25 ms is active.

    Returns:
        The RMS level in dBFS, and the share of active frames; what is left behind the last whole
        frame counts in the level only, unless it is all there is.
    """
    if not len(samples):
        return LOWEST_DBFS, 0.0
    sound = samples - samples.mean(dtype=np.float64).astype(np.float32)
    size = min(len(sound), round(FRAME_SEC * sample_rate_hz))
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    power = np.vecdot(frames, frames) / size
    active_share = float(np.mean(power > 10 ** (active_dbfs / 10)))
    total = float(np.vecdot(sound, sound)) / len(sound)
    return max(LOWEST_DBFS, 10 * float(np.log10(max(total, 1e-30)))), active_share


def is_too_silent(samples: Samples, sample_rate_hz: int, settings: SilenceConfig) -> bool:
    """Whether a crop (T,) is below one of the two bounds."""
    rms_dbfs, active_share = measure(samples, sample_rate_hz, settings.active_dbfs)
    return rms_dbfs < settings.min_rms_dbfs or active_share < settings.min_active_share
