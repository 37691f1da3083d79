"""Measures of agreement against loops of scipy and NumPy, and where they are not defined."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from audiorig.models.eda.agreement import ccc, mae, mse, pearson, sd_ratio

MEASURES = {"mse": mse, "mae": mae, "pearson": pearson, "ccc": ccc, "sd_ratio": sd_ratio}
WORKED_OUT: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mse": lambda x, y: np.mean((x - y) ** 2),
    "mae": lambda x, y: np.mean(np.abs(x - y)),
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    "ccc": lambda x, y: 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
    "sd_ratio": lambda x, y: x.std(ddof=1) / y.std(ddof=1),
}


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Three songs with four listeners: (3, 1, 50), (3, 4, 50) and a mask with gaps, padding and all of it."""
    generator = torch.Generator().manual_seed(seed)
    predicted = 3 + torch.randn(3, 1, 50, generator=generator, dtype=torch.float64)
    true = predicted + 0.8 * torch.randn(3, 4, 50, generator=generator, dtype=torch.float64)
    is_heard = torch.rand(3, 4, 50, generator=generator) < 0.8
    is_heard[0, :, :20] = False
    is_heard[1, 1] = True
    return predicted, true, is_heard


@pytest.mark.parametrize("name", MEASURES)
def test_equal_to_a_loop(name: str) -> None:
    predicted, true, is_heard = batch()
    found = MEASURES[name](predicted, true, is_heard)
    assert found.shape == (3, 4)
    for song, listener in np.ndindex(3, 4):
        mask = is_heard[song, listener].numpy()
        expected = WORKED_OUT[name](predicted[song, 0].numpy()[mask], true[song, listener].numpy()[mask])
        assert found[song, listener].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_what_was_not_heard_changes_nothing(name: str) -> None:
    predicted, true, is_heard = batch()
    predicted = predicted.expand_as(true)
    clean = MEASURES[name](predicted, true, is_heard)
    spoilt = [torch.where(is_heard, values, torch.nan) for values in (predicted, true)]
    assert torch.equal(MEASURES[name](*spoilt, is_heard), clean)


def test_known_values() -> None:
    true = torch.tensor([1.0, 2.0, 3.0, 4.0])
    heard = torch.ones(4, dtype=torch.bool)
    assert pearson(2 * true - 5, true, heard).item() == pytest.approx(1)
    assert pearson(-true, true, heard).item() == pytest.approx(-1)
    assert ccc(true, true, heard).item() == 1
    assert ccc(true + 1, true, heard).item() == pytest.approx(2 * 1.25 / (2.5 + 1))
    assert sd_ratio(true / 4, true, heard).item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("name", "flat_prediction", "flat_truth", "both_flat", "unheard"),
    [
        ("mse", False, False, False, True),
        ("mae", False, False, False, True),
        ("pearson", True, True, True, True),
        ("ccc", False, False, True, True),
        ("sd_ratio", False, True, True, True),
    ],
)
def test_where_it_is_not_defined(
    name: str, flat_prediction: bool, flat_truth: bool, both_flat: bool, unheard: bool
) -> None:
    """0.1 is not a number of the machine: its mean, and so its variance, carries a rounding error."""
    flat, moving = torch.full((7,), 0.1), torch.arange(7.0)
    heard, nothing = torch.ones(7, dtype=torch.bool), torch.zeros(7, dtype=torch.bool)
    cases = [(flat, moving, heard), (moving, flat, heard), (flat, flat + 1, heard), (moving, moving, nothing)]
    found = [MEASURES[name](*case).isnan().item() for case in cases]
    assert found == [flat_prediction, flat_truth, both_flat, unheard]


def test_a_constant_agrees_with_nothing() -> None:
    heard = torch.ones(7, dtype=torch.bool)
    assert ccc(torch.full((7,), 0.1), torch.arange(7.0), heard).item() == 0
    assert sd_ratio(torch.full((7,), 0.1), torch.arange(7.0), heard).item() == 0


def test_a_small_spread_at_a_high_level_is_kept() -> None:
    true = torch.tensor([1000.0, 1000.1, 1000.3, 1000.2])
    heard = torch.ones(4, dtype=torch.bool)
    values = true.numpy().astype(np.float64)
    assert sd_ratio(values_of(10 * (values - 1000)), true, heard).item() == pytest.approx(10, rel=1e-3)


def values_of(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).float()


@pytest.mark.parametrize("name", MEASURES)
def test_gradients(name: str) -> None:
    predicted, true, is_heard = batch()
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: MEASURES[name](x, true, is_heard), predicted)


@pytest.mark.parametrize("name", MEASURES)
def test_gradients_are_finite_where_nothing_is_defined(name: str) -> None:
    predicted = torch.full((4, 9), 0.1, requires_grad=True)
    true = torch.arange(36.0).reshape(4, 9)
    true[1] = 2
    is_heard = torch.ones(4, 9, dtype=torch.bool)
    is_heard[2] = False
    is_heard[3, 1:] = False
    values = MEASURES[name](predicted, true, is_heard)
    (gradient,) = torch.autograd.grad(values.nan_to_num().sum(), predicted)
    assert gradient.isfinite().all()
    assert (gradient[2] == 0).all()


def test_half_precision_is_widened() -> None:
    predicted, true, is_heard = batch()
    small = predicted.bfloat16()
    assert torch.equal(mse(small, true.float(), is_heard), mse(small.float(), true.float(), is_heard))
    assert pearson(small, true.bfloat16(), is_heard).dtype == torch.float32
