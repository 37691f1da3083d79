"""Changes of a clip: what they do, and that nothing but the key decides."""

import numpy as np
import pytest

from audiorig.config import AugmentConfig
from audiorig.data.augment import at_speed, augment, is_changed, with_noise
from audiorig.randomness import keyed_generator

RATE = 16000
NOTHING = {"gain_db": 0.0, "noise_snr_db": (300.0, 300.0), "speed": 0.0, "shift_sec": 0.0}


def tone(frequency_hz: float = 400.0) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * frequency_hz * np.arange(RATE) / RATE)).astype(np.float32)


def changed(settings: dict, *key: int, samples: np.ndarray | None = None) -> np.ndarray:
    given = tone() if samples is None else samples
    return augment(given, RATE, AugmentConfig(**{**NOTHING, **settings}), keyed_generator("test", *key))


def level_db(samples: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def test_what_is_switched_off_does_nothing() -> None:
    samples = tone()
    before = samples.copy()
    np.testing.assert_allclose(changed({}, 0, samples=samples), samples, atol=1e-6)
    changed({"gain_db": 20.0}, 0, samples=samples)
    np.testing.assert_array_equal(samples, before)


def test_the_key_alone_decides() -> None:
    everything = {"gain_db": 6.0, "noise_snr_db": (10.0, 40.0), "speed": 0.1, "shift_sec": 0.2}
    first, again, other = (changed(everything, key) for key in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape
    assert first.dtype == np.float32


def test_gain_stays_within_its_bounds_and_reaches_them() -> None:
    gains = [level_db(changed({"gain_db": 6.0}, key)) - level_db(tone()) for key in range(200)]
    assert min(gains) == pytest.approx(-6, abs=0.2)
    assert max(gains) == pytest.approx(6, abs=0.2)
    assert np.mean(gains) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_noise_lies_so_many_decibels_below_the_clip(snr_db: float) -> None:
    noise = with_noise(tone(), snr_db, np.random.default_rng(0)) - tone()
    assert level_db(tone()) - level_db(noise) == pytest.approx(snr_db, abs=0.2)
    assert with_noise(np.zeros(100, np.float32), snr_db, np.random.default_rng(0)).any() == np.False_


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.4])
def test_faster_is_shorter_and_higher(factor: float) -> None:
    found = at_speed(tone(400), factor)
    assert len(found) == pytest.approx(RATE / factor, abs=2)
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert np.argmax(spectrum) * RATE / len(found) == pytest.approx(400 * factor, abs=1.5)


def test_a_shift_rolls_and_loses_nothing() -> None:
    samples = np.arange(RATE, dtype=np.float32)
    shifts = set()
    for key in range(100):
        found = changed({"shift_sec": 0.2}, key, samples=samples)
        first = int(np.argmin(np.abs(found)))
        np.testing.assert_allclose(found, np.roll(samples, first), rtol=1e-5, atol=1e-3)
        shifts.add(min(first, first - RATE, key=abs))
    assert max(map(abs, shifts)) <= 0.2 * RATE
    assert min(shifts) < -0.15 * RATE
    assert max(shifts) > 0.15 * RATE


def test_switching_one_change_off_leaves_the_others_as_they_were() -> None:
    with_gain = changed({"gain_db": 6.0, "noise_snr_db": (10.0, 20.0)}, 5)
    without = changed({"noise_snr_db": (10.0, 20.0)}, 5)
    assert np.std(with_gain / without) < 1e-4


def test_the_share_is_kept() -> None:
    settings = AugmentConfig(share=0.3)
    count = sum(is_changed(settings, keyed_generator("share", item)) for item in range(2000))
    assert count / 2000 == pytest.approx(0.3, abs=0.03)
    assert not is_changed(AugmentConfig(share=0.0), keyed_generator("share", 0))
    assert is_changed(AugmentConfig(share=1.0), keyed_generator("share", 0))


def test_an_empty_clip_stays_empty() -> None:
    assert len(changed({"speed": 0.1}, 0, samples=np.empty(0, np.float32))) == 0
