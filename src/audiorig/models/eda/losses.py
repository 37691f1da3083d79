"""What training makes small: one loss per trace, over the steps that its listener heard."""

import torch
from torch import Tensor
from torch.nn import functional

from audiorig.config.eda import EdaLossConfig
from audiorig.models.eda.agreement import ccc, heard_alone, mae, mean_over, mse


def trace_losses(settings: EdaLossConfig, predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """A trace's mean loss over its heard steps; 0 for a trace without any, so that sums need no second mask.

    Args:
        settings: name and numbers of the loss.
        predicted: (..., M).
        true: (..., M) in the same units; its leading dimensions and those of ``predicted`` are broadcast.
        is_heard: bool (..., M).

    Returns:
        (...), finite and with a finite gradient for constant predictions and traces of one step too.
    """
    match settings.name:
        case "mse":
            losses = mse(predicted, true, is_heard)
        case "l1":
            losses = mae(predicted, true, is_heard)
        case "huber":
            losses = huber(predicted, true, is_heard, settings.delta)
        case "ccc":
            losses = discordance(predicted, true, is_heard)
        case "mse+slope":
            losses = mse(predicted, true, is_heard)
            losses = losses + settings.slope_weight * slope_mse(predicted, true, is_heard)
    return torch.where(is_heard.any(-1), losses, 0)


def huber(predicted: Tensor, true: Tensor, is_heard: Tensor, delta: float) -> Tensor:
    """Half the squared error up to ``delta``, a line of slope ``delta`` beyond (Huber, 1964); mean over steps."""
    predicted, true, is_heard = heard_alone(predicted, true, is_heard)
    return mean_over(functional.huber_loss(predicted, true, reduction="none", delta=delta), is_heard)


def discordance(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """One minus the concordance correlation; where that is not defined, 1: no agreement was shown."""
    return 1 - ccc(predicted, true, is_heard).nan_to_num(nan=0.0)


def slope_mse(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Mean squared error of the differences between neighbouring heard steps; 0 where there are no such pairs."""
    is_pair = is_heard[..., 1:] & is_heard[..., :-1]
    losses = mse(predicted.diff(dim=-1), true.diff(dim=-1), is_pair)
    return torch.where(is_pair.any(-1), losses, 0)
