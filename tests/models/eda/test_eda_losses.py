"""Losses against a loop over traces, and their gradients where there is little to go by."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audiorig.config.eda import EdaLossConfig
from audiorig.models.eda.losses import trace_losses

SETTINGS = {
    "mse": EdaLossConfig(name="mse"),
    "l1": EdaLossConfig(name="l1"),
    "huber": EdaLossConfig(name="huber", delta=0.7),
    "ccc": EdaLossConfig(name="ccc"),
    "mse+slope": EdaLossConfig(name="mse+slope", slope_weight=3.0),
}


def loss_of_trace(settings: EdaLossConfig, x: np.ndarray, y: np.ndarray, is_heard: np.ndarray) -> float:
    """Step by step, (M,) each."""
    steps = [step for step in range(len(x)) if is_heard[step]]
    gaps = np.array([x[step] - y[step] for step in steps])
    match settings.name:
        case "l1":
            return np.mean([abs(gap) for gap in gaps])
        case "huber":
            d = settings.delta
            return np.mean([gap**2 / 2 if abs(gap) <= d else d * (abs(gap) - d / 2) for gap in gaps])
        case "ccc":
            x, y = x[steps], y[steps]
            return 1 - 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        case "mse":
            return np.mean(gaps**2)
    slopes = [
        (x[step] - x[step - 1] - y[step] + y[step - 1]) ** 2
        for step in range(1, len(x))
        if is_heard[step] and is_heard[step - 1]
    ]
    return np.mean(gaps**2) + settings.slope_weight * np.mean(slopes)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Two songs, padded on the left by 6 and 0 steps, with three listeners; NaN where nothing was heard."""
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn(2, 1, 30, generator=generator, dtype=torch.float64)
    true = 2 * torch.randn(2, 3, 30, generator=generator, dtype=torch.float64)
    is_heard = torch.rand(2, 3, 30, generator=generator) < 0.7
    is_heard[0, :, :6] = False
    return predicted, torch.where(is_heard, true, torch.nan), is_heard


@pytest.mark.parametrize("name", SETTINGS)
def test_equal_to_a_loop(name: str) -> None:
    predicted, true, is_heard = batch()
    found = trace_losses(SETTINGS[name], predicted, true, is_heard)
    for song, listener in np.ndindex(2, 3):
        arrays: Any = (each.numpy() for each in (predicted[song, 0], true[song, listener], is_heard[song, listener]))
        assert found[song, listener].item() == pytest.approx(loss_of_trace(SETTINGS[name], *arrays), rel=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients(name: str) -> None:
    predicted, true, is_heard = batch()
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: trace_losses(SETTINGS[name], x, true, is_heard), predicted)


@pytest.mark.parametrize("name", SETTINGS)
def test_little_to_go_by(name: str) -> None:
    """A constant prediction of a moving and of a constant trace, one step, nothing."""
    predicted = torch.full((4, 5), 0.1, requires_grad=True)
    true = torch.tensor([[1.0, 3, 2, 4, 0], [2, 2, 2, 2, 2], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])
    is_heard = torch.tensor([[True] * 5, [True] * 5, [False, True, False, False, False], [False] * 5])
    losses = trace_losses(SETTINGS[name], predicted, true, is_heard)
    (gradient,) = torch.autograd.grad(losses.sum(), predicted)
    assert losses.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[0].abs().sum() > 0
    assert losses[3] == 0
    assert (gradient[~is_heard] == 0).all()


def test_concordance_without_any_is_a_loss_of_one() -> None:
    flat, heard = torch.full((2, 4), 0.1), torch.tensor([[True] * 4, [True, False, False, False]])
    assert trace_losses(SETTINGS["ccc"], flat, flat, heard).tolist() == [1, 1]


def test_a_slope_is_not_taken_over_a_gap() -> None:
    predicted, true = torch.zeros(4), torch.tensor([0.0, 0, 9, 0])
    is_heard = torch.tensor([True, True, False, True])
    assert trace_losses(SETTINGS["mse+slope"], predicted, true, is_heard) == 0
    assert trace_losses(SETTINGS["mse+slope"], predicted, true, torch.ones(4, dtype=torch.bool)) == 81 / 4 + 3 * 54


def test_a_listener_who_heard_nothing_adds_nothing_to_the_step() -> None:
    predicted, true, is_heard = batch()
    alone = trace_losses(SETTINGS["huber"], predicted[:, :, :], true[:, :2], is_heard[:, :2]).sum()
    is_heard[:, 2] = False
    assert trace_losses(SETTINGS["huber"], predicted, true, is_heard).sum() == alone
