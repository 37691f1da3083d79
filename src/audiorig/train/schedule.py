"""The course of the learning rate: the rate of a step is the peak times a share.

``cosine``, ``linear`` and ``constant`` are transformers' own. ``reduce_on_plateau`` is not: theirs
has no warm-up. Here it is torch's ReduceLROnPlateau (with an absolute threshold, which is
``selection.delta``) that is begun when warm-up has ended, as a function of the evaluations in
the log.
"""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from audiorig.config import TrainConfig
from audiorig.train.selection import History, evaluations, is_gain

# By their names in transformers. Of a plateau the Trainer must know nothing: it would not warm up.
STOCK = {
    "cosine": "cosine_with_min_lr",
    "linear": "linear",
    "constant": "constant_with_warmup",
    "reduce_on_plateau": "constant_with_warmup",
}


def warmup_steps(settings: TrainConfig) -> int:
    """Steps in which the rate rises; the first of them has rate 0."""
    if settings.warmup_steps is not None:
        return settings.warmup_steps
    return math.ceil(settings.warmup_share * settings.max_steps)


def warmup_share(step: int, num_steps: int) -> float:
    """Share of the peak after so many steps, as in transformers' schedules; all of it where nothing warms up."""
    return min(1.0, step / num_steps) if num_steps else 1.0


def plateau_share(step: int, num_reductions: int, settings: TrainConfig) -> float:
    """``reduce_on_plateau``: share of the peak after so many steps and reductions."""
    return warmup_share(step, warmup_steps(settings)) * settings.plateau.factor**num_reductions


def num_reductions(history: History, settings: TrainConfig) -> int:
    """How often dev gained nothing in more than ``plateau.patience`` evaluations in a row.

    What was evaluated during warm-up does not count: at such rates nothing need be gained yet.
    """
    best: float | None = None
    waited = reductions = 0
    for step, value in evaluations(history, settings.selection):
        if step < warmup_steps(settings):
            continue
        if is_gain(value, best, settings.selection):
            best, waited = value, 0
        else:
            waited += 1
        if waited > settings.plateau.patience:
            waited, reductions = 0, reductions + 1
    return reductions


class PlateauSchedule(LambdaLR):
    """``reduce_on_plateau`` for an optimizer. Its state is the step and the number of reductions.

    Args:
        optimizer: each of its groups has a peak of its own.
        settings: warm-up, plateau and what is a gain.
    """

    def __init__(self, optimizer: Optimizer, settings: TrainConfig) -> None:
        self.num_reductions = 0
        super().__init__(optimizer, lambda step: plateau_share(step, self.num_reductions, settings))

    def take_in(self, num_reductions: int) -> None:
        """Set the rates of the next step anew after an evaluation.

        The Trainer has set them before it, with its step.
        """
        self.num_reductions = num_reductions
        rates: list[Any] = [
            base * share(self.last_epoch) for base, share in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates
