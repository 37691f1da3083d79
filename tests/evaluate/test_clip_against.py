"""A tuned model minus another: known answers, and refusals to compare what is not alike."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from audiorig.data.target import Target
from audiorig.evaluate.clip_against import answer_differences


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seeds_tables", Path(__file__).with_name("test_clip_seeds.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = load()
TRUE, GROUPS, EFFORT = made.TRUE, made.GROUPS, made.EFFORT


def table(share: float, **more: object) -> pd.DataFrame:
    return pd.DataFrame(made.predictions(TRUE, made.wrong(share, 1), GROUPS, **more)).pipe(_with_targets, more)


def _with_targets(found: pd.DataFrame, more: dict[str, object]) -> pd.DataFrame:
    found.attrs = {"targets": [more.get("target", made.REASON).to_dict()]}  # type: ignore[attr-defined]
    return found


def test_the_difference_is_that_of_the_scores_and_certain_if_planted() -> None:
    rows = answer_differences(table(0.1), table(0.6), "other", 200, 0)
    by_metric = {row["metric"]: row for row in rows}
    assert set(by_metric) == {"accuracy", "balanced_accuracy", "macro_f1", "auc"}
    hits = [np.mean(made.wrong(share, 1) == TRUE) for share in (0.1, 0.6)]
    assert by_metric["accuracy"]["value"] == pytest.approx(hits[0] - hits[1], abs=1e-6)
    assert by_metric["balanced_accuracy"]["low"] > 0
    assert all((row["with"], row["task"], row["n"], row["num_groups"]) == ("other", "reason", 48, 12) for row in rows)
    assert all(row["interval_over"] == "groups" for row in rows)


def test_a_model_minus_itself_is_nothing_and_the_other_way_round_is_the_opposite() -> None:
    for row in answer_differences(table(0.3), table(0.3), "itself", 100, 0):
        assert (row["value"], row["low"], row["high"]) == (0, 0, 0)
    there, back = (
        answer_differences(*pair, "x", 100, 0) for pair in ((table(0.1), table(0.6)), (table(0.6), table(0.1)))
    )
    assert [row["value"] for row in there] == [-row["value"] for row in back]


def test_ratings_are_compared_too() -> None:
    rows = answer_differences(table(0.1, target=EFFORT), table(0.6, target=EFFORT), "other", 100, 0)
    by_metric = {row["metric"]: row["value"] for row in rows}
    assert by_metric["mae"] < 0 < by_metric["spearman"]


def test_other_clips_and_other_questions_are_not_compared(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert answer_differences(table(0.1), table(0.1, prefix="other-"), "other", 100, 0) == []
        assert "not tested on the same clips" in caplog.text
        renamed = Target("reason", "class", "reason", ("a", "b", "c"))
        assert answer_differences(table(0.1), table(0.1, target=renamed), "other", 100, 0) == []
        assert "was not asked it" in caplog.text
