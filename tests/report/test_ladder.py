"""The ladder in words, tables and a picture: better, worse, not certain, and other clips."""

from types import ModuleType
from typing import Any

import pytest

from audiorig.report.ladder import best_verdict, is_short, ladder_dots, ladder_tables, ladder_verdict

CASES = {
    "by-clip": (0.98, "other"),
    "much-better": (0.97, "infant"),
    "the-same": (0.6, "infant"),
    "labels-permuted": (0.0, "infant"),
}


@pytest.fixture(scope="module")
def ladder(planted: ModuleType) -> dict[str, Any]:
    return dict(planted.ladder(CASES))


def of_task(ladder: dict[str, Any], task: str) -> dict[str, Any]:
    return {**ladder, **{part: [row for row in ladder[part] if row["task"] == task] for part in ("rows", "best")}}


def test_cases_on_the_same_clips_are_better_worse_or_not_certain(ladder: dict[str, Any]) -> None:
    same, other, best = ladder_verdict(of_task(ladder, "reason"))
    assert same.startswith("Reason, by UAR against this run on the same test clips, better: much better (+")
    assert "; worse: labels permuted (−" in same
    assert "; not certain to differ: the same (" in same
    assert " points [" in same
    assert other.startswith("Reason, what other splits would have promised in UAR, against this run: by clip (+")
    assert "not certain" not in other
    assert best.startswith(
        "Reason, the best of 4 on these test clips is much better, partly the luckiest of them: UAR .9"
    )
    assert best.endswith(" against luck.")


def test_correlations_are_not_points(ladder: dict[str, Any]) -> None:
    for sentence in ladder_verdict(of_task(ladder, "effort")):
        assert "points" not in sentence
        assert "Spearman's ρ" in sentence


def test_the_reference_may_have_a_name(ladder: dict[str, Any]) -> None:
    same, *_ = ladder_verdict(of_task(ladder, "reason"), "WavLM base+")
    assert "by UAR against WavLM base+ on the same test clips, " in same
    table = ladder_tables(of_task(ladder, "reason"), "WavLM base+")[0].scores
    assert table.headers[2] == "minus WavLM base+, points"
    assert table.rows[0][0] == "WavLM base+"
    assert table.strong == frozenset({0})


def test_a_table_for_each_target_with_its_support(ladder: dict[str, Any], planted: ModuleType) -> None:
    reason, loud, effort = ladder_tables(ladder)
    assert [row[0] for row in reason.scores.rows] == [
        *("this run", "by clip", "much better", "the same", "labels permuted", "always the commonest answer"),
    ]
    assert reason.scores.rows[-1][1:3] == (".200", "")
    assert len(effort.scores.rows) == 5  # one answer for all clips has no order
    assert reason.support.headers == (
        *("what is changed", "test clips", "groups"),
        *("Hungry", "Tired", "Discomfort", "Belly pain", "Burping"),
    )
    assert loud.support.headers[3:] == ("No", "Yes")
    for row in reason.support.rows:
        assert int(row[1]) == sum(map(int, row[3:])) == planted.NUM_CLIPS
    assert "One seed each." in reason.scores.caption


def test_a_single_case_of_luck_is_not_praised(planted: ModuleType) -> None:
    blind = of_task(dict(planted.ladder({"by-clip": (0.9, "other")}, right=0.0)), "reason")
    assert len(ladder_verdict(blind)) == 1  # that it is luck, the target's own sentence says
    assert best_verdict(blind, blind["best"][0]).endswith(" against luck, not certain.")


def test_colours_are_told_for_what_there_is(ladder: dict[str, Any], planted: ModuleType) -> None:
    both = ladder_dots(ladder)
    assert both is not None
    assert "Green: tested on the same clips." in both.picture.caption
    assert "Orange" in both.picture.caption
    only_same = ladder_dots(planted.ladder({"a": (0.7, "infant")}))
    assert only_same is not None
    assert "Orange" not in only_same.picture.caption


def test_no_ladder_says_nothing(ladder: dict[str, Any]) -> None:
    assert ladder_verdict({}) == []
    assert ladder_tables({}) == []
    assert ladder_dots({}) is None
    assert not is_short({})
    assert is_short(of_task(ladder, "reason"))
    assert not is_short(ladder)
