"""Tables of answers, by hand and from planted predictions."""

from types import ModuleType

import pytest

from audiorig.config.targets import TargetConfig
from audiorig.report.answers import (
    METRICS,
    beside_answers,
    bounded,
    chance,
    constant,
    luck_text,
    question,
    short,
    systems,
    target_scores,
)
from audiorig.report.scores import Estimate, Scores, beside_others


@pytest.fixture(scope="module")
def perfect(planted: ModuleType) -> Scores:
    return Scores(planted.rows(planted.predictions(right=1.0)))


def test_the_model_is_first_and_what_knows_nothing_is_last(planted: ModuleType, perfect: Scores) -> None:
    assert systems(perfect, "reason", planted.SYSTEM) == ["infantcry", "log-mel", "majority", "permuted labels"]


def test_luck_is_one_over_the_classes_of_test_a_half_or_no_correlation(planted: ModuleType, perfect: Scores) -> None:
    targets = planted.run().targets
    reached = [chance(targets[name], perfect, name, planted.SYSTEM) for name in ("reason", "is_loud", "effort")]
    assert reached == [pytest.approx(0.2), 0.5, 0.0]


def test_perfect_answers_score_one_in_their_own_units(planted: ModuleType, perfect: Scores) -> None:
    reason, loud, effort = target_scores(perfect, planted.run(), planted.SYSTEM, planted.TARGETS)
    assert reason.table.rows[0][1:5] == ("1.000 [1.000, 1.000]",) * 4
    assert loud.table.rows[0][1:3] == ("1.000 [1.000, 1.000]",) * 2
    assert effort.table.rows[0][1:4] == ("1.00 [1.00, 1.00]", "0.00 [0.00, 0.00]", "1.00 [1.00, 1.00]")
    assert reason.table.headers[-1] == "model minus system: UAR, points"
    assert effort.table.headers[-1] == "model minus system: Spearman's ρ"
    assert loud.recalls is None


def test_a_constant_answer_has_no_interval_but_its_difference_has(planted: ModuleType, perfect: Scores) -> None:
    """Draws that lack a class would give it more than luck."""
    (reason, *_) = target_scores(perfect, planted.run(), planted.SYSTEM)
    majority = next(row for row in reason.table.rows if row[0] == "majority")
    assert majority[1] == ".200"
    assert majority[-1].startswith("+80.0 [")
    assert "Majority always gives one answer" in reason.table.caption
    assert constant(Estimate(0.2, 0.2, 0.4, 9, 5, "groups")).high == 0.2


def test_recalls_stand_beside_their_support(planted: ModuleType, perfect: Scores) -> None:
    (reason, *_) = target_scores(perfect, planted.run(), planted.SYSTEM)
    assert reason.recalls is not None
    assert reason.recalls.headers == ("class", "test clips", "groups", "recall, infantcry", "recall, log-mel")
    assert [row[0] for row in reason.recalls.rows] == ["Hungry", "Tired", "Discomfort", "Belly pain", "Burping"]
    assert sum(int(row[1]) for row in reason.recalls.rows) == planted.NUM_CLIPS
    assert reason.recalls.caption == "Of Burping there are few clips or groups: the recall says little."


def test_questions_name_the_answers() -> None:
    reason = TargetConfig(kind="class", classes=("hungry", "belly_pain"), merge={"cold": "hungry"})
    assert question("reason", reason) == "Which reason: hungry or belly pain? Cold counts as hungry."
    assert question("x", TargetConfig(kind="class", column="who"), ("a", "b", "c")) == "Which who: a, b or c?"
    assert question("is_loud", TargetConfig(kind="binary")).startswith("Is loud: yes or no?")
    effort = TargetConfig(kind="rating", steps=(1, 2, 3.5), threshold=2)
    assert question("effort", effort) == "Which step of effort, from 1 to 3.5? AUC asks whether it is 2 or more."


def test_intervals_end_where_their_metric_does() -> None:
    stretched = {"value": 0.5, "low": -1.4, "high": 2.5}
    ends = [
        (
            bounded({**stretched, "metric": metric, "system": system})["low"],
            bounded({**stretched, "metric": metric})["high"],
        )
        for metric, system in (("spearman", "a"), ("mae", "a"), ("balanced_accuracy", "a"))
    ]
    assert ends == [(-1.0, 1.0), (0.0, 2.5), (-1.4, 2.5)]
    assert bounded({**stretched, "metric": "spearman", "system": "a minus b"})["low"] == -1.4
    assert bounded(stretched) == stretched


def test_short_names_and_luck_in_their_units() -> None:
    assert short(METRICS["class"]["balanced_accuracy"]) == "UAR"
    assert short(METRICS["rating"]["spearman"]) == "Spearman's ρ"
    assert luck_text(0.2, METRICS["class"]["balanced_accuracy"]) == ".200"
    assert luck_text(0.0, METRICS["rating"]["spearman"]) == "0"


def test_another_run_is_better_or_worse_by_what_the_metric_means(planted: ModuleType) -> None:
    given = {"with": "other", "n": 24, "num_groups": 6}
    rows = [
        {"task": "effort", "metric": "mae", "value": -0.2, "low": -0.3, "high": -0.1, **given},
        {"task": "effort", "metric": "spearman", "value": 0.1, "low": -0.1, "high": 0.3, **given},
        {"task": "reason", "metric": "balanced_accuracy", "value": -0.1, "low": -0.2, "high": -0.05, **given},
        {"task": "reason", "metric": "nobody knows", "value": -0.1, "low": -0.2, "high": -0.05, **given},
    ]
    (beside,) = beside_others(rows)
    table = beside_answers(beside, planted.run())
    assert [row[2:4] for row in table.rows] == [
        ("−0.20 [−0.30, −0.10]", "better"),
        ("+0.10 [−0.10, +0.30]", "not certain"),
        ("−10.0 [−20.0, −5.0] points", "worse"),
    ]
