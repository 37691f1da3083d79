"""The collapse watch: rank and cosine of vectors whose answers are known."""

import pytest
import torch

from audiorig.evaluate.collapse import Spread, mean_cosine


def test_rank_counts_directions() -> None:
    vectors = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(0))
    for number in (1, 3, 8):
        spread = Spread(8)
        kept = vectors * (torch.arange(8) < number) + 5.0  # a mean is no direction
        for part in kept.split(3000):
            spread.add(part)
        eigenvalues = torch.linalg.eigvalsh(torch.cov(kept.double().T))
        assert spread.rank() == pytest.approx(float(eigenvalues.sum() ** 2 / eigenvalues.square().sum()), rel=1e-9)
        assert spread.rank() == pytest.approx(number, rel=0.01)
    collapsed = Spread(8)
    collapsed.add(torch.full((100, 8), 0.3))
    assert collapsed.rank() == 0


def test_cosine_is_one_for_a_collapsed_encoder() -> None:
    assert mean_cosine(torch.tensor([[1.0, 2.0]]).repeat(5, 1) * torch.arange(1, 6)[:, None]) == pytest.approx(1)
    assert mean_cosine(torch.eye(4)) == pytest.approx(0)
    assert mean_cosine(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-1)
