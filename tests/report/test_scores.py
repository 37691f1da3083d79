"""Scores asked by task, system and metric."""

from audiorig.report.scores import Scores, beside_others


def test_pitch_and_reconstruction_are_no_probe_tasks() -> None:
    row = {"metric": "rpa50", "value": 0.5, "low": 0.4, "high": 0.6, "n": 1, "num_groups": 1}
    scores = Scores([{**row, "system": "wavemae", "task": task} for task in ("pitch", "reconstruction", "language")])
    assert scores.tasks == ["language"]


def test_differences_are_gathered_by_the_run_that_they_compare_with() -> None:
    row = {"task": "language", "metric": "accuracy", "value": 0.1, "low": 0.0, "high": 0.2, "n": 9, "num_groups": 3}
    first, second = beside_others([{**row, "with": "first"}, {**row, "with": "second", "value": -0.3}])
    assert (first.name, second.name) == ("first", "second")
    assert second.differences["language", "accuracy"].value == -0.3
    assert beside_others([]) == []
