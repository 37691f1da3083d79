"""The last few cents: found where there is a period, left alone where there is none."""

import numpy as np
import pytest
import torch

from audiorig.models.pitch.refine import REACH_CENTS, refine

RATE = 16000


def frames_of(hz: np.ndarray, harmonics: int = 1) -> torch.Tensor:
    """A frame (1024,) of each tone, in another phase."""
    time = np.arange(1024) / RATE
    phase = 2 * np.pi * hz[:, None] * time + np.arange(len(hz))[:, None]
    return torch.from_numpy(sum(np.sin(k * phase) / k for k in range(1, harmonics + 1)).astype(np.float32))


def cents(hz: torch.Tensor, other: np.ndarray) -> np.ndarray:
    return 1200 * np.log2(hz.double().numpy() / other)


@pytest.mark.parametrize("off", [-25, -8, 0, 3, 25])
@pytest.mark.parametrize("harmonics", [1, 5])
def test_a_rough_pitch_becomes_exact(off: int, harmonics: int) -> None:
    hz = np.geomspace(50, 540, 40)
    rough = torch.from_numpy(hz * 2 ** (off / 1200)).float()
    assert np.abs(cents(refine(frames_of(hz, harmonics), rough, RATE), hz)).max() < 1.5


def test_it_never_goes_farther_than_its_reach() -> None:
    """Nor to another octave: with a wrong one it stays near what it was given."""
    hz = np.geomspace(60, 250, 20)
    for rough in (hz * 1.5, hz * 2, hz / 1.1):
        found = refine(frames_of(hz, 3), torch.from_numpy(rough).float(), RATE)
        assert np.abs(cents(found, rough)).max() <= REACH_CENTS + 0.01


def test_noise_and_silence_keep_the_word_of_the_network() -> None:
    noise = torch.randn(50, 1024, generator=torch.Generator().manual_seed(0))
    rough = torch.linspace(55, 500, 50)
    assert torch.equal(refine(noise, rough, RATE), rough)
    assert torch.equal(refine(torch.zeros(50, 1024), rough, RATE), rough)


def test_a_period_too_long_for_the_frame_is_left_alone() -> None:
    rough = torch.tensor([33.0])
    assert torch.equal(refine(frames_of(np.array([33.1])), rough, RATE), rough)
