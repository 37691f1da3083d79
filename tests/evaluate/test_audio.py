"""Magnitudes to waveforms: round trips, determinism, ends, levels."""

import math

import pytest
import torch
from torch import Tensor

from audiorig.config import SpectrogramConfig
from audiorig.evaluate.audio import common_gain, griffin_lim, one_gain, with_oracle_phase
from audiorig.models.spectrogram import log_magnitude

STFT = SpectrogramConfig()
RATE = 24000


def vowel(num_samples: int, pitch_hz: float = 130.0) -> Tensor:
    """Harmonics under three formants, swelling, with a little noise."""
    time = torch.arange(num_samples, dtype=torch.float64) / RATE
    wave = torch.zeros_like(time)
    for number in range(1, 40):
        frequency = number * pitch_hz
        weight = sum(1 / (1 + ((frequency - formant) / 90) ** 2) for formant in (650, 1080, 2650))
        wave += weight * torch.sin(2 * torch.pi * frequency * time + number**2)
    noise = torch.randn(num_samples, generator=torch.Generator().manual_seed(1))
    return (0.1 * wave * torch.sin(2.5 * time).square()).float() + 0.002 * noise


def convergence(waveform: Tensor, target: Tensor) -> float:
    """Spectral convergence of a waveform's magnitudes to a target (M, F) in nepers."""
    found = log_magnitude(waveform[None], STFT)[0].exp()
    return float((found - target.exp()).norm() / target.exp().norm())


@pytest.mark.parametrize("num_samples", [12000, 12001, 12287, 12288, 12543])
def test_true_magnitudes_and_true_phase_are_the_waveform(num_samples: int) -> None:
    """Whatever is left behind the last whole hop; the floor costs what lies below it."""
    waveform = vowel(num_samples)
    for floor, tolerance in ((1e-9, 1e-6), (STFT.floor, 1e-5)):
        stft = SpectrogramConfig(floor=floor)
        rebuilt = with_oracle_phase(log_magnitude(waveform[None], stft)[0], waveform, stft)
        assert rebuilt.dtype == torch.float32
        torch.testing.assert_close(rebuilt, waveform, atol=tolerance, rtol=0)


def test_digital_silence_stays_silent() -> None:
    """The floor is not taken for a sound."""
    waveform = vowel(16000)
    waveform[6000:10000] = 0
    frames = log_magnitude(waveform[None], STFT)[0]
    assert with_oracle_phase(frames, waveform, STFT)[7100:9000].abs().max() < 1e-7
    nothing = torch.full((60, 513), math.log(STFT.floor))
    assert griffin_lim(nothing, STFT, 15000).abs().max() == 0
    assert with_oracle_phase(nothing, waveform, STFT).abs().max() == 0


@pytest.mark.parametrize("num_samples", [300, 12000, 12543])
def test_griffin_lim_is_deterministic(num_samples: int) -> None:
    frames = log_magnitude(vowel(num_samples)[None], STFT)[0]
    state = torch.random.get_rng_state()
    first = griffin_lim(frames, STFT, num_samples)
    torch.rand(5)
    assert torch.equal(griffin_lim(frames, STFT, num_samples), first)
    torch.random.set_rng_state(state)
    griffin_lim(frames, STFT, num_samples)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.shape == (num_samples,)
    assert first.dtype == torch.float32


def test_griffin_lim_gets_closer_with_every_iteration() -> None:
    waveform = vowel(24000)
    frames = log_magnitude(waveform[None], STFT)[0]
    errors = [convergence(griffin_lim(frames, STFT, 24000, number), frames) for number in (0, 4, 16, 32, 100)]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.2 < 0.4 < errors[0]


def test_griffin_lim_keeps_the_ends() -> None:
    """A vowel that is cut at both ends: the outer frames are as good as the others (0.2 where ends are mirrored)."""
    waveform = vowel(60000)[20000:40000]
    frames = log_magnitude(waveform[None], STFT)[0]
    found = log_magnitude(griffin_lim(frames, STFT, 20000)[None], STFT)[0].exp()
    error, whole = ((each**2).sum(1) for each in (found - frames.exp(), frames.exp()))
    for end in (slice(0, 2), slice(-2, None)):
        assert float((error[end].sum() / whole[end].sum()).sqrt()) < 0.13


def test_frames_that_are_missing_are_silent_and_frames_beyond_are_dropped() -> None:
    waveform = vowel(20000)
    frames = log_magnitude(waveform[None], STFT)[0]
    for rebuilt in (griffin_lim(frames[:50], STFT, 20000), with_oracle_phase(frames[:50], waveform, STFT)):
        assert len(rebuilt) == 20000
        assert rebuilt[51 * 256 + 512 :].abs().max() < 1e-3
        assert rebuilt[: 48 * 256].abs().max() > 0.05
        assert rebuilt.abs().max() < 2 * waveform.abs().max()
    assert torch.equal(griffin_lim(frames, STFT, 12000), griffin_lim(frames[:47], STFT, 12000))


def test_absurd_magnitudes_stay_finite() -> None:
    assert griffin_lim(torch.full((40, 513), 1e4), STFT, 10000).isfinite().all()


def test_one_gain_keeps_ratios() -> None:
    loud, quiet = 0.5 * torch.sin(torch.arange(999.0)), 0.05 * torch.sin(torch.arange(777.0))
    scaled = one_gain(quiet, loud)
    assert float(scaled[1].abs().max()) == pytest.approx(0.95)
    for before, after in zip((quiet, loud), scaled, strict=True):
        torch.testing.assert_close(after, before * (0.95 / float(loud.abs().max())))
    assert one_gain(torch.zeros(5))[0].tolist() == [0] * 5
    assert common_gain(loud, peak=0.5) == pytest.approx(0.5 / float(loud.abs().max()))
    assert common_gain() == 1
