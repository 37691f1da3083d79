"""Scores of answers to clips, for one sample or for thousands of resamples at once.

A resample is told by how often each item occurs in it, so everything here takes weights (R, n) and
gives R values; weights of 1 are the sample itself. A score that a resample does not have (AUC
without a positive, say) is NaN there.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from audiorig.evaluate.intervals import Floats

Bools = NDArray[np.bool_]
Classes = NDArray[np.int64]


def summed(weights: Floats, place: Classes) -> Floats:
    """Sums of the weights of the items at each place: (R, n) to (R, P), where every place 0 to P - 1 has an item."""
    order = np.argsort(place, kind="stable")
    firsts = np.flatnonzero(np.diff(place[order], prepend=-1))
    return np.add.reduceat(weights[:, order], firsts, axis=1)


def ratio(above: Floats, below: Floats) -> Floats:
    """NaN where there is nothing below the line."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below > 0)


def mean_of_existing(scores: Floats) -> Floats:
    """Mean over the last axis without its NaN; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice"
        return np.asarray(np.nanmean(scores, axis=-1))


def confusions(true: Classes, predicted: Classes, num_classes: int, weights: Floats) -> Floats:
    """Items of each true class (rows) that were taken for each class (columns): (R, C, C)."""
    cells, place = np.unique(true * num_classes + predicted, return_inverse=True)
    found = np.zeros((len(weights), num_classes * num_classes))
    found[:, cells] = summed(weights, place)
    return found.reshape(-1, num_classes, num_classes)


def accuracies(confusion: Floats) -> Floats:
    """(R,) of (R, C, C)."""
    return ratio(np.einsum("rcc->r", confusion), confusion.sum((1, 2)))


def recalls(confusion: Floats) -> Floats:
    """(R, C), NaN where a class does not occur."""
    return ratio(np.einsum("rcc->rc", confusion), confusion.sum(2))


def balanced_accuracies(confusion: Floats) -> Floats:
    """Mean recall (UAR) of the classes that occur, (R,) of (R, C, C).

    A resample can lack a rare class. To take its recall from the sample instead, or to put what is
    beyond luck on the scale of all classes, was tried: with 12 to 60 simulated infants of 5 unequal
    classes 95 % intervals then held the truth in 64 to 92 % and 68 to 95 % of the cases, against 87
    to 97 % this way.
    """
    return mean_of_existing(recalls(confusion))


def f1_scores(confusion: Floats) -> Floats:
    """(R, C), NaN where a class does not occur: one that is only predicted is an error of the others."""
    support = confusion.sum(2)
    scores = ratio(2 * np.einsum("rcc->rc", confusion), support + confusion.sum(1))
    return np.where(support > 0, scores, np.nan)


def quadratic_kappa(confusion: Floats) -> Floats:
    """Cohen's kappa with squared weights (1968) of steps at equal distances: 1 right, 0 luck; (R,) of (R, S, S).

    NaN where the truth and the answers are one and the same step.
    """
    steps = np.arange(confusion.shape[1], dtype=np.float64)
    cost = (steps[:, None] - steps[None, :]) ** 2
    by_luck = np.einsum("rt,rp,tp->r", confusion.sum(2), confusion.sum(1), cost)
    observed = (confusion * cost).sum((1, 2)) * confusion.sum((1, 2))
    return 1 - ratio(observed, by_luck)


def auc(scores: Floats, is_positive: Bools, weights: Floats) -> Floats:
    """Share of the pairs of a positive and a negative item that are in order; a tie is half a pair. (R,)."""
    _, place = np.unique(scores, return_inverse=True)
    positive, negative = summed(weights * is_positive, place), summed(weights * ~is_positive, place)
    below = negative.cumsum(1) - negative / 2
    return ratio((positive * below).sum(1), positive.sum(1) * negative.sum(1))


def macro_auc(probabilities: Floats, true: Classes, weights: Floats) -> Floats:
    """Mean of the AUC of each class against all others, over the classes that occur: (R,) of (n, C)."""
    by_class = [auc(probabilities[:, each], true == each, weights) for each in np.unique(true)]
    return mean_of_existing(np.stack(by_class, axis=1))


def spearman(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Rank correlation, equal values sharing their mean rank; NaN where one of the two does not vary. (R,)."""
    first, second = (_centred_ranks(values, weights) for values in (one, other))
    together, *alone = (
        (weights * left * right).sum(1) for left, right in ((first, second), (first, first), (second, second))
    )
    varies = (alone[0] > 1e-9) & (alone[1] > 1e-9)
    return ratio(together, np.sqrt(alone[0] * alone[1]) * varies)


def _centred_ranks(values: Floats, weights: Floats) -> Floats:
    """(R, n) ranks in each resample, of mean 0 there."""
    _, place = np.unique(values, return_inverse=True)
    count = summed(weights, place)
    rank = count.cumsum(1) - (count - 1) / 2  # of k equal ones the mean of their k ranks
    mean = (weights.sum(1) + 1) / 2
    return rank[:, place] - mean[:, None]


def mean_errors(errors: Floats, weights: Floats) -> Floats:
    """Weighted means of (n,): (R,)."""
    return ratio(weights @ errors, weights.sum(1))
