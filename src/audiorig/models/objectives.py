"""Terms of the loss: sums over what was observed, each with the count that it is divided by.

A term is one loss on one or several targets; a missing value is in neither its sum nor its count.
The count is that of a whole step, over micro-batches and ranks, and depends on the values alone:
so the gradient of a step is the same however the step is cut up, and the same as without the
clips whose values are missing.

Sums are masked, not picked: every output takes part in every loss, even in one that is 0, so all
ranks get a gradient for the same parameters.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from audiorig.config import LossConfig
from audiorig.config.targets import term_names
from audiorig.data.targets import Target

PIECE = 512  # clips that are compared with all others at once


class Said(NamedTuple):
    """What the network says of one target.

    Attributes:
        scores: float32 (B, O) of its head: one for each class, else one.
        logits: the same; of a rating with cutpoints (B, S - 1), that it is above each step but the last.
    """

    scores: Tensor
    logits: Tensor


class Others(NamedTuple):
    """All clips of a step, the micro-batch's own among them: what a loss of pairs must know.

    Attributes:
        scores: float32 (n,) of one target, without a gradient.
        values: float32 (n,), NaN where missing.
    """

    scores: Tensor
    values: Tensor


class Share(NamedTuple):
    """What a micro-batch contributes to a term.

    Attributes:
        total: scalar; added up over micro-batches, its value and its gradient are those of the step.
        divisor: scalar likewise, without a gradient.
    """

    total: Tensor
    divisor: Tensor


class Loss(Protocol):
    """A loss of one target."""

    def count(self, values: Tensor) -> Tensor:
        """What the sum over a step's values (n,), NaN where missing, is divided by."""

    def share(self, said: Said, values: Tensor, others: Others | None) -> Share:
        """Of a micro-batch with values (B,); ``others`` not given: it is the whole step."""


class CrossEntropy:
    """Cross-entropy of a class, as torch defines it: with weights, a weighted mean.

    A class that weighs nothing, because the training side lacks it, is as if missing.
    """

    def __init__(self, target: Target) -> None:
        self.weights, self.smoothing = target.weights, target.label_smoothing

    def count(self, values: Tensor) -> Tensor:
        return _weight(values, self.weights).sum()

    def share(self, said: Said, values: Tensor, others: Others | None) -> Share:
        weight = _weight(values, self.weights)
        each = -said.logits.log_softmax(1)
        total = (1 - self.smoothing) * (each.gather(1, _indices(values)[:, None])[:, 0] @ weight)
        if self.smoothing:
            of_classes = each.new_tensor(self.weights) if self.weights else each.new_ones(each.shape[1])
            total = total + self.smoothing * ((each @ of_classes) @ (weight > 0).float()) / each.shape[1]
        return Share(total, weight.sum())


class BinaryCrossEntropy:
    """Cross-entropy of a feature that is there or not, divided by how many are observed, as torch has it."""

    def __init__(self, target: Target) -> None:
        self.positive_weight = target.weights[1] / target.weights[0] if target.weights else 1.0

    def count(self, values: Tensor) -> Tensor:
        return _weight(values, ()).sum()

    def share(self, said: Said, values: Tensor, others: Others | None) -> Share:
        weight = _weight(values, ())
        total = functional.binary_cross_entropy_with_logits(
            said.logits[:, 0],
            _indices(values).float(),
            weight,
            pos_weight=weight.new_tensor(self.positive_weight),
            reduction="sum",
        )
        return Share(total, weight.sum())


class Coral:
    """Of a rating: for each step but the last, whether it lies above (Cao, Mirjalili and Raschka, 2020, equation 4).

    The loss of a clip is the sum of S - 1 binary cross-entropies.
    """

    def __init__(self, target: Target) -> None:
        self.weights = target.weights

    def count(self, values: Tensor) -> Tensor:
        return _weight(values, self.weights).sum()

    def share(self, said: Said, values: Tensor, others: Others | None) -> Share:
        weight = _weight(values, self.weights)
        is_above = _indices(values)[:, None] > torch.arange(said.logits.shape[1], device=values.device)
        each = functional.binary_cross_entropy_with_logits(said.logits, is_above.float(), reduction="none")
        return Share(each.sum(1) @ weight, weight.sum())


class Ranking:
    """Of a rating: the clip of the higher step should have the higher score, over all pairs of a step of training.

    Hinge with a margin; without one the logistic loss of the difference (RankNet; Burges et al.,
    2005). Pairs of equal ratings say nothing.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def count(self, values: Tensor) -> Tensor:
        return (values[:, None] > values).float().sum()  # no number is above NaN

    def share(self, said: Said, values: Tensor, others: Others | None) -> Share:
        """Each of the batch's clips against all of the step, whose scores stand still.

        So a pair is met twice, once from each of its ends, and with the gradient of that end: in
        one micro-batch or in two. Each meeting counts half.
        """
        scores = said.scores[:, 0]
        theirs = others or Others(scores.detach(), values)
        is_above, is_below = values[:, None] > theirs.values, values[:, None] < theirs.values
        gap = scores[:, None] - theirs.scores
        total = (self._of_gap(gap) * is_above + self._of_gap(-gap) * is_below).sum()
        return Share(total - 0.5 * total.detach(), 0.5 * (is_above | is_below).float().sum())

    def _of_gap(self, gap: Tensor) -> Tensor:
        """Loss of how far the higher clip's score lies above the lower one's."""
        return (self.margin - gap).clamp_min(0) if self.margin else functional.softplus(-gap)


def _indices(values: Tensor) -> Tensor:
    """int64 (n,): 0 where missing."""
    return values.nan_to_num(0.0).long()


def _weight(values: Tensor, weights: tuple[float, ...]) -> Tensor:
    """float32 (n,): what each value counts, 0 where missing."""
    is_observed = (~values.isnan()).float()
    return is_observed * is_observed.new_tensor(weights)[_indices(values)] if weights else is_observed


class Term:
    """A loss on its targets.

    Args:
        name: under which it is logged.
        settings: its kind, its weight, the names of its targets.
        targets: all K targets of the run, in their order.
    """

    def __init__(self, name: str, settings: LossConfig, targets: Sequence[Target]) -> None:
        self.name, self.settings = name, settings
        places = {target.name: place for place, target in enumerate(targets)}
        self.losses = {name: (places[name], _loss(settings, targets[places[name]])) for name in settings.targets}

    @property
    def compares_clips(self) -> bool:
        """Whether it needs to know the other clips of a step."""
        return self.settings.name == "ranking"

    def count(self, values: Tensor) -> Tensor:
        """What the term's sum is divided by: scalar, of values (n, K) of a whole step."""
        return torch.stack([loss.count(values[:, place]) for place, loss in self.losses.values()]).sum()

    def share(self, said: Mapping[str, Said], values: Tensor, others: Mapping[str, Tensor] | None = None) -> Share:
        """What a micro-batch contributes.

        Args:
            said: by name of the target.
            values: float32 (B, K), NaN where missing.
            others: ``scores`` and ``values``, float32 (n, K) each, of the whole step; not given if
                this is all of it.
        """
        shares = []
        for name, (place, loss) in self.losses.items():
            theirs = Others(others["scores"][:, place], others["values"][:, place]) if others else None
            shares.append(loss.share(said[name], values[:, place], theirs))
        return Share(*(torch.stack(each).sum() for each in zip(*shares, strict=True)))

    def mean_of_pairs(self, scores: Tensor, values: Tensor) -> float | None:
        """A term that compares clips, over all pairs of scores and values (n, K); None if there is no pair."""
        others = {"scores": scores, "values": values}
        shares = []
        for first in range(0, len(values), PIECE):
            rows = slice(first, first + PIECE)
            said = {name: scores[rows, place : place + 1] for name, (place, _) in self.losses.items()}
            shares.append(self.share({name: Said(each, each) for name, each in said.items()}, values[rows], others))
        total, divisor = (torch.stack(each).sum().item() for each in zip(*shares, strict=True))
        return total / divisor if divisor else None


def _loss(settings: LossConfig, target: Target) -> Loss:
    match settings.name:
        case "cross_entropy":
            return CrossEntropy(target)
        case "bce":
            return BinaryCrossEntropy(target)
        case "coral":
            return Coral(target)
        case "ranking":
            return Ranking(settings.margin)


def build_terms(losses: Sequence[LossConfig], targets: Sequence[Target]) -> tuple[Term, ...]:
    """The terms of the loss, by the names that the log has for them.

    Args:
        losses: each with the names of its targets, as ``TuningRun.used_losses`` gives them.
        targets: all of the run.
    """
    learnt = [loss for loss in losses if loss.targets]
    return tuple(Term(name, loss, targets) for name, loss in zip(term_names(losses), learnt, strict=True))
