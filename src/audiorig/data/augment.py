"""Changes of a clip that leave its labels true: louder, noisier, faster, shifted.

Each is drawn from a generator that the caller keys, in a fixed order and whether it is switched on
or not: so switching one on or off leaves the others as they were.
"""

import numpy as np
import soxr

from audiorig.config import AugmentConfig
from audiorig.data.source import Samples

SILENT = 1e-7  # RMS; a quieter clip has no level that noise could be set against


def is_changed(settings: AugmentConfig, generator: np.random.Generator) -> bool:
    """Whether a clip is among the share that is changed; takes one number."""
    return bool(generator.random() < settings.share)


def augment(samples: Samples, rate_hz: int, settings: AugmentConfig, generator: np.random.Generator) -> Samples:
    """A changed copy of a clip.

    Args:
        samples: (T,)
        rate_hz: their rate.
        generator: where speed, shift, noise and gain are drawn from; nothing else decides.

    Returns:
        float32 (T / speed,); what was given stays as it was.
    """
    speed, shift, noise, gain = generator.random(4)
    low, high = settings.noise_snr_db
    changed = at_speed(samples, 1 + settings.speed * (2 * speed - 1))
    changed = np.roll(changed, round(settings.shift_sec * rate_hz * (2 * shift - 1)))
    changed = with_noise(changed, low + (high - low) * noise, generator)
    return changed * np.float32(10 ** (settings.gain_db * (2 * gain - 1) / 20))


def at_speed(samples: Samples, factor: float) -> Samples:
    """So many times as fast, pitch included, as a tape is: (T,) to (T / factor,)."""
    if factor == 1 or not len(samples):
        return samples
    return np.asarray(soxr.resample(samples, factor, 1.0), dtype=np.float32)


def with_noise(samples: Samples, snr_db: float, generator: np.random.Generator) -> Samples:
    """With white noise, so many decibels below the clip's own level; nothing is added to silence."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    if level < SILENT:
        return samples
    noise = generator.standard_normal(len(samples), dtype=np.float32)
    return samples + noise * np.float32(level * 10 ** (-snr_db / 20))
