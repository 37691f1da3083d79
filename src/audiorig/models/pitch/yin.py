"""YIN: pitch from the lag at which a sound resembles itself most.

De Cheveigne and Kawahara, "YIN, a fundamental frequency estimator for speech and music" (JASA
111, 2002), steps 1 to 5. It needs no network and is the cross-check of CREPE.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

# On recorded prompts, against CREPE: 768 samples at 16 kHz agree within 50 cents in 85 % of the
# voiced frames (97 % of the clearly voiced ones), 1,024 in 81 %; dips of 0.1 to 0.2 alike, 0.3
# worse; voicing differs in 8 % of the frames at 0.4 to 0.5, in 17 % at 0.75.
FRAME_SAMPLES = 768
THRESHOLD = 0.1  # of the normalised difference: the first dip below it is taken (the paper's step 4)
VOICED_PERIODICITY = 0.45  # of 1 - normalised difference
_LEAST_POWER = 1e-20  # -200 dBFS: what rounding leaves of a constant

Floats = NDArray[np.float64]


def estimate_pitch(
    frames: NDArray[np.float32], sample_rate_hz: int, min_hz: float, max_hz: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pitch and periodicity of frames.

    Args:
        frames: (B, T), longer than a period of ``min_hz``; two periods are better.

    Returns:
        Pitch in Hz within the range, and 1 - normalised difference (0 to 1, 0 for silence); (B,) each.
    """
    first = max(2, math.floor(sample_rate_hz / max_hz))
    last = math.ceil(sample_rate_hz / min_hz)
    difference = _mean_difference(frames, last + 1)
    normalised = _normalise(difference)
    lag = _first_dip(normalised, first, last)
    rows = np.arange(len(frames))
    before, at, after = (difference[rows, lag + step] for step in (-1, 0, 1))
    hz = sample_rate_hz / (lag + _vertex(before, at, after))
    periodicity = np.clip(1 - normalised[rows, lag], 0, 1)
    return np.clip(hz, min_hz, max_hz).astype(np.float32), periodicity.astype(np.float32)


def _mean_difference(frames: NDArray[np.float32], max_lag: int) -> Floats:
    """Mean square difference of a frame and itself, lag samples later: (B, lags), lag 0 first.

    All pairs in the frame count. The paper's window of fixed length starts at the frame's start,
    so that high pitches are heard half a frame early; this is centred for every lag.
    """
    sound = frames.astype(np.float64)
    sound -= sound.mean(1, keepdims=True)  # no difference, but the sums below would lose digits
    length = sound.shape[1]
    size = fft.next_fast_len(length + max_lag, real=True)
    spectrum = fft.rfft(sound, size)
    products = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : max_lag + 1]
    energy = np.concatenate([np.zeros((len(sound), 1)), np.cumsum(sound**2, axis=1)], axis=1)
    lags = np.arange(max_lag + 1)
    squares = energy[:, length - lags] + energy[:, -1:] - energy[:, lags]
    return np.maximum(squares - 2 * products, 0) / (length - lags)


def _normalise(difference: Floats) -> Floats:
    """Each lag's difference over the mean of those up to it; 1 at lag 0 and where there is no sound."""
    normalised = np.ones_like(difference)
    mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, difference.shape[1])
    np.divide(difference[:, 1:], mean, out=normalised[:, 1:], where=mean > _LEAST_POWER)
    return normalised


def _first_dip(normalised: Floats, first: int, last: int) -> NDArray[np.int64]:
    """The first lag (B,) of a range that is a minimum below the threshold; failing that, the lowest."""
    before, inner, after = (normalised[:, first + step : last + 1 + step] for step in (-1, 0, 1))
    is_dip = (inner < THRESHOLD) & (inner <= before) & (inner < after)
    return first + np.where(is_dip.any(1), is_dip.argmax(1), inner.argmin(1))


def _vertex(before: Floats, at: Floats, after: Floats) -> Floats:
    """Where the parabola through three neighbours is lowest, -1 to 1 from the middle; 0 if it has no dip."""
    curvature = before - 2 * at + after
    shift = np.zeros_like(at)
    np.divide(0.5 * (before - after), curvature, out=shift, where=curvature > 0)
    return np.clip(shift, -1, 1)
