"""Spectral controls: a tone peaks in its band, and a gain is seen or not, as the name says."""

import numpy as np
import pytest

from audiorig.evaluate.baselines import (
    LOG_MEL,
    LOG_MEL_DELTAS,
    LOG_MEL_LEVELLED,
    MFCC,
    NUM_CEPSTRA,
    NUM_MELS,
    spectral_features,
)


class Waveforms:
    """Stands in for ``Pieces``."""

    def __init__(self, waveforms: list[np.ndarray], sample_rate_hz: int = 24000) -> None:
        self.waveforms, self.sample_rate_hz = waveforms, sample_rate_hz

    def __len__(self) -> int:
        return len(self.waveforms)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.waveforms[index].astype(np.float32)


def tone(frequency_hz: float, rate: int = 24000) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(rate)
    return 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(rate) / rate) + 1e-3 * noise


def features(*waveforms: np.ndarray, rate: int = 24000) -> dict[str, np.ndarray]:
    return spectral_features(Waveforms(list(waveforms), rate))  # type: ignore[arg-type]


def mel(frequency_hz: float) -> float:
    return 2595 * np.log10(1 + frequency_hz / 700)


@pytest.mark.parametrize("rate", [16000, 24000])
@pytest.mark.parametrize("frequency_hz", [300, 1000, 3000, 7000])
def test_a_tone_peaks_in_the_band_that_holds_it(frequency_hz: float, rate: int) -> None:
    found = features(tone(frequency_hz, rate), rate=rate)[LOG_MEL][0, :NUM_MELS]
    centre = mel(frequency_hz) / mel(rate / 2) * (NUM_MELS + 1) - 1  # band n is centred on edge n + 1
    assert abs(int(found.argmax()) - centre) <= 1


def test_sizes_and_order() -> None:
    found = features(tone(300), tone(3000), tone(300))
    sizes = {LOG_MEL: NUM_MELS, LOG_MEL_LEVELLED: NUM_MELS, LOG_MEL_DELTAS: 2 * NUM_MELS, MFCC: NUM_CEPSTRA}
    assert {name: matrix.shape for name, matrix in found.items()} == {
        name: (3, 2 * size) for name, size in sizes.items()
    }
    for matrix in found.values():
        assert np.isfinite(matrix).all()
        assert np.array_equal(matrix[0], matrix[2])
        assert not np.allclose(matrix[0], matrix[1])


def test_a_gain_moves_log_mel_and_leaves_the_levelled_one() -> None:
    found = features(tone(1000), 0.25 * tone(1000))
    difference = found[LOG_MEL][0] - found[LOG_MEL][1]
    assert difference[:NUM_MELS] == pytest.approx(np.full(NUM_MELS, 2 * np.log(4)), abs=1e-3)  # of power, in nepers
    assert difference[NUM_MELS:] == pytest.approx(np.zeros(NUM_MELS), abs=1e-3)
    assert found[LOG_MEL_LEVELLED][0] == pytest.approx(found[LOG_MEL_LEVELLED][1], abs=1e-3)
    cepstra = found[MFCC][0] - found[MFCC][1]
    assert cepstra[0] == pytest.approx(2 * np.log(4) * np.sqrt(NUM_MELS), rel=1e-3)  # the level, of an orthonormal DCT
    assert cepstra[1:NUM_CEPSTRA] == pytest.approx(np.zeros(NUM_CEPSTRA - 1), abs=1e-3)


def test_cepstra_are_the_dct_of_log_mel() -> None:
    from scipy.fft import dct

    found = features(tone(1000))
    assert found[MFCC][0, :NUM_CEPSTRA] == pytest.approx(
        dct(found[LOG_MEL][0, :NUM_MELS], norm="ortho")[:NUM_CEPSTRA], abs=1e-2
    )


def test_deltas_see_what_changes() -> None:
    steady = tone(1000)
    rising = steady * np.linspace(0.1, 1, len(steady))
    deviation = features(steady, rising)[LOG_MEL_DELTAS][:, NUM_MELS : 2 * NUM_MELS].max(1)
    assert deviation[1] > deviation[0] + 0.01


def test_silence_has_a_floor_and_no_infinity() -> None:
    for matrix in features(np.zeros(24000)).values():
        assert np.isfinite(matrix).all()


def test_the_shortest_valid_clip_has_features() -> None:
    for matrix in features(tone(1000)[:7200]).values():  # 0.3 s, the least that validation lets pass
        assert np.isfinite(matrix).all()
