"""Levels of made-up crops whose level is known."""

import numpy as np
import pytest

from audiorig.config import SilenceConfig
from audiorig.data.silence import LOWEST_DBFS, is_too_silent, measure

RATE = 16000


def tone(amplitude: float, duration_sec: float = 1.0) -> np.ndarray:
    time = np.arange(round(duration_sec * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 400 * time)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_tone_has_the_level_of_its_amplitude(amplitude: float) -> None:
    level, active = measure(tone(amplitude), RATE, -50.0)
    assert level == pytest.approx(20 * np.log10(amplitude / np.sqrt(2)), abs=0.01)
    assert active == float(amplitude > 0.005)


def test_frames_with_sound_are_counted() -> None:
    """12 of 40 frames: two stretches that begin and end with a frame."""
    crop = np.zeros(RATE, np.float32)
    crop[400:2400] = tone(0.1, 0.125)  # 5 frames
    crop[8000:10800] = tone(0.1, 0.175)  # 7
    level, active = measure(crop, RATE, -50.0)
    assert active == pytest.approx(12 / 40)
    assert level == pytest.approx(10 * np.log10(0.3 * 0.005), abs=0.01)


def test_a_constant_is_no_sound() -> None:
    level, active = measure(np.full(RATE, 0.25, np.float32), RATE, -50.0)
    assert level < -140
    assert active == 0
    offset = measure(tone(0.01) + np.float32(0.25), RATE, -50.0)
    assert offset == pytest.approx(measure(tone(0.01), RATE, -50.0), abs=0.01)


def test_nothing_and_less_than_a_frame() -> None:
    assert measure(np.zeros(0, np.float32), RATE, -50.0) == (LOWEST_DBFS, 0.0)
    assert measure(np.zeros(5, np.float32), RATE, -50.0) == (LOWEST_DBFS, 0.0)
    assert measure(tone(0.5)[:40], RATE, -50.0)[1] == 1.0  # a period, shorter than a frame
    assert measure(tone(0.5)[:799], RATE, -50.0)[1] == 1.0


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (tone(0.1), False),
        (tone(0.001), True),  # -63 dBFS
        (np.concatenate([np.zeros(15000, np.float32), tone(1.0)[:1000]]), True),  # loud, but 3 of 40 frames
        (np.concatenate([np.zeros(14000, np.float32), tone(1.0)[:2000]]), False),  # 5 of 40
        (np.zeros(RATE, np.float32), True),
    ],
)
def test_a_crop_must_pass_both_bounds(crop: np.ndarray, expected: bool) -> None:
    assert is_too_silent(crop, RATE, SilenceConfig()) is expected


def test_bounds_come_from_the_settings() -> None:
    assert is_too_silent(tone(0.1), RATE, SilenceConfig(min_rms_dbfs=-20))
    assert not is_too_silent(tone(0.1), RATE, SilenceConfig(min_rms_dbfs=-25))
    assert is_too_silent(tone(0.1), RATE, SilenceConfig(active_dbfs=-20))
    assert not is_too_silent(tone(0.1), RATE, SilenceConfig(active_dbfs=-20, min_active_share=0))
