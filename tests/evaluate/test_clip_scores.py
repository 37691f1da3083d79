"""Scores of planted answers: perfect, luck, always one class; and intervals as a slow bootstrap draws them."""

import time
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from audiorig.config import ScoreConfig
from audiorig.data.target import Target
from audiorig.evaluate.clip_scores import TargetScorer, deal_anew, measured, nearest_steps, scores_of
from audiorig.evaluate.intervals import Resampling
from audiorig.models.answers import Answer

CLASSES = ("hungry", "tired", "burping", "never")
REASON = Target("reason", "class", "reason", CLASSES)
LOUD = Target("loud", "binary", "loud", positive=("1",), negative=("0",))
EFFORT = Target("effort", "rating", "effort", steps=(-1.0, 1.0, 1.5, 3.0), threshold=1.5)
SETTINGS = ScoreConfig(bootstrap=100, shuffles=40)


def one_hot(classes: np.ndarray, num_classes: int = 4) -> Answer:
    return Answer(classes.astype(float), np.eye(num_classes)[classes])


def reasons(num_items: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(3, num_items, p=[0.6, 0.3, 0.1])


def infants(num_items: int = 120, each: int = 6) -> list[str]:
    return [f"infant-{index // each:02d}" for index in range(num_items)]


def by_metric(rows: list[dict[str, Any]], system: str) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in rows if row["system"] == system}


def test_perfect_answers_score_one_and_one_class_scores_luck() -> None:
    true = reasons()
    answers = {"infantcry": one_hot(true), "majority": one_hot(np.zeros(120, int))}
    rows = TargetScorer(REASON, true.astype(float), infants(), SETTINGS, "infantcry").rows(answers)
    mine, majority = by_metric(rows, "infantcry"), by_metric(rows, "majority")
    assert set(mine) == {"accuracy", "balanced_accuracy", "macro_f1", "auc", *(f"recall/{c}" for c in CLASSES[:3])}
    assert all((row["value"], row["low"], row["high"]) == (1, 1, 1) for row in mine.values())
    counts = np.bincount(true)
    assert majority["accuracy"]["value"] == pytest.approx(counts[0] / 120, abs=1e-6)
    assert majority["balanced_accuracy"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert majority["auc"]["value"] == 0.5
    assert [majority[f"recall/{name}"]["value"] for name in CLASSES[:3]] == [1, 0, 0]
    assert [mine[f"recall/{name}"]["n"] for name in CLASSES[:3]] == counts.tolist()
    beyond = by_metric(rows, "infantcry minus majority")["balanced_accuracy"]
    assert beyond["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert beyond["low"] > 0.3
    assert mine["accuracy"]["num_groups"] == 20
    assert {row["interval_over"] for row in rows if row["system"] == "infantcry"} == {"groups"}


def test_of_a_recall_only_the_groups_that_have_the_class_count() -> None:
    true = np.zeros(120, int)
    true[:7] = 1  # infant 0, and one clip of infant 1
    rows = TargetScorer(REASON, true.astype(float), infants(), SETTINGS, "x").rows({"x": one_hot(true)})
    recall = by_metric(rows, "x")["recall/tired"]
    assert (recall["n"], recall["num_groups"]) == (7, 2)


def test_few_groups_are_resampled_over_clips_and_say_so() -> None:
    true = reasons()
    scorer = TargetScorer(REASON, true.astype(float), infants(each=40), SETTINGS, "x")
    assert {row["interval_over"] for row in scorer.rows({"x": one_hot(true)})} == {"clips", "shuffles"}


def test_luck_is_where_shuffled_labels_are_and_planted_skill_is_beyond_it() -> None:
    generator = np.random.default_rng(0)
    true = reasons(300)
    known = np.where(generator.random(300) < 0.5, true, generator.choice(3, 300))
    blind = generator.choice(3, 300)
    groups = infants(300)
    for answers, is_skilled in ((known, True), (blind, False)):
        rows = TargetScorer(REASON, true.astype(float), groups, SETTINGS, "x").rows({"x": one_hot(answers)})
        luck = by_metric(rows, "permuted labels")["balanced_accuracy"]
        assert luck["value"] == pytest.approx(1 / 3, abs=0.03)
        assert luck["low"] < 1 / 3 < luck["high"]
        assert luck["interval_over"] == "shuffles"
        beyond = by_metric(rows, "x minus permuted labels")["balanced_accuracy"]
        assert (beyond["low"] > 0) is is_skilled
        assert (luck["p_value"] <= 1 / 41 + 1e-6) is is_skilled


def test_labels_are_dealt_in_runs_of_groups() -> None:
    """Infants of one reason each: a plain shuffle would tear them apart, and luck would look too steady."""
    labels = np.repeat(np.arange(20) % 2, 6).astype(float)
    dealt = [deal_anew(labels, infants(), np.random.default_rng(seed)) for seed in range(30)]
    assert all(sorted(each) == sorted(labels) for each in dealt)
    assert all(len(set(each[first : first + 6])) == 1 for each in dealt for first in range(0, 120, 6))
    assert len({each.tobytes() for each in dealt}) == 30
    # All clips of one infant: nothing but the order within it is left to change.
    alone = [deal_anew(np.arange(8.0), ["a"] * 8, np.random.default_rng(seed)) for seed in range(5)]
    assert len({each.tobytes() for each in alone}) == 5


def test_shuffles_break_an_order_that_all_groups_share() -> None:
    """Clip k of every voice has label k: moving whole voices in their order would change nothing."""
    labels = np.tile(np.arange(6.0), 20)
    assert np.mean(deal_anew(labels, infants(), np.random.default_rng(0)) == labels) < 0.35


def test_each_replicate_equals_the_slow_bootstrap() -> None:
    generator = np.random.default_rng(1)
    true = reasons(60, seed=1)
    scores = generator.random((60, 4)) + 0.4 * np.eye(4)[true]
    answer = Answer(scores.argmax(1).astype(float), scores)
    resampling = Resampling(infants(60), 25, 0, "reason")
    found = scores_of(REASON, true.astype(float), answer, resampling)
    for draw, weights in enumerate(resampling.weights()):
        items = np.repeat(np.arange(60), weights.astype(int))
        present = np.unique(true[items])
        recall = recall_score(true[items], answer.predicted[items], labels=present, average="macro", zero_division=0)
        assert found["balanced_accuracy"].replicates[draw] == pytest.approx(recall)
        each = [roc_auc_score(true[items] == name, scores[items, name]) for name in present]
        assert found["auc"].replicates[draw] == pytest.approx(np.mean(each))


def test_one_answer_for_all_is_certain_to_be_nothing_beyond_the_commonest() -> None:
    """Two infants of twenty have the rare class: draws without them are of two classes, for both alike."""
    true = np.array([0, 1] * 60)
    true[:12:3] = 2
    answers = {"x": one_hot(np.ones(120, int)), "majority": one_hot(np.zeros(120, int))}
    rows = TargetScorer(REASON, true.astype(float), infants(), SETTINGS, "x").rows(answers)
    row = by_metric(rows, "x minus majority")["balanced_accuracy"]
    assert (row["value"], row["low"], row["high"]) == (0, 0, 0)


def test_a_recall_of_one_infant_is_resampled_over_its_clips() -> None:
    """Over groups there would be nothing to draw, and 2 of 4 clips would look certain."""
    true = np.zeros(120, int)
    true[:4] = 1
    predicted = true.copy()
    predicted[:2] = 0
    rows = TargetScorer(REASON, true.astype(float), infants(), SETTINGS, "x").rows({"x": one_hot(predicted)})
    rare, common = (by_metric(rows, "x")[f"recall/{name}"] for name in ("tired", "hungry"))
    assert (rare["interval_over"], rare["n"], rare["num_groups"]) == ("clips", 4, 1)
    assert rare["low"] <= 0.01 < 0.5 < 0.99 <= rare["high"]
    assert common["interval_over"] == "groups"


def test_ratings_by_hand() -> None:
    """Steps -1, 1, 1.5, 3 are not at equal distances; high is 1.5 and above."""
    true = np.array([0.0, 1, 2, 3, 3])
    predicted = np.array([0.5, 1, 1.5, 3, 2])
    above = np.array([[0.5, 0, 0], [0.9, 0.1, 0], [0.9, 0.6, 0], [1, 1, 1], [1, 0.4, 0.3]])
    found = {
        name: values[0] for name, values in measured(EFFORT, true, Answer(predicted, above), np.ones((1, 5))).items()
    }
    assert set(found) == {"mae", "spearman", "kappa", "balanced_accuracy", "auc"}
    assert found["mae"] == pytest.approx((1 + 0 + 0.25 + 0 + 1.5) / 5)
    assert found["spearman"] == pytest.approx(np.corrcoef([1, 2, 3, 4.5, 4.5], [1, 2, 3, 5, 4])[0, 1])
    assert nearest_steps(EFFORT, predicted).tolist() == [1, 1, 2, 3, 2]
    assert found["kappa"] == pytest.approx(cohen_kappa_score(true, [1, 1, 2, 3, 2], weights="quadratic"))
    assert found["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["auc"] == 1


def test_constant_ratings_have_no_rank_correlation_and_no_row_of_it() -> None:
    true = np.tile(np.arange(4.0), 10)
    constant = Answer(np.full(40, 1.5), np.full((40, 3), 0.5))
    perfect = Answer(true, (true[:, None] > np.arange(3)).astype(float))
    rows = TargetScorer(EFFORT, true, infants(40, 4), SETTINGS, "x").rows({"x": perfect, "majority": constant})
    assert "spearman" not in by_metric(rows, "majority")
    assert by_metric(rows, "majority")["auc"]["value"] == 0.5
    assert by_metric(rows, "x")["spearman"]["value"] == pytest.approx(1)
    assert by_metric(rows, "x minus majority")["mae"]["value"] == pytest.approx(
        -by_metric(rows, "majority")["mae"]["value"]
    )
    assert by_metric(rows, "permuted labels")["mae"]["p_value"] < 0.05  # less is better


def test_a_feature_is_scored_by_its_threshold_and_by_its_order() -> None:
    true = np.array([0.0, 0, 1, 1] * 10)
    probability = np.array([0.1, 0.3, 0.2, 0.4] * 10)
    answer = Answer((probability >= 0.35).astype(float), probability[:, None])
    rows = by_metric(TargetScorer(LOUD, true, infants(40, 4), SETTINGS, "x").rows({"x": answer}), "x")
    assert rows["balanced_accuracy"]["value"] == 0.75
    assert rows["auc"]["value"] == 0.75
    assert set(rows) == {"accuracy", "balanced_accuracy", "macro_f1", "auc"}
    assert {row["kind"] for row in rows.values()} == {"binary"}


def test_where_groups_are_the_classes_the_interval_holds_the_value() -> None:
    """A draw lacks whole infants, and would forgive what was confused with them."""
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(24), 10)
    predicted = np.where(generator.random(240) < 0.4, true, generator.integers(0, 24, 240))
    target = Target("infant", "class", "infant", tuple(f"{each:02d}" for each in range(24)))
    resampling = Resampling([f"infant-{each}" for each in true], 400, 0)
    score = scores_of(target, true.astype(float), one_hot(predicted, 24), resampling)["balanced_accuracy"]
    assert abs(np.mean(score.interval) - score.value) < 0.03


@pytest.mark.slow
def test_a_thousand_draws_of_some_hundred_clips_take_less_than_a_second() -> None:
    true = reasons(600)
    scores = np.random.default_rng(0).random((600, 4))
    answer = Answer(scores.argmax(1).astype(float), scores)
    resampling = Resampling(infants(600), 1000, 0, "reason")
    began = time.perf_counter()
    scores_of(REASON, true.astype(float), answer, resampling)
    assert time.perf_counter() - began < 1
