"""The gate of a tuning run: everything that is to learn does, or the run stops in its first steps.

Settings that train nothing look like any other run: adapters on modules whose forward is never
called are counted as trainable, stay as they were drawn, and change the outputs once they are
merged. Three things are looked at: that every such weight stands in the optimizer and gets a
gradient, that the gradient is not zero for good, and that the model's answers move.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.errors import ConfigError
from audiorig.models.modes import evaluating
from audiorig.randomness import random_state_fence
from audiorig.train import ranks
from audiorig.train.compilation import uncompiled

MOST_NAMED = 8
NONE, ZERO, NOT_ZERO = range(3)  # what a weight has of a gradient

log = logging.getLogger(__name__)


class GradientGate(TrainerCallback):
    """Stops a run in which a weight that should learn does not.

    - At the first step, each weight that learns stands in the optimizer and has a gradient.
    - Within ``patience`` steps each has had one that is not all zero. With adapters it takes two: the
      gradient of their first factor is zero as long as the second one is.
    - Within as many steps the answers to a fixed batch have moved: at the first step, but for rates
      so small that float32 does not see them.

    A step counts if it changes something: its gradient was finite and its rate above zero. Several
    ranks look together, and all of them stop. Once all is well, nothing is looked at any more. A run
    that is resumed has been looked at; only that gradients arrive is seen to again, once. The
    training is not touched: a run with a gate ends in the same weights as one without.

    Args:
        batch: gives a small batch without labels, on the CPU; called once, before the first step.
        outputs: what the model answers to it, e.g. all logits.
        patience: steps within which gradients and answers must show.
        rare: beginnings of the names of weights whose gradient may be zero for longer, such as those
            of a head whose target few clips have.

    Attributes:
        has_passed: whether all was well.
    """

    def __init__(
        self,
        batch: Callable[[], dict[str, Any]],
        outputs: Callable[[Any, dict[str, Any]], Tensor],
        *,
        patience: int = 10,
        rare: Sequence[str] = (),
    ) -> None:
        self.has_passed = False
        self._make_batch, self._outputs, self._patience, self._rare = batch, outputs, patience, tuple(rare)
        self._batch: dict[str, Any] = {}
        self._first_answers: Tensor | None = None  # until they have moved
        self._silent: set[str] = set()  # weights without any gradient but zero so far
        self._is_resumed = self._changes_something = False
        self._num_steps, self._largest_rate = 0, 0.0

    # ---------------------------------------------------------------- events

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **other: Any
    ) -> None:
        learning = _learning(model)
        if not learning:
            raise ConfigError("no weight of the model learns: set tuning.learn, or give it a head that does")
        self._is_resumed = state.global_step > 0
        if not self._is_resumed:
            self._silent = {name for name in learning if not name.startswith(self._rare)}
            with random_state_fence():
                self._batch = self._make_batch()
            self._first_answers = self._answers(model)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        optimizer: Any = None,
        **other: Any,
    ) -> None:
        if self.has_passed:
            return
        learning = _learning(model)
        states = _gradients(learning)
        # Without any, the gradient was not finite, and the trainer took it away: this step changes nothing.
        self._changes_something = any(states.values())
        if self._changes_something:
            _check_optimizer(learning, optimizer)
            _check_present([name for name, gradient in states.items() if not gradient])
            self._silent -= {name for name, gradient in states.items() if gradient == NOT_ZERO}

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, optimizer: Any = None, **other: Any
    ) -> None:
        if not self.has_passed:  # here, before the schedule moves on: the rate that the step was made with
            rate = max(float(group["lr"]) for group in optimizer.param_groups)
            self._changes_something = self._changes_something and rate > 0
            self._largest_rate = max(self._largest_rate, rate)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **other: Any
    ) -> None:
        if self.has_passed or not self._changes_something:
            return
        self._num_steps += 1
        if self._first_answers is not None and self._have_moved(self._first_answers, model):
            self._first_answers = None
        if self._first_answers is None and not self._silent:
            self.has_passed, self._batch = True, {}
        elif self._num_steps >= self._patience:
            self._stop()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if not self.has_passed and self._num_steps and ranks.is_main():
            log.warning("the run ended after %d steps, before it was seen that all weights learn", self._num_steps)

    # ------------------------------------------------------------- judgement

    def _stop(self) -> None:
        if self._silent:
            raise ConfigError(
                f"{len(self._silent)} weights that should learn had a gradient of zero in all of the first "
                f"{self._num_steps} steps: {_some(self._silent)}; {_advice(self._silent)}; if they learn from few "
                "clips alone, take larger batches"
            )
        raise ConfigError(
            f"the model answers as it did at first after {self._num_steps} steps, at learning rates up to "
            f"{self._largest_rate:.3g}: raise train.learning_rate, or let more weights learn (tuning.learn, "
            "tuning.lora, tuning.num_prompts)"
        )

    def _have_moved(self, first: Tensor, model: nn.Module) -> bool:
        return bool(ranks.largest(int(not torch.equal(self._answers(model), first))))

    def _answers(self, model: nn.Module) -> Tensor:
        device = next(model.parameters()).device
        batch = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in self._batch.items()}
        with random_state_fence(), torch.no_grad(), evaluating(model), uncompiled(), _plain_forward(model):
            return self._outputs(model, batch).detach().float().cpu()


def _learning(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _gradients(learning: Mapping[str, nn.Parameter]) -> dict[str, int]:
    """NONE, ZERO or NOT_ZERO for each weight: what any rank has; NONE for all if one rank has none at all."""
    gradients = [parameter.grad for parameter in learning.values()]
    # All flags in one tensor, so that a GPU is waited for once.
    device = next(iter(learning.values())).device
    none = torch.tensor(False, device=device)
    is_nonzero = torch.stack([none if gradient is None else gradient.any() for gradient in gradients]).cpu()
    mine = torch.tensor([gradient is not None for gradient in gradients]).int() + is_nonzero.int()
    by_rank = ranks.stacked(mine)
    found = by_rank.amax(0) * bool(by_rank.any(1).all())
    return dict(zip(learning, found.tolist(), strict=True))


def _check_optimizer(learning: Mapping[str, nn.Parameter], optimizer: Any) -> None:
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    left_out = [name for name, parameter in learning.items() if id(parameter) not in held]
    if left_out:
        raise ConfigError(
            f"{len(left_out)} weights that should learn are not among those of the optimizer: {_some(left_out)}; "
            "tune the encoder (apply_tuning) before the trainer is made"
        )


def _check_present(cut_off: Collection[str]) -> None:
    if cut_off:
        raise ConfigError(
            f"{len(cut_off)} weights that should learn got no gradient in the first step: {_some(cut_off)}; "
            f"{_advice(cut_off)}"
        )


def _advice(names: Collection[str]) -> str:
    if all(".lora_" in name for name in names):
        return (
            "the modules that hold these adapters are not called, or nothing depends on them: name others in "
            "tuning.lora.targets, or none, for those that are known to learn"
        )
    return "the loss does not depend on them: take them out of what learns (tuning.learn, tuning.modules)"


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:MOST_NAMED]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


@contextmanager
def _plain_forward(model: nn.Module) -> Iterator[None]:
    """The model's own ``forward``, without what is wrapped around it: half precision would round a small move away."""
    wrapped = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if wrapped is not None:
            model.__dict__["forward"] = wrapped
