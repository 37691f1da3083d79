"""Numbers as the pages write them."""

import pytest

from audiorig.report.scores import (
    Estimate,
    Scores,
    beside_others,
    difference_text,
    duration,
    metric_of,
    metric_text,
    points,
    points_with_interval,
    share,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "text"), [(0.965, ".965"), (1.0, "1.000"), (-0.2, "−.200"), (0.0, ".000"), (-0.0001, ".000")]
)
def test_shares_drop_the_leading_zero(value: float, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.319, "+31.9"), (-0.083, "−8.3"), (0.0, "0.0"), (-0.0001, "0.0")])
def test_points_carry_their_sign(value: float, text: str) -> None:
    assert points(value) == text


def test_intervals() -> None:
    estimate = Estimate(0.1, -0.05, 0.2, 10, 5, "groups")
    assert with_interval(estimate, 2) == ".10 [−.05, .20]"
    assert points_with_interval(estimate) == "+10.0 [−5.0, +20.0]"
    assert with_interval(None) == points_with_interval(None) == "–"


@pytest.mark.parametrize(
    ("metric", "value", "difference"),
    [
        ("rpa50", ".100 [−.050, .200]", "+10.0 [−5.0, +20.0]"),
        ("lsd_db hidden", "0.10 [−0.05, 0.20]", "+0.10 [−0.05, +0.20]"),
        ("f0_rmse_cents", "0 [0, 0]", "0 [0, 0]"),
        ("r2 at 2-3 frames", ".10 [−.05, .20]", "+.10 [−.05, +.20]"),
        ("unheard_of", ".100 [−.050, .200]", "+10.0 [−5.0, +20.0]"),
    ],
)
def test_metrics_are_written_in_their_own_units(metric: str, value: str, difference: str) -> None:
    estimate = Estimate(0.1, -0.05, 0.2, 10, 5, "groups")
    assert metric_text(estimate, metric_of(metric)) == value
    assert difference_text(estimate, metric_of(metric)) == difference


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


@pytest.mark.parametrize(("seconds", "text"), [(2.04, "2.0 s"), (252, "4 min 12 s"), (11100, "3 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
