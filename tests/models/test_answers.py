"""From logits to what people read, by hand."""

import json
import math

import numpy as np
import pytest

from audiorig.data.targets import Target
from audiorig.errors import DataError
from audiorig.models.answers import Decision, answers_of, best_threshold, fit_decisions, fit_scale, high_probability

REASON = Target("reason", "class", "reason", classes=("a", "b", "c"))
LOUD = Target("loud", "binary", "loud")
RATE = Target("rate", "rating", "rate", steps=(1.0, 2.0, 3.0, 4.0), threshold=3.0)
RANKED = Target("rate", "rating", "rate", steps=(1.0, 2.0, 3.0, 4.0), threshold=3.0, has_cutpoints=False)


def test_a_class_is_the_likeliest() -> None:
    answer = answers_of(REASON, np.log([[1.0, 2.0, 1.0], [6.0, 3.0, 1.0]]))
    np.testing.assert_allclose(answer.probabilities, [[0.25, 0.5, 0.25], [0.6, 0.3, 0.1]])
    assert answer.predicted.tolist() == [1, 0]


def test_large_logits_overflow_nowhere() -> None:
    assert answers_of(REASON, np.array([[1e4, 0, -1e4]])).probabilities.tolist() == [[1, 0, 0]]
    assert answers_of(LOUD, np.array([[1e4], [-1e4], [0.0]])).probabilities.tolist() == [[1], [0], [0.5]]


def test_a_binary_feature_goes_by_its_threshold() -> None:
    logits = np.log(np.array([[0.2 / 0.8], [0.5 / 0.5], [0.7 / 0.3]]))
    assert answers_of(LOUD, logits).predicted.tolist() == [0, 1, 1]
    answer = answers_of(LOUD, logits, Decision(threshold=0.6))
    np.testing.assert_allclose(answer.probabilities[:, 0], [0.2, 0.5, 0.7])
    assert answer.predicted.tolist() == [0, 0, 1]


def test_a_rating_is_the_step_to_be_expected() -> None:
    above = np.array([[0.9, 0.5, 0.1], [1.0, 1.0, 0.75]])
    answer = answers_of(RATE, np.log(above) - np.log1p(-np.clip(above, 0, 1 - 1e-12)))
    np.testing.assert_allclose(answer.predicted, [1.5, 2.75])
    np.testing.assert_allclose(high_probability(RATE, answer.probabilities), [0.5, 1.0])  # of 3 or more


@pytest.mark.parametrize(
    ("probabilities", "true", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5),  # the middle of the gap
        ([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], 0.25),
        ([0.1, 0.3, 0.5, 0.7], [0, 1, 0, 1], 0.2),  # of 0.2 and 0.6, equally good, the lower one
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 1, 0, 1, 0, 1], 0.35),  # of 0.15, 0.35, 0.55 the middle one
        ([0.6, 0.7, 0.7, 0.8, 0.9, 0.9, 0.9], [0, 1, 0, 1, 1, 1, 1], 0.75),
        ([0.4, 0.4, 0.4], [0, 1, 1], 0.5),  # nothing to go by
        ([0.2, 0.8], [1, 0], 0.5),  # the wrong way round: no threshold is better than none
        ([0.2, 0.8], [1, 1], 0.5),
    ],
)
def test_the_threshold_of_the_best_balanced_accuracy(probabilities: list, true: list, expected: float) -> None:
    assert best_threshold(np.array(probabilities), np.array(true, dtype=float)) == pytest.approx(expected)


def test_no_other_threshold_is_better() -> None:
    generator = np.random.default_rng(0)
    true = (generator.random(60) < 0.2).astype(float)
    probabilities = np.round(np.clip(0.3 + 0.2 * true + 0.15 * generator.standard_normal(60), 0, 1), 2)

    def balanced(threshold: float) -> float:
        said = probabilities >= threshold
        return (said[true == 1].mean() + (~said[true == 0]).mean()) / 2

    assert balanced(best_threshold(probabilities, true)) == max(map(balanced, np.linspace(-0.005, 1.005, 102)))


def test_the_scale_of_a_ranked_rating_finds_its_steps() -> None:
    true = np.repeat([0.0, 1.0, 2.0, 3.0], 5)
    scores = 10 * true + np.tile(np.arange(5.0), 4) - 100
    scale = fit_scale(RANKED, scores, true)
    answer = answers_of(RANKED, scores[:, None], Decision(scale=scale))
    np.testing.assert_allclose(answer.predicted, true)
    beyond = answers_of(RANKED, np.array([[-1e3], [1e3], [-93.0]]), Decision(scale=scale))
    np.testing.assert_allclose(beyond.predicted, [0, 3, 0.5])  # halfway between -96 and -90


def test_the_scale_is_monotone_and_its_steps_do_not_cross() -> None:
    generator = np.random.default_rng(1)
    scores = generator.standard_normal(200)
    true = np.clip(np.round(1.5 + scores + generator.standard_normal(200)), 0, 3)
    above = fit_scale(RANKED, scores, true)(np.linspace(-4, 4, 300))
    assert (np.diff(above, axis=0) >= -1e-12).all()
    assert (np.diff(above, axis=1) <= 1e-12).all()


def test_decisions_are_made_for_each_target_from_what_is_observed() -> None:
    logits = {
        "reason": np.zeros((4, 3)),
        "loud": np.array([[-3.0], [-2.0], [-1.0], [50.0]]),
        "rate": np.array([[0.0], [1.0], [2.0], [50.0]]),
    }
    values = np.array([[0, 0, 0], [1, 1, 1], [math.nan, 1, 3], [2, math.nan, math.nan]])
    targets = (REASON, LOUD, RANKED)
    decisions = fit_decisions(targets, logits, values)
    assert decisions["reason"] == Decision()
    ends = 1 / (1 + np.exp([3.0, 2.0]))
    assert decisions["loud"].threshold == pytest.approx(ends.mean())
    read = {name: Decision.from_dict(json.loads(json.dumps(each.to_dict()))) for name, each in decisions.items()}
    assert read == decisions
    assert [answers_of(each, logits[each.name], read[each.name]).predicted[1] for each in targets[1:]] == [1, 1]


def test_a_ranked_rating_without_a_scale_is_an_error() -> None:
    with pytest.raises(DataError, match=r"'rate' is only ranked.*fit_decisions"):
        answers_of(RANKED, np.zeros((2, 1)))
    with pytest.raises(DataError, match="1 different ratings and 2 different scores"):
        fit_scale(RANKED, np.array([0.0, 1.0]), np.array([2.0, 2.0]))
