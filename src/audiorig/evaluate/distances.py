"""How far predicted magnitudes lie from the true ones, in decibels, as sums that can be resampled.

Two distances that codec and vocoder papers report. Both are means over frames, so a clip gives
(sum over its frames, number of its frames), and ``Resampling.totals`` turns the clips' sums into
a ratio with an interval. An anchor (interpolation, mean of the visible frames, the truth
itself) is measured by the same call: pass it in the place of the prediction.
"""

import math

import numpy as np
from numpy.typing import NDArray

from audiorig.config import SpectrogramConfig
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.models.perceptual import mel_bands

DECIBELS_PER_NEPER = 20 / math.log(10)
NUM_BANDS = 80

Frames = NDArray[np.float32]
Bools = NDArray[np.bool_]


def log_spectral_distance(predicted: Frames, original: Frames, in_frames: Bools, is_scored: Bools) -> Floats:
    """Root of the mean squared difference over the scored bins of each frame, in dB.

    Gray and Markel, "Distance Measures for Speech Processing" (1976).

    Args:
        predicted: log magnitudes (N, F) in nepers.
        original: likewise.
        in_frames: (N,) the frames to sum over, such as the hidden ones.
        is_scored: (F,) the bins that hold something.

    Returns:
        (2,) sum over the frames, number of frames.
    """
    error = _picked(predicted, in_frames)[:, is_scored] - _picked(original, in_frames)[:, is_scored]
    by_frame = DECIBELS_PER_NEPER * np.sqrt(np.square(error).mean(1))
    return np.array([by_frame.sum(), len(by_frame)])


def mel_distance(
    predicted: Frames,
    original: Frames,
    in_frames: Bools,
    is_scored: Bools,
    stft: SpectrogramConfig,
    sample_rate_hz: int,
) -> Floats:
    """Mean absolute difference of the levels of 80 mel bands of each frame, in dB.

    Bands are weighted means of magnitudes over scored bins; a band without any is left out.
    Arguments and return value as of ``log_spectral_distance``.
    """
    bank = mel_bands(stft, sample_rate_hz, NUM_BANDS).double().numpy() * is_scored[:, None]
    total = bank.sum(0)
    bank = bank[:, total > 0] / total[total > 0]
    levels = [np.log(np.exp(_picked(frames, in_frames)) @ bank) for frames in (predicted, original)]
    by_frame = DECIBELS_PER_NEPER * np.abs(levels[0] - levels[1]).mean(1)
    return np.array([by_frame.sum(), len(by_frame)])


def mean_distance(sums: Floats, resampling: Resampling) -> Score:
    """Mean over the frames of all clips, from the (n, 2) sums of either distance.

    A draw in which no clip has such a frame has no mean: NaN, which intervals pass over.
    """
    total, drawn = resampling.totals(sums)
    num_frames = np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan)
    return Score(float(total[0] / total[1]) if total[1] else math.nan, drawn[:, 0] / num_frames, resampling.tail)


def _picked(frames: Frames, in_frames: Bools) -> Floats:
    return frames[in_frames].astype(np.float64)
