"""Linear and nearest-neighbour probes of frozen features."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from audiorig.evaluate.folds import Fold, Indices
from audiorig.evaluate.intervals import Floats

Classes = NDArray[np.int64]


@dataclass(frozen=True)
class ProbeResult:
    """Predictions of one probe over all folds.

    Attributes:
        predicted: (n, C) shares of the predictions of each class, over the folds that tested item n.
        num_tests: (n,) folds that tested item n.
        dev_accuracy: mean over folds, at the chosen penalty.
    """

    predicted: Floats
    num_tests: Indices
    dev_accuracy: float


def standardise(features: Floats, train: Indices) -> Floats:
    """Zero mean and unit deviation over the training rows; what is constant there becomes zero."""
    mean, deviation = features[train].mean(0), features[train].std(0)
    return (features - mean) / np.where(deviation > 1e-6 * np.abs(mean) + 1e-12, deviation, np.inf)


def onto_training_span(features: Floats, train: Indices) -> Floats:
    """Rotate onto the directions that the training rows span.

    Exact for a probe with an L2 penalty, whose weights lie in that span, and faster by orders of
    magnitude where there are more features than rows.
    """
    if features.shape[1] <= len(train):
        return features
    _, _, directions = np.linalg.svd(features[train], full_matrices=False)
    return features @ directions.T


def linear_probe(
    features: Floats, labels: Classes, folds: list[Fold], inverse_penalties: tuple[float, ...]
) -> ProbeResult:
    """Multinomial logistic regression; dev chooses its C, test is touched once.

    Args:
        features: (n, K).
        labels: (n,) classes 0 to C - 1.
    """
    predicted, num_tests = _empty(labels)
    dev_accuracies = []
    for fold in folds:
        ready = onto_training_span(standardise(features.astype(np.float64), fold.train), fold.train)
        best: tuple[float, LogisticRegression] | None = None
        for penalty in inverse_penalties:
            probe = fit_logistic(ready[fold.train], labels[fold.train], penalty)
            accuracy = float((probe.predict(ready[fold.dev]) == labels[fold.dev]).mean())
            if best is None or accuracy > best[0]:  # of equals, the stronger penalty
                best = (accuracy, probe)
        assert best is not None
        dev_accuracies.append(best[0])
        _record(predicted, num_tests, fold.test, best[1].predict(ready[fold.test]))
    return _result(predicted, num_tests, float(np.mean(dev_accuracies)))


def neighbour_probe(features: Floats, labels: Classes, folds: list[Fold], neighbours: int) -> ProbeResult:
    """Majority of the k nearest training rows by cosine; nothing is learnt or chosen."""
    predicted, num_tests = _empty(labels)
    for fold in folds:
        ready = standardise(features.astype(np.float64), fold.train)
        ready /= np.maximum(np.linalg.norm(ready, axis=1, keepdims=True), 1e-12)
        similarity = ready[fold.test] @ ready[fold.train].T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(neighbours, len(fold.train))]
        votes = np.zeros((len(fold.test), predicted.shape[1]))
        for rank in range(nearest.shape[1]):
            # A vote weighs its similarity: with one clip per label, ties would decide by name.
            weight = 1 + np.take_along_axis(similarity, nearest[:, rank : rank + 1], 1)[:, 0]
            votes[np.arange(len(votes)), labels[fold.train][nearest[:, rank]]] += weight
        _record(predicted, num_tests, fold.test, votes.argmax(1))
    return _result(predicted, num_tests, float("nan"))


def majority_probe(labels: Classes, folds: list[Fold]) -> ProbeResult:
    """Always the most frequent training label."""
    predicted, num_tests = _empty(labels)
    for fold in folds:
        majority = int(np.bincount(labels[fold.train]).argmax())
        _record(predicted, num_tests, fold.test, np.full(len(fold.test), majority))
    return _result(predicted, num_tests, float("nan"))


def fit_logistic(
    features: Floats, labels: Classes, inverse_penalty: float, is_balanced: bool = False
) -> LogisticRegression:
    """Multinomial logistic regression with an L2 penalty.

    Args:
        is_balanced: every class weighs the same, however rare it is.
    """
    # One thread: beside training, a pool of threads waits more than it works.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes")
        weights = "balanced" if is_balanced else None
        probe = LogisticRegression(C=inverse_penalty, max_iter=2000, tol=1e-5, class_weight=weights)
        return probe.fit(features, labels)


def _empty(labels: Classes) -> tuple[Floats, Indices]:
    return np.zeros((len(labels), int(labels.max()) + 1)), np.zeros(len(labels), dtype=np.int64)


def _record(predicted: Floats, num_tests: Indices, test: Indices, classes: Classes) -> None:
    predicted[test, classes] += 1
    num_tests[test] += 1


def _result(predicted: Floats, num_tests: Indices, dev_accuracy: float) -> ProbeResult:
    return ProbeResult(predicted / np.maximum(num_tests, 1)[:, None], num_tests, dev_accuracy)
