"""Answers that need no tuned encoder: the commonest one, and regressions on features that nothing tuned.

All of them learn from the training side, and dev chooses their penalty, as the tuned model learns
from the one and is chosen on the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from audiorig.config import ProbeConfig
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import Side
from audiorig.evaluate.clip_metrics import confusions, mean_of_existing, recalls
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.probe import fit_logistic, onto_training_span, standardise
from audiorig.models.answers import HALF, Answer, best_threshold

INVERSE_PENALTIES: tuple[float, ...] = ProbeConfig.model_fields["inverse_penalties"].default
TRAIN, DEV, TEST = "train", "dev", "test"


@dataclass(frozen=True)
class Control:
    """What a control answers about dev and test, and what it rests on.

    Attributes:
        answers: by side.
        num_learnt: training clips that it learnt from.
        inverse_penalty: C of its regression; None without one.
    """

    answers: Mapping[str, Answer]
    num_learnt: int
    inverse_penalty: float | None = None


def commonest(target: Target, values: Floats, sizes: Mapping[str, int]) -> Control:
    """The same answer for every clip: the commonest class, the shares of the classes, the mean step.

    Args:
        values: (n,) of the training side, NaN where missing.
        sizes: clips of each side that is to be answered.
    """
    known = values[~np.isnan(values)]
    shares = np.bincount(known.astype(np.int64), minlength=target.num_answers) / max(1, len(known))
    match target.kind:
        case "class":
            predicted, probabilities = float(shares.argmax()), shares
        case "binary":
            predicted, probabilities = float(shares[1] >= HALF), shares[1:]
        case "rating":
            probabilities = shares[::-1].cumsum()[::-1][1:]
            predicted = float(probabilities.sum())
    answers = {
        side: Answer(np.full(size, predicted), np.tile(probabilities, (size, 1))) for side, size in sizes.items()
    }
    return Control(answers, len(known))


def regression(target: Target, number: int, features: Mapping[str, Floats], sides: Mapping[str, Side]) -> Control:
    """A linear model on features of the clips: logistic, or for ratings ridge with normal errors.

    Args:
        number: of the target among the values.
        features: (n, K) of train, dev and test.
        sides: the same, with their values.
    """
    observed = {side: sides[side].observed(number) for side in (TRAIN, DEV)}
    learnt = np.concatenate([sides[side].values[observed[side], number] for side in (TRAIN, DEV)])
    num_train = len(observed[TRAIN])
    if len(np.unique(learnt[:num_train])) < 2:
        return commonest(target, sides[TRAIN].values[:, number], {side: len(sides[side].items) for side in (DEV, TEST)})
    stacked = np.concatenate([features[TRAIN][observed[TRAIN]], features[DEV], features[TEST]]).astype(np.float64)
    train = np.arange(num_train)
    ready = onto_training_span(standardise(stacked, train), train)
    dev, test = np.split(ready[num_train:], [len(features[DEV])])
    fit = _fit_ridge if target.kind == "rating" else _fit_logistic
    best: tuple[float, float, Callable[[Floats], Answer]] | None = None
    for inverse in INVERSE_PENALTIES:
        answer, error = fit(target, inverse, ready[train], learnt[:num_train], dev[observed[DEV]], learnt[num_train:])
        if best is None or error < best[0] - 1e-12:  # of equals, the stronger penalty
            best = (error, inverse, answer)
    assert best is not None
    return Control({DEV: best[2](dev), TEST: best[2](test)}, num_train, best[1])


Fitted = tuple[Callable[[Floats], Answer], float]


def _fit_logistic(
    target: Target, inverse: float, features: Floats, values: Floats, dev: Floats, dev_values: Floats
) -> Fitted:
    """The fitted answers, and their error on dev: 1 - UAR."""
    labels, is_balanced = values.astype(np.int64), len(set(target.weights) - {0.0}) > 1
    model = fit_logistic(features, labels, inverse, is_balanced)

    def probabilities(rows: Floats) -> Floats:
        spread = np.zeros((len(rows), target.num_answers))
        if len(rows):
            spread[:, model.classes_] = model.predict_proba(rows)
        return spread

    threshold = HALF
    if target.kind == "binary":
        threshold = best_threshold(probabilities(dev)[:, 1], dev_values)

    def answer(rows: Floats) -> Answer:
        found = probabilities(rows)
        if target.kind == "binary":
            return Answer((found[:, 1] >= threshold).astype(np.float64), found[:, 1:])
        return Answer(found.argmax(1).astype(np.float64), found)

    return answer, 1 - _uar(dev_values, answer(dev).predicted, target.num_answers)


def _uar(true: Floats, predicted: Floats, num_classes: int) -> float:
    if not len(true):
        return 0.0
    labels: tuple[NDArray[np.int64], NDArray[np.int64]] = (true.astype(np.int64), predicted.astype(np.int64))
    return float(mean_of_existing(recalls(confusions(*labels, num_classes, np.ones((1, len(true))))))[0])


def _fit_ridge(
    target: Target, inverse: float, features: Floats, values: Floats, dev: Floats, dev_values: Floats
) -> Fitted:
    """The fitted answers, and their mean error on dev, in steps."""
    with threadpool_limits(1):
        model = Ridge(alpha=1 / inverse).fit(features, values)
    last = target.num_answers - 1
    errors = dev_values - model.predict(dev) if len(dev) else values - model.predict(features)
    deviation = max(float(np.sqrt(np.mean(errors**2))), 1e-3)

    def answer(rows: Floats) -> Answer:
        step = model.predict(rows) if len(rows) else np.zeros(0)
        above = stats.norm.cdf((step[:, None] - np.arange(last) - 0.5) / deviation)
        return Answer(np.clip(step, 0, last), above)

    return answer, float(np.abs(errors).mean())
