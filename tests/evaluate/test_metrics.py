"""Metrics equal those of scikit-learn, as they are and in every draw of the bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from audiorig.evaluate.intervals import Resampling, Score
from audiorig.evaluate.metrics import METRICS, classification_scores, metric_row


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    return np.eye(num_classes)[classes]


def by_sklearn(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": accuracy_score(true, predicted),
        "macro_f1": f1_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0),
        "balanced_accuracy": recall_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0),
    }


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_those_of_sklearn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true = generator.choice(4, 200, p=[0.6, 0.25, 0.1, 0.05])
    predicted = np.where(generator.random(200) < 0.6, true, generator.choice(4, 200))
    resampling = Resampling([str(index // 8) for index in range(200)], 100, seed)
    scores = classification_scores(one_hot(predicted, 4), true, 4, resampling)
    assert tuple(scores) == METRICS
    assert {name: score.value for name, score in scores.items()} == pytest.approx(by_sklearn(true, predicted))
    assert scores["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(true, predicted))


def test_each_replicate_equals_sklearn_on_the_drawn_items() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.choice(2, 60), generator.choice(3, 60)
    true[:4] = 2  # in one group only, so a third of the draws lack the class
    groups = np.arange(60) // 6
    resampling = Resampling([str(group) for group in groups], 20, 0)
    scores = classification_scores(one_hot(predicted, 3), true, 3, resampling)
    times = np.rint(resampling.totals(np.eye(60))[1]).astype(int)
    for draw in range(20):
        items = np.repeat(np.arange(60), times[draw])
        expected = by_sklearn(true[items], predicted[items])
        assert {name: score.replicates[draw] for name, score in scores.items()} == pytest.approx(expected)


def test_classes_that_do_not_occur_are_left_out() -> None:
    true, predicted = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 2])
    scores = classification_scores(one_hot(predicted, 4), true, 4, Resampling(list("abcd"), 100, 0))
    assert scores["accuracy"].value == 0.75
    assert scores["balanced_accuracy"].value == (0.5 + 1) / 2
    assert scores["macro_f1"].value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert all(np.isfinite(score.replicates).all() for score in scores.values())


def test_a_prediction_of_an_absent_class_is_an_error_for_the_true_one() -> None:
    scores = classification_scores(one_hot(np.array([3, 3]), 4), np.array([1, 1]), 4, Resampling(["a", "b"], 100, 0))
    assert [scores[name].value for name in METRICS] == [0, 0, 0]


def test_shares_of_several_predictions_count_as_shares() -> None:
    shares = np.array([[0.75, 0.25], [0.5, 0.5]])
    scores = classification_scores(shares, np.array([0, 1]), 2, Resampling(["a", "b"], 100, 0))
    assert scores["accuracy"].value == (0.75 + 0.5) / 2


@pytest.mark.parametrize(("num_groups", "over"), [(6, "groups"), (4, "clips")])
def test_a_row_says_what_was_resampled(num_groups: int, over: str) -> None:
    resampling = Resampling([str(index % num_groups) for index in range(12)], 100, 0)
    row = metric_row("language", "log-mel", "accuracy", Score(0.123456789, np.full(100, 0.5)), resampling, 12, seed=3)
    assert row == {
        "task": "language",
        "split": "test",
        "system": "log-mel",
        "layer": None,
        "seed": 3,
        "metric": "accuracy",
        "value": 0.123457,
        "low": 0.5,
        "high": 0.5,
        "n": 12,
        "num_groups": num_groups,
        "interval_over": over,
    }


def test_where_voices_are_told_apart_the_macro_interval_holds_the_value() -> None:
    """Each group is a class: a draw that lacks classes must not forgive what was confused with them."""
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(24), 10)
    predicted = np.where(generator.random(240) < 0.4, true, generator.integers(0, 24, 240))
    resampling = Resampling([f"voice-{label}" for label in true], 2000, 0)
    scores = classification_scores(one_hot(predicted, 24), true, 24, resampling)
    for score in scores.values():
        low, high = score.interval
        assert abs((low + high) / 2 - score.value) < 0.02
