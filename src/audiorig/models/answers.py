"""From what a network says to what people read: probabilities, and a predicted value.

A class: the C probabilities, and the likeliest. A binary feature: one probability, and whether it
reaches a threshold. A rating: S - 1 probabilities that it lies above each step but the last, and
the step that is to be expected. Thresholds, and the scale of a rating that is only ranked, are
chosen on the dev side, never on the test side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiorig.data.targets import Target
from audiorig.errors import DataError

Floats = NDArray[np.float64]
HALF = 0.5


class Answer(NamedTuple):
    """What n clips get.

    Attributes:
        predicted: float64 (n,): number of the class; 0 or 1; the expected number of the step.
        probabilities: float64 (n, C), (n, 1) or (n, S - 1).
    """

    predicted: Floats
    probabilities: Floats


@dataclass(frozen=True)
class StepScale:
    """Which step a score stands for, for ratings whose scores are only ranked.

    For each step but the last, an isotonic regression of "lies above" on the score. They cannot
    cross: a regression of lesser values on the same scores is nowhere greater.

    Attributes:
        scores: the m places between which is interpolated, rising.
        above: (S - 1, m) probabilities there.
    """

    scores: tuple[float, ...]
    above: tuple[tuple[float, ...], ...]

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities (n, S - 1) for scores (n,)."""
        return np.stack([np.interp(scores, self.scores, each) for each in self.above], axis=1)


@dataclass(frozen=True)
class Decision:
    """What was chosen on dev for one target: how its answers are read.

    Attributes:
        threshold: probability from which on a binary feature is said to be there.
        scale: of a rating that is only ranked.
    """

    threshold: float = HALF
    scale: StepScale | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        scale = self.scale and {"scores": list(self.scale.scores), "above": [list(each) for each in self.scale.above]}
        return {"threshold": self.threshold, "scale": scale}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Decision":
        """What ``to_dict`` gave."""
        scale = plain.get("scale")
        if scale is not None:
            scale = StepScale(tuple(scale["scores"]), tuple(tuple(each) for each in scale["above"]))
        return cls(float(plain.get("threshold", HALF)), scale)


def decisions_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Decision]:
    """What dev decided, target by target, out of the rows of scores.json."""
    return {row["task"]: Decision.from_dict(row["decision"]) for row in rows if "decision" in row}


# ---------------------------------------------------------------------- read


def answers_of(target: Target, logits: NDArray, decision: Decision | None = None) -> Answer:
    """Probabilities and predicted values of one target.

    Args:
        logits: (n, O) as the tuner gives them.
        decision: what was chosen on dev; a threshold of one half if not given.

    Raises:
        DataError: for a rating that is only ranked, without its scale.
    """
    decision = decision or Decision()
    logits = np.asarray(logits, dtype=np.float64)
    if target.kind == "class":
        probabilities = softmax(logits)
        return Answer(probabilities.argmax(1).astype(np.float64), probabilities)
    if target.kind == "binary":
        probabilities = sigmoid(logits)
        return Answer((probabilities[:, 0] >= decision.threshold).astype(np.float64), probabilities)
    if target.has_cutpoints:
        above = sigmoid(logits)
    elif decision.scale is None:
        raise DataError(
            f"target {target.name!r} is only ranked, so its scores have no scale of their own: give the decision that "
            "was fitted on dev (fit_decisions)"
        )
    else:
        above = decision.scale(logits[:, 0])
    return Answer(above.sum(1), above)


def high_probability(target: Target, probabilities: Floats) -> Floats:
    """That a rating counts as high, (n,), of its probabilities (n, S - 1)."""
    return probabilities[:, target.high_step - 1]


def softmax(logits: Floats) -> Floats:
    """Probabilities (n, C) that add up to 1."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), without an overflow at either end."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1 + small)


# ----------------------------------------------------------------------- fit


def fit_decisions(targets: Sequence[Target], logits: Mapping[str, NDArray], values: NDArray) -> dict[str, Decision]:
    """What is to be chosen on dev, for each target.

    Args:
        logits: (n, O) of each target.
        values: (n, K), NaN where missing.

    Raises:
        DataError: if dev has too little to fit the scale of a rating that is only ranked.
    """
    decisions = {}
    for target, true in zip(targets, np.asarray(values, dtype=np.float64).T, strict=True):
        is_observed = ~np.isnan(true)
        said, true = np.asarray(logits[target.name], dtype=np.float64)[is_observed], true[is_observed]
        decision = Decision()
        if target.kind == "binary":
            decision = Decision(threshold=best_threshold(sigmoid(said)[:, 0], true))
        elif target.kind == "rating" and not target.has_cutpoints:
            decision = Decision(scale=fit_scale(target, said[:, 0], true))
        decisions[target.name] = decision
    return decisions


def best_threshold(probabilities: Floats, true: Floats) -> float:
    """The threshold of the highest balanced accuracy: "there" from it on.

    All thresholds between two neighbouring probabilities do the same: the one in their middle is
    taken. If several such gaps are best, the middle one of them; one half, if no threshold does
    better than to say the same of all clips, or only one answer is known.

    Args:
        probabilities: (n,).
        true: (n,), 0 or 1.
    """
    num_true, num_false = (true == 1).sum(), (true == 0).sum()
    levels, place = np.unique(probabilities, return_inverse=True)
    if not num_true or not num_false or len(levels) < 2:
        return HALF
    # Sensitivity and specificity of "above the gap", for the gap behind each level but the last.
    found = 1 - np.bincount(place, true == 1)[:-1].cumsum() / num_true
    refused = np.bincount(place, true == 0)[:-1].cumsum() / num_false
    balanced = (found + refused) / 2
    if balanced.max() <= HALF:
        return HALF
    best = np.flatnonzero(np.isclose(balanced, balanced.max(), rtol=0, atol=1e-12))
    gap = best[(len(best) - 1) // 2]
    return float((levels[gap] + levels[gap + 1]) / 2)


def fit_scale(target: Target, scores: Floats, true: Floats) -> StepScale:
    """The scale of a rating that is only ranked.

    Args:
        scores: (n,) of the dev side.
        true: (n,), numbers of steps.

    Raises:
        DataError: for fewer than two different ratings or scores.
    """
    if len(np.unique(true)) < 2 or len(np.unique(scores)) < 2:
        raise DataError(
            f"target {target.name!r} is only ranked, and its scale is fitted to the dev side, which has "
            f"{len(np.unique(true))} different ratings and {len(np.unique(scores))} different scores of it: expected "
            "two or more of each; add the loss coral, or take a split with a larger dev side"
        )
    from sklearn.isotonic import IsotonicRegression  # a second to import, and few models need it

    knots = np.unique(scores)
    above = []
    for step in range(len(target.steps) - 1):
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, true > step)
        above.append(tuple(fitted.predict(knots).tolist()))
    return StepScale(tuple(knots.tolist()), tuple(above))
