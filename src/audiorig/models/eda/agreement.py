"""How well a predicted trace agrees with a true one, over the steps that were heard.

Each measure takes predicted (..., M), true (..., M) and is_heard (..., M), True where there is something to
compare with, and gives one value per trace, (...). Leading dimensions are broadcast: one prediction for all
listeners of a song is (B, 1, M) beside (B, S, M). What lies where nothing was heard is not read, NaN included.
Half precision is widened to float32, float64 stays.

A value that is not defined is NaN: anything without heard steps, a correlation with a constant. A trace is
constant if its heard values are one and the same number; its variance may come out as a rounding error, and a
correlation with that would be a random number. All are differentiable; where the value is not defined, the
gradient is 0.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Means, variances and covariance over heard steps, divided by their number; (...) each.

    Attributes:
        mean_gap: mean of predicted minus mean of true.
        covariance: exactly 0 where one of the two is constant.
        predicted: variance, exactly 0 where it is constant.
        true: likewise.
    """

    mean_gap: Tensor
    covariance: Tensor
    predicted: Tensor
    true: Tensor


def mse(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Mean squared error."""
    predicted, true, is_heard = heard_alone(predicted, true, is_heard)
    return mean_over((predicted - true).square(), is_heard)


def mae(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Mean absolute error."""
    predicted, true, is_heard = heard_alone(predicted, true, is_heard)
    return mean_over((predicted - true).abs(), is_heard)


def pearson(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Pearson's correlation; not defined if one of the two is constant."""
    found = moments(predicted, true, is_heard)
    return _ratio(found.covariance, _root(found.predicted) * _root(found.true)).clamp(-1, 1)


def ccc(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Concordance correlation (Lin, Biometrics 45, 1989), with moments divided by the number of steps.

    0 if one of the two is constant; not defined if both are.
    """
    found = moments(predicted, true, is_heard)
    spread = found.predicted + found.true
    return _ratio(2 * found.covariance, torch.where(spread > 0, spread + found.mean_gap.square(), 0))


def sd_ratio(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Tensor:
    """Standard deviation of the prediction over that of the truth: below 1, it is too flat."""
    found = moments(predicted, true, is_heard)
    return _ratio(_root(found.predicted), _root(found.true))


def moments(predicted: Tensor, true: Tensor, is_heard: Tensor) -> Moments:
    """Of what was heard: means first, then products of what differs from them.

    In one pass, a small spread at a high level would be lost.
    """
    predicted, true, is_heard = heard_alone(predicted, true, is_heard)
    (x_mean, x), (y_mean, y) = _centred(predicted, is_heard), _centred(true, is_heard)
    covariance, x_variance, y_variance = (mean_over(product, is_heard) for product in (x * y, x * x, y * y))
    return Moments(x_mean - y_mean, covariance, x_variance, y_variance)


def heard_alone(predicted: Tensor, true: Tensor, is_heard: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three in one shape (..., M), with 0 for what was not heard.

    To mask a loss would be too late: the gradient of a masked NaN is 0 times NaN.
    """
    predicted, true, is_heard = torch.broadcast_tensors(_widened(predicted), _widened(true), is_heard)
    return torch.where(is_heard, predicted, 0), torch.where(is_heard, true, 0), is_heard


def mean_over(values: Tensor, is_heard: Tensor) -> Tensor:
    """Mean (...) of values (..., M) over heard steps, NaN where there is none."""
    total = torch.where(is_heard, values, 0).sum(-1)
    return _ratio(total, is_heard.sum(-1).to(values.dtype))


def _centred(values: Tensor, is_heard: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (...), and the differences from it (..., M), 0 where nothing was heard.

    Those of a constant are 0 too, but keep their gradient: concordance has to lead away from a flat prediction.
    """
    mean = mean_over(values, is_heard)
    centred = torch.where(is_heard, values - mean[..., None], 0)
    highest = torch.where(is_heard, values, -torch.inf).amax(-1, keepdim=True)
    lowest = torch.where(is_heard, values, torch.inf).amin(-1, keepdim=True)
    return mean, torch.where(highest > lowest, centred, centred - centred.detach())


def _widened(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _root(values: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0."""
    is_positive = values > 0
    return torch.where(is_positive, torch.where(is_positive, values, 1).sqrt(), 0)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """NaN, with a gradient of 0, unless it is divided by more than 0."""
    is_defined = below > 0
    return torch.where(is_defined, above / torch.where(is_defined, below, 1), torch.nan)
