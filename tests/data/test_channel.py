"""The recording channel: drawn from the generator alone, within its ranges, never clipping."""

import numpy as np
import numpy.typing as npt
import pytest

from audiorig.data.channel import draw_gain_db, random_channel

SAMPLE_RATE_HZ = 24_000


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def _tones(duration_sec: float = 1.0) -> npt.NDArray[np.float32]:
    time_sec = np.arange(round(duration_sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return sum(0.1 * np.sin(2 * np.pi * f * time_sec) for f in (200, 900, 2500, 6000)).astype(np.float32)


def _rms_dbfs(waveform: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


def test_same_generator_gives_same_channel_and_leaves_the_input_alone() -> None:
    waveform = _tones()
    before = waveform.copy()
    first, second = (random_channel(waveform, SAMPLE_RATE_HZ, _generator(3)) for _ in range(2))
    assert first.dtype == np.float32
    assert first.shape == waveform.shape
    assert np.array_equal(first, second)
    assert not np.array_equal(first, random_channel(waveform, SAMPLE_RATE_HZ, _generator(4)))
    assert np.array_equal(waveform, before)


@pytest.mark.parametrize("seed", range(20))
def test_level_is_in_the_asked_range(seed: int) -> None:
    recorded = random_channel(_tones(), SAMPLE_RATE_HZ, _generator(seed), level_dbfs=(-30, -25))
    assert -30.01 <= _rms_dbfs(recorded) <= -24.99


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 35.0])
def test_noise_is_at_the_asked_ratio(snr_db: float) -> None:
    # The same draws with the noise 120 dB down are the same recording without noise.
    waveform, level_dbfs = _tones(2.0), (-25.0, -25.0)
    noisy, clean = (
        random_channel(waveform, SAMPLE_RATE_HZ, _generator(5), level_dbfs=level_dbfs, snr_db=(snr, snr))
        for snr in (snr_db, 120.0)
    )
    gain = np.dot(noisy, clean) / np.dot(clean, clean)
    measured_db = _rms_dbfs(gain * clean) - _rms_dbfs(noisy - gain * clean)
    assert measured_db == pytest.approx(snr_db, abs=0.3)


def test_response_stays_within_27_db_and_differs_from_channel_to_channel() -> None:
    frequency_hz = np.geomspace(60, 12_000, 200)
    gains_db = np.stack([draw_gain_db(frequency_hz, _generator(seed)) for seed in range(200)])
    assert np.abs(gains_db).max() < 27
    assert 3 < gains_db.std(axis=0).mean() < 8


def test_tones_change_by_less_than_27_db_against_each_other() -> None:
    waveform = _tones()
    for seed in range(20):
        recorded = random_channel(waveform, SAMPLE_RATE_HZ, _generator(seed), snr_db=(80, 80))
        ratio = np.abs(np.fft.rfft(recorded)) / np.abs(np.fft.rfft(waveform))
        gain_db = 20 * np.log10(ratio[[200, 900, 2500, 6000]])
        assert np.ptp(gain_db) < 27


def test_loud_level_is_lowered_instead_of_clipped() -> None:
    click = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    click[5000] = 0.5
    recorded = random_channel(click, SAMPLE_RATE_HZ, _generator(0), level_dbfs=(-1, -1))
    assert np.abs(recorded).max() == pytest.approx(0.99, abs=1e-6)
    assert np.sum(np.abs(recorded) > 0.98) < 10


def test_an_onset_does_not_ring_into_the_other_end() -> None:
    burst = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    burst[:50] = 0.5
    recorded = random_channel(burst, SAMPLE_RATE_HZ, _generator(1), snr_db=(200, 200))
    assert np.abs(recorded[-5000:]).max() < 1e-3 * np.abs(recorded).max()


@pytest.mark.parametrize("waveform", [np.zeros(100), np.zeros(0), np.full(100, np.nan)])
def test_waveform_without_energy_is_refused(waveform: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="expected > 0"):
        random_channel(waveform, SAMPLE_RATE_HZ, _generator(0))


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 100\)"):
        random_channel(np.ones((2, 100)), SAMPLE_RATE_HZ, _generator(0))
