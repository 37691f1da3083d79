"""What is predicted of a clip, and what an error costs."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section

Kind = Literal["class", "binary", "rating"]
LossName = Literal["cross_entropy", "bce", "coral", "ranking"]
LOSS_OF: dict[str, LossName] = {"class": "cross_entropy", "binary": "bce", "rating": "coral"}
LOSSES_FOR: dict[str, tuple[LossName, ...]] = {
    "class": ("cross_entropy",),
    "binary": ("bce",),
    "rating": ("coral", "ranking"),
}


class TargetConfig(Section):
    """One thing to predict: a column of the corpus' table. An empty cell is a missing value."""

    kind: Kind = Field(description="class: one of several; binary: a feature that is there or not; rating: a step.")
    column: str = Field("", description="Column of the manifest; the target's name if empty.")
    classes: tuple[str, ...] = Field(
        (), description="Values of a class, in this order; those of the training side, sorted, if empty."
    )
    merge: dict[str, str] = Field(
        default_factory=dict, description="Values that count as another, e.g. {cold_hot: discomfort}."
    )
    weights: Literal["none", "balanced"] = Field(
        "none",
        description="balanced: an item weighs by how rare its class, or its answer, is on the training side.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of a class' target that all classes get.")
    positive: tuple[str, ...] = Field(("1", "true", "yes"), description="Values of a binary feature that is there.")
    negative: tuple[str, ...] = Field(("0", "false", "no"), description="Values of one that is not.")
    steps: tuple[float, ...] = Field((), description="The scale of a rating, from its lowest step to its highest.")
    threshold: float | None = Field(
        None, description="Ratings from here on count as high: what AUC and accuracy of a rating are about."
    )

    @model_validator(mode="after")
    def _settings_are_of_this_kind(self) -> "TargetConfig":
        if self.kind != "class" and (self.classes or self.label_smoothing):
            raise ValueError(f"classes and label_smoothing are of kind: class, and this is a {self.kind}")
        if self.kind == "binary" and (both := set(self.positive) & set(self.negative)):
            raise ValueError(f"{min(both)!r} is both positive and negative")
        if self.kind == "rating":
            self._check_scale()
        elif self.steps or self.threshold is not None:
            raise ValueError(f"steps and threshold are of kind: rating, and this is a {self.kind}")
        return self

    def _check_scale(self) -> None:
        if len(self.steps) < 2 or list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"a rating needs its steps, two or more, from low to high (found {list(self.steps)})")
        if self.threshold is None:
            raise ValueError("a rating needs its threshold: the step from which on it counts as high")
        if not self.steps[0] < self.threshold <= self.steps[-1]:
            raise ValueError(
                f"threshold is {self.threshold:g}: expected above {self.steps[0]:g} and at most {self.steps[-1]:g}"
            )


class LossConfig(Section):
    """One term of the sum that training lowers."""

    name: LossName = Field(
        description="cross_entropy: of a class; bce: of a binary feature; coral: of a rating, by its cumulative steps "
        "(Cao, Mirjalili and Raschka, 2020); ranking: of a rating, by the order of pairs.",
    )
    targets: tuple[Name, ...] = Field((), description="Targets or groups; all that the loss is for, if empty.")
    weight: float = Field(1.0, gt=0, description="Factor of the term.")
    margin: float = Field(0.0, ge=0, description="ranking: how far a pair's scores must lie apart; 0: logistic loss.")

    @model_validator(mode="after")
    def _margin_is_of_ranking(self) -> "LossConfig":
        if self.margin and self.name != "ranking":
            raise ValueError(f"margin is of ranking, and this is {self.name}")
        return self


def term_names(losses: Sequence[LossConfig]) -> list[str]:
    """What the log calls terms: by their kind; by kind and number, if there are several of a kind.

    Args:
        losses: each with the names of its targets; one without any is no term.
    """
    kinds = [loss.name for loss in losses if loss.targets]
    return [
        kind if kinds.count(kind) == 1 else f"{kind}_{1 + kinds[:place].count(kind)}"
        for place, kind in enumerate(kinds)
    ]
