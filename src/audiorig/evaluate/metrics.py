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
    of_true = np.eye(num_classes)[true]
    counts = np.stack([is_predicted * of_true, of_true, is_predicted], axis=1)  # hits, support, predicted
    total, drawn = resampling.totals(counts)
    f1, recall = _by_class(total)
    occurs = total[1] > 0
    if resampling.groups_are_labels(true):
        # A draw then lacks whole classes, whose confusions it would forgive: macro means would come
        # out too high. The classes are the sample: their scores stay, their weights are drawn.
        drawn_f1, drawn_recall = (_drawn_mean(scores, true, resampling) for scores in (f1, recall))
    else:
        drawn_f1, drawn_recall = (_mean_where(scores, drawn[:, 1] > 0) for scores in _by_class(drawn))
    values = {
        "accuracy": (_accuracy(total), _accuracy(drawn)),
        "macro_f1": (_mean_where(f1, occurs), drawn_f1),
        "balanced_accuracy": (_mean_where(recall, occurs), drawn_recall),
    }
    return {name: Score(float(value), draws, resampling.tail) for name, (value, draws) in values.items()}


def _accuracy(counts: Floats) -> Floats:
    return counts[..., 0, :].sum(-1) / counts[..., 1, :].sum(-1)


def _by_class(counts: Floats) -> tuple[Floats, Floats]:
    """F1 and recall (..., C) of (..., 3, C) hits, support and predictions; 0 where a class does not occur."""
    hits, support, predicted = (counts[..., row, :] for row in range(3))
    return 2 * hits / np.maximum(support + predicted, 1e-12), hits / np.maximum(support, 1e-12)


def _mean_where(scores: Floats, occurs: NDArray[np.bool_]) -> Floats:
    return (scores * occurs).sum(-1) / occurs.sum(-1)


def _drawn_mean(scores: Floats, true: NDArray[np.int64], resampling: Resampling) -> Floats:
    """Means (draws,) of per-class scores, each class weighing as often as it is drawn."""
    share = 1 / np.bincount(true, minlength=len(scores))[true]
    _, weighted = resampling.totals(scores[true] * share)
    _, weights = resampling.totals(share)
    return weighted / weights


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
