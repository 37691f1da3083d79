"""Numbers as the pages write them."""

import pytest

from audiorig.report.scores import Estimate, duration, points, points_with_interval, share, with_interval


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


@pytest.mark.parametrize(("seconds", "text"), [(2.04, "2.0 s"), (252, "4 min 12 s"), (11100, "3 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
