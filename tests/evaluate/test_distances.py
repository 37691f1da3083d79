"""Distances in decibels: offsets that can be worked out by hand."""

import math

import numpy as np
import pytest

from audiorig.config import SpectrogramConfig
from audiorig.evaluate.distances import log_spectral_distance, mean_distance, mel_distance
from audiorig.evaluate.intervals import Resampling

STFT = SpectrogramConfig()
ALL = np.ones(513, dtype=bool)
SOME = np.arange(20) % 3 > 0
DOUBLE = np.float32(math.log(2))  # 6.02 dB


def frames(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-3, 1.5, (20, 513)).astype(np.float32)


def distances(predicted: np.ndarray, original: np.ndarray, in_frames=SOME, is_scored=ALL) -> list[float]:
    """Both means."""
    sums = [
        log_spectral_distance(predicted, original, in_frames, is_scored),
        mel_distance(predicted, original, in_frames, is_scored, STFT, 24000),
    ]
    assert [count for _, count in sums] == [in_frames.sum()] * 2
    return [total / count for total, count in sums]


def test_equal_magnitudes_have_no_distance() -> None:
    assert distances(frames(), frames()) == [0, 0]


@pytest.mark.parametrize("factor", [2, 0.5])
def test_a_factor_of_two_is_six_decibels(factor: float) -> None:
    found = distances(frames() + np.float32(math.log(factor)), frames())
    assert found == pytest.approx([6.0206, 6.0206], rel=1e-5)


def test_the_mean_over_bins_is_a_root_of_squares() -> None:
    """Half of the bins 12.04 dB off: 12.04 / sqrt 2, not 6.02."""
    predicted = frames()
    predicted[:, :256] += 2 * DOUBLE
    assert distances(predicted, frames(), is_scored=np.arange(513) < 512)[0] == pytest.approx(12.0412 / math.sqrt(2))


def test_the_mean_over_frames_is_a_plain_one() -> None:
    predicted = frames()
    predicted[:5] += 3 * DOUBLE
    in_frames = np.arange(20) < 15
    assert distances(predicted, frames(), in_frames) == pytest.approx([6.0206, 6.0206], rel=1e-5)


def test_other_frames_and_bins_do_not_count() -> None:
    predicted = frames() + DOUBLE
    predicted[~SOME] = 99
    predicted[:, 342:] = -40
    assert distances(predicted, frames(), is_scored=np.arange(513) < 342) == pytest.approx([6.0206, 6.0206], rel=1e-5)
    assert min(distances(predicted, frames())) > 20


def test_mel_bands_forgive_what_lies_within_a_band() -> None:
    """Two neighbouring bins at 10 kHz swap their magnitudes: heard as the same band."""
    original = np.full((20, 513), -3, dtype=np.float32)
    original[:, 420] = 0
    swapped = original.copy()
    swapped[:, [420, 421]] = swapped[:, [421, 420]]
    spectral, mel = distances(swapped, original)
    assert spectral == pytest.approx(math.sqrt(2 * (3 * 8.6859) ** 2 / 513), rel=1e-4)
    assert mel < 0.1 * spectral


def test_no_frames_are_a_sum_of_nothing() -> None:
    nothing = np.zeros(20, dtype=bool)
    assert log_spectral_distance(frames(), frames(), nothing, ALL).tolist() == [0, 0]
    assert mel_distance(frames(), frames(), nothing, ALL, STFT, 24000).tolist() == [0, 0]


def test_sums_of_clips_make_a_score_with_an_interval() -> None:
    """Clips weigh as many frames as they have; a draw without frames is passed over."""
    sums = np.array([[60.0, 10], [10.0, 10], [0.0, 0], [300.0, 60], [24.0, 12], [6.0, 8]])
    score = mean_distance(sums, Resampling(list("abcdef"), 500, 0, "x"))
    assert score.value == pytest.approx(4)
    low, high = score.interval
    assert 0.75 <= low < 4 < high <= 6
    empty = mean_distance(np.zeros((6, 2)), Resampling(list("abcdef"), 50, 0, "x"))
    assert math.isnan(empty.value)
