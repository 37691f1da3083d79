"""Log magnitudes and their statistics."""

from pathlib import Path

import numpy as np
import torch

from audiorig.config import SpectrogramConfig
from audiorig.models.spectrogram import SpectrumStatistics, fit_statistics, log_magnitude, num_frames

STFT = SpectrogramConfig()


def test_a_tone_peaks_in_its_bin() -> None:
    time = torch.arange(24000) / 24000
    frames = log_magnitude(0.5 * torch.sin(2 * torch.pi * 3000 * time)[None], STFT)
    assert frames.shape == (1, num_frames(24000, STFT), 513)
    middle = frames[0, 40]
    assert middle.argmax() == 3000 * 1024 // 24000
    # A Hann window of 1024 sums to 512; half of the tone's 0.5 lies at the positive frequency.
    assert abs(float(middle.max().exp()) - 0.25 * 512) < 1


def test_silence_lies_on_the_floor() -> None:
    frames = log_magnitude(torch.zeros(2, 5000), STFT)
    torch.testing.assert_close(frames, torch.full_like(frames, float(np.log(STFT.floor))))


def test_statistics_of_known_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    waveforms = [0.1 * torch.randn(24000, generator=generator) for _ in range(20)]
    statistics = fit_statistics(waveforms, STFT)
    frames = torch.cat([log_magnitude(waveform[None], STFT)[0] for waveform in waveforms])
    torch.testing.assert_close(statistics.mean, frames.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(statistics.std, frames.std(0), atol=1e-2, rtol=0)
    assert statistics.is_scored.all()


def test_empty_bins_are_not_scored_and_do_not_explode() -> None:
    """A 1 kHz tone leaves the upper bins on the floor: their deviation is raised, they do not count."""
    time = torch.arange(240000, dtype=torch.float64) / 24000  # long: both ends click
    statistics = fit_statistics([0.3 * torch.sin(2 * torch.pi * 1000 * time).float()], STFT)
    assert not statistics.is_scored[300:].any()
    assert statistics.is_scored[42]
    assert float(statistics.std.min()) >= STFT.min_std


def test_statistics_are_saved_whole(tmp_path: Path) -> None:
    statistics = fit_statistics([torch.randn(4000)], STFT)
    statistics.save(tmp_path / "statistics.safetensors")
    loaded = SpectrumStatistics.load(tmp_path / "statistics.safetensors")
    assert torch.equal(loaded.mean, statistics.mean)
    assert torch.equal(loaded.floor_share, statistics.floor_share)
