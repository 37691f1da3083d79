"""Levels and roll-off of signals whose numbers are known."""

import numpy as np
import pytest

from audiorig.data.levels import Levels
from audiorig.data.rolloff import NUM_WINDOWS, WINDOW_SAMPLES, Windows

RATE = 24000
FRAME = 600


def levels_of(samples: np.ndarray, scale: float, full_scale: float, block: int = 10 * FRAME) -> dict[str, float]:
    levels = Levels(scale, full_scale, FRAME, -60)
    for start in range(0, len(samples), block):
        levels.add(samples[start : start + block])
    return levels.stats()


def test_sums_equal_those_in_double_precision() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 100_001).astype(np.int16)
    stats = levels_of(samples, 2**15, 2**15 - 1)
    exact = samples / 2.0**15
    assert stats["rms_dbfs"] == pytest.approx(10 * np.log10(np.mean(exact**2)), abs=1e-4)
    assert stats["dc_offset"] == pytest.approx(exact.mean(), abs=1e-6)
    assert stats["peak_dbfs"] == 0
    assert stats["clipping_share"] == np.mean(np.abs(exact) >= 32767 / 32768)


def test_the_largest_negative_value_does_not_overflow() -> None:
    stats = levels_of(np.full(1000, -32768, np.int16), 2**15, 2**15 - 1)
    assert (stats["peak_dbfs"], stats["rms_dbfs"], stats["dc_offset"], stats["clipping_share"]) == (0, 0, -1, 1)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_every_kind_of_number_gives_the_same(dtype: type) -> None:
    scale = 1.0 if np.dtype(dtype).kind == "f" else 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
    samples = np.round(0.25 * np.sin(np.arange(7 * FRAME)) * 2**15) / 2**15
    stats = levels_of((samples * scale).astype(dtype), scale, scale)
    assert stats["rms_dbfs"] == pytest.approx(10 * np.log10(np.mean(samples**2)), abs=1e-4)
    assert stats["peak_dbfs"] == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=1e-4)


def test_silence_is_counted_in_frames_and_the_last_may_be_short() -> None:
    """Three loud frames, six silent ones, and a silent rest of a third of a frame."""
    samples = np.zeros(9 * FRAME + FRAME // 3, np.int16)
    samples[: 3 * FRAME] = 1000
    samples[3 * FRAME :] = 20  # -64 dBFS
    assert levels_of(samples, 2**15, 2**15 - 1, 4 * FRAME)["silence_share"] == 7 / 10


def test_samples_that_are_not_finite_are_counted_and_spoil_nothing() -> None:
    samples = np.full(4 * FRAME, 0.5, np.float32)
    samples[[3, 700, 701]] = [np.nan, np.inf, -np.inf]
    stats = levels_of(samples, 1, 1)
    assert stats["num_non_finite"] == 3
    assert stats["peak_dbfs"] == pytest.approx(20 * np.log10(0.5), abs=1e-4)


def test_values_beyond_all_measure_stay_numbers() -> None:
    samples = np.full(4 * FRAME, 1e300)
    samples[::2] = -1e300
    assert all(np.isfinite(value) for value in levels_of(samples, 1, 1).values())


def test_no_samples_at_all() -> None:
    stats = levels_of(np.zeros(0, np.int16), 2**15, 2**15)
    assert stats["rms_dbfs"] == -200
    assert stats["silence_share"] == 0


def windows_of(samples: np.ndarray, block: int = 6000) -> Windows:
    windows = Windows(len(samples))
    for start in range(0, len(samples), block):
        windows.add(samples[start : start + block, None], start)
    return windows


@pytest.mark.parametrize("frequency", [500.0, 3000.0, 11000.0])
@pytest.mark.parametrize("num_samples", [300, 2048, 30_000, 500_001])
def test_a_tone_rolls_off_where_it_is(frequency: float, num_samples: int) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(num_samples) / RATE)
    found = windows_of(tone).rolloff_hz(RATE)
    assert found == pytest.approx(frequency, abs=3 * RATE / min(num_samples, WINDOW_SAMPLES))


def test_white_noise_rolls_off_at_99_percent_of_the_band() -> None:
    noise = np.random.default_rng(0).standard_normal(500_000)
    assert windows_of(noise).rolloff_hz(RATE) == pytest.approx(0.99 * RATE / 2, rel=0.01)


def test_an_offset_is_not_heard() -> None:
    tone = 5 + 0.1 * np.sin(2 * np.pi * 3000 * np.arange(100_000) / RATE)
    assert windows_of(tone).rolloff_hz(RATE) == pytest.approx(3000, abs=50)


@pytest.mark.parametrize("block", [600, 6000, 10**6])
def test_windows_are_spread_over_the_whole_file(block: int) -> None:
    ramp = np.arange(240_000.0)
    windows = windows_of(ramp, block)
    assert len(windows.lengths) == NUM_WINDOWS
    starts = windows.windows[:, 0]
    expected = np.linspace(0, 240_000 - WINDOW_SAMPLES, NUM_WINDOWS)
    assert np.abs(starts - expected).max() <= WINDOW_SAMPLES


def test_silence_and_nothing_have_no_rolloff() -> None:
    assert windows_of(np.zeros(5000)).rolloff_hz(RATE) is None
    assert Windows(5000).rolloff_hz(RATE) is None
    assert windows_of(np.full(5000, np.nan)).rolloff_hz(RATE) is None


def test_windows_beyond_a_false_length_are_not_waited_for() -> None:
    windows = Windows(2**36)
    windows.add(np.ones((5000, 2), np.int16), 0)
    assert windows.lengths == [WINDOW_SAMPLES]
