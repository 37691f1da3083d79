"""Pictures of answers: what they count, how wide they are, and that they are the same every time."""

from types import ModuleType

import numpy as np

from audiorig.data.target import Target
from audiorig.report.answer_figures import answer_pictures, counted, headline_dots, score_panels, span_of_scores
from audiorig.report.figures import Dot, Figure, Panel
from audiorig.report.scores import Estimate, Scores


def test_confusions_are_counted_by_hand(planted: ModuleType) -> None:
    rows = planted.predictions(right=1.0)
    rows = rows[(rows["system"] == planted.SYSTEM) & (rows["side"] == "test") & (rows["target"] == "reason")]
    true = np.bincount(planted.truth(planted.REASON).astype(int), minlength=5)
    assert np.array_equal(counted(rows, 5), np.diag(true))
    wrong = rows.assign(predicted=(rows["true"] + 1) % 5)
    assert np.array_equal(counted(wrong, 5).diagonal(offset=1), true[:4])


def test_pictures_by_target_are_small_and_always_the_same(planted: ModuleType) -> None:
    rows = planted.predictions()
    rows = rows[(rows["system"] == planted.SYSTEM) & (rows["side"] == "test")]
    found = answer_pictures(rows, planted.TARGETS)
    assert {name: each.kind for name, each in found.items()} == {"reason": "small", "effort": "small"}
    assert "Confusion matrix of Reason" in found["reason"].picture.alt
    assert found == answer_pictures(rows, planted.TARGETS)
    assert answer_pictures(rows[rows["true"].isna()], planted.TARGETS) == {}
    assert "All 3 seeds together." in answer_pictures(rows, planted.TARGETS, 3)["effort"].picture.caption


def test_many_classes_have_more_room(planted: ModuleType) -> None:
    rows = planted.predictions()
    many = Target("reason", "class", "reason", tuple(f"class {number}" for number in range(20)))
    chosen = rows[(rows["target"] == "reason") & (rows["side"] == "test")]
    assert answer_pictures(chosen, [many])["reason"].kind == "narrow"


def test_one_target_does_not_fill_the_page(planted: ModuleType) -> None:
    rows = planted.rows(planted.predictions(targets=(planted.REASON,)), (planted.REASON,))
    alone = headline_dots(Scores(rows), planted.run(), planted.SYSTEM)
    assert alone is not None
    assert alone.kind == "medium"
    assert "of permuted labels" in alone.picture.caption
    assert headline_dots(Scores([]), planted.run(), planted.SYSTEM) is None


def test_correlations_below_zero_are_on_the_axis() -> None:
    axis = Figure().subplots()
    span_of_scores(axis, [Estimate(0.1, -0.45, 0.5, 9, 9, "groups")])
    assert axis.get_xlim()[0] < -0.45
    assert axis.get_xticklabels()[0].get_text() == "−.5"
    span_of_scores(axis, [Estimate(0.6, 0.5, 0.7, 9, 9, "groups")])
    assert -0.1 < axis.get_xlim()[0] < 0


def test_panels_without_dots_are_left_out() -> None:
    assert score_panels([Panel("nothing", [])], "alt", "") is None
    dot = Dot("model", Estimate(0.5, 0.4, 0.6, 9, 9, "groups"))
    two = score_panels([Panel("a", [dot]), Panel("nothing", []), Panel("b", [dot])], "alt", "")
    assert two is not None
    assert two.kind == ""
