"""YIN on sounds of known pitch."""

import numpy as np
import pytest

from audiorig.models.pitch.yin import FRAME_SAMPLES, VOICED_PERIODICITY, estimate_pitch

RATE = 16000


def frames_of(*waveforms: np.ndarray) -> np.ndarray:
    return np.stack([waveform[:FRAME_SAMPLES] for waveform in waveforms]).astype(np.float32)


def tone(hz: float, harmonics: int = 1, phase: float = 0.4) -> np.ndarray:
    time = np.arange(FRAME_SAMPLES) / RATE
    return sum(0.3 / k * np.sin(2 * np.pi * k * hz * time + phase * k) for k in range(1, harmonics + 1))


def slow_normalised_difference(frame: np.ndarray, lags: int) -> np.ndarray:
    """The same as in the module, pair by pair."""
    sound = frame.astype(np.float64)
    means = [np.square(sound[lag:] - sound[: len(sound) - lag]).mean() for lag in range(lags + 1)]
    return np.array([1.0] + [means[lag] / np.mean(means[1 : lag + 1]) for lag in range(1, lags + 1)])


@pytest.mark.parametrize("harmonics", [1, 8])
def test_tones_are_found_within_a_cent(harmonics: int) -> None:
    truth = np.geomspace(60, 500, 60)
    hz, periodicity = estimate_pitch(frames_of(*(tone(each, harmonics) for each in truth)), RATE, 50, 550)
    assert 1200 * np.abs(np.log2(hz / truth)).max() < 1
    assert periodicity.min() > 0.95


def test_a_missing_fundamental_is_found() -> None:
    hz, _ = estimate_pitch(frames_of(tone(200, 6) - tone(200, 1)), RATE, 50, 550)
    assert hz[0] == pytest.approx(200, rel=1e-3)


def test_periodicity_is_one_minus_the_normalised_difference() -> None:
    noisy = tone(140, 4) + 0.2 * np.random.default_rng(0).standard_normal(FRAME_SAMPLES)
    hz, periodicity = estimate_pitch(frames_of(noisy), RATE, 50, 550)
    slow = slow_normalised_difference(frames_of(noisy)[0], 330)
    assert periodicity[0] == pytest.approx(1 - slow[round(RATE / hz[0])], abs=2e-3)
    assert 0.3 < periodicity[0] < 0.95


def test_noise_and_silence_have_no_period() -> None:
    noise = np.random.default_rng(1).standard_normal((50, FRAME_SAMPLES))
    hz, periodicity = estimate_pitch(frames_of(*noise, np.zeros(FRAME_SAMPLES), np.ones(FRAME_SAMPLES)), RATE, 50, 550)
    assert periodicity.max() < VOICED_PERIODICITY
    assert periodicity[-2:].tolist() == [0, 0]  # an offset is no sound
    assert ((hz >= 50) & (hz <= 550)).all()


def test_frames_do_not_meet() -> None:
    frames = np.random.default_rng(2).standard_normal((9, FRAME_SAMPLES)).astype(np.float32)
    whole, alone = estimate_pitch(frames, RATE, 50, 550), estimate_pitch(frames[4:5], RATE, 50, 550)
    assert whole[0][4] == alone[0][0]
    assert whole[1][4] == alone[1][0]
