"""Scores of classifiers, and the rows of ``metrics.json``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiorig.evaluate.intervals import Floats, Resampling, Score

METRICS = ("accuracy", "macro_f1", "balanced_accuracy")


def classification_scores(
    is_predicted: Floats, true: NDArray[np.int64], num_classes: int, resampling: Resampling
) -> dict[str, Score]:
    """Accuracy, macro-F1 and balanced accuracy, with their replicates.

    Args:
        is_predicted: (n, C) 1 for the predicted class; shares if there were several predictions.
        true: (n,) classes.
    """
    confusion = np.zeros((len(true), num_classes, num_classes))
    confusion[np.arange(len(true)), true] = is_predicted
    total, drawn = resampling.totals(confusion)
    return {
        name: Score(float(value), replicates)
        for name, value, replicates in zip(METRICS, _from_confusion(total), _from_confusion(drawn), strict=True)
    }


def _from_confusion(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    """The three metrics of (..., C true, C predicted); classes that do not occur are left out."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(-1), confusion.sum(-2)
    occurs = support > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(occurs, hits / support, 0)
        f1 = np.where(occurs, 2 * hits / (support + predicted), 0)
        num_occurring = occurs.sum(-1)
        return hits.sum(-1) / support.sum(-1), f1.sum(-1) / num_occurring, recall.sum(-1) / num_occurring


def metric_row(
    task: str, system: str, metric: str, score: Score, resampling: Resampling, num_items: int, **more: Any
) -> dict[str, Any]:
    """One row of ``metrics.json``; ``interval_over`` says what was resampled."""
    low, high = score.interval
    row = {"split": "test", "layer": None, "seed": None, "interval_over": "clips", **more}
    if not resampling.is_over_items:
        row["interval_over"] = "groups"
    numbers = {"value": score.value, "low": low, "high": high}
    return {
        "task": task,
        "system": system,
        "metric": metric,
        **{name: round(number, 6) for name, number in numbers.items()},
        "n": num_items,
        "num_groups": resampling.num_groups,
        **row,
    }
