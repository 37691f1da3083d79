"""Numbers and differences as the pages write them."""

import pytest

from audiorig.report.scores import Estimate, metric_of
from audiorig.report.wording import (
    compared,
    difference_text,
    duration,
    listed,
    metric_text,
    points,
    points_in_words,
    points_with_interval,
    share,
    with_interval,
)


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 24, 6, "groups")


@pytest.mark.parametrize(
    ("value", "text"), [(0.965, ".965"), (1.0, "1.000"), (-0.2, "−.200"), (0.0, ".000"), (-0.0001, ".000")]
)
def test_shares_drop_the_leading_zero(value: float, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.319, "+31.9"), (-0.083, "−8.3"), (0.0, "0.0"), (-0.0001, "0.0")])
def test_points_carry_their_sign(value: float, text: str) -> None:
    assert points(value) == text


def test_intervals() -> None:
    estimate = _estimate(0.1, -0.05, 0.2)
    assert with_interval(estimate, 2) == ".10 [−.05, .20]"
    assert points_with_interval(estimate) == "+10.0 [−5.0, +20.0]"
    assert with_interval(None) == points_with_interval(None) == "–"
    assert points_in_words(estimate) == "+10.0 points [−5.0, +20.0]"


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
    estimate = _estimate(0.1, -0.05, 0.2)
    assert metric_text(estimate, metric_of(metric)) == value
    assert difference_text(estimate, metric_of(metric)) == difference


@pytest.mark.parametrize(("seconds", "text"), [(2.04, "2.0 s"), (252, "4 min 12 s"), (11100, "3 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (_estimate(0.319, 0.27, 0.36), "31.9 points above log-mel [+27.0, +36.0]"),
        (_estimate(-0.083, -0.2, -0.01), "8.3 points below log-mel [−20.0, −1.0]"),
        (_estimate(0.05, -0.01, 0.1), "not certain to differ from log-mel (+5.0 points [−1.0, +10.0])"),
        (_estimate(0.05, 0.0, 0.1), "not certain to differ from log-mel (+5.0 points [0.0, +10.0])"),
    ],
)
def test_a_difference_is_called_what_its_interval_says(difference: Estimate, sentence: str) -> None:
    assert compared({"log-mel": difference}) == [sentence]


def test_lists_are_read_aloud() -> None:
    assert [listed("abc"[:number]) for number in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
