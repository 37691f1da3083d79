"""Gaps: a line across short ones, and no belief in long ones."""

import numpy as np
import pytest

from audiorig.data.eda.repair import bridge_gaps, gaps

NAN = np.nan


def test_without_gaps_nothing_changes() -> None:
    filled, is_lost = bridge_gaps(np.array([1.0, 2.0, 4.0]), 4.0, 1.0)
    assert filled.tolist() == [1, 2, 4]
    assert not is_lost.any()


def test_a_short_gap_is_a_line() -> None:
    filled, is_lost = bridge_gaps(np.array([1.0, NAN, NAN, NAN, 5.0, 6.0]), 4.0, 0.75)
    assert filled.tolist() == [1, 2, 3, 4, 5, 6]
    assert not is_lost.any()


def test_a_longer_one_is_filled_for_the_filters_and_marked() -> None:
    filled, is_lost = bridge_gaps(np.array([1.0, NAN, NAN, NAN, 5.0, NAN, 7.0]), 4.0, 0.5)
    assert filled.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert is_lost.tolist() == [False, True, True, True, False, False, False]


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf])
def test_at_an_end_the_nearest_value_is_held_and_marked(bad: float) -> None:
    filled, is_lost = bridge_gaps(np.array([bad, 2.0, 3.0, bad]), 4.0, 10.0)
    assert filled.tolist() == [2, 2, 3, 3]
    assert is_lost.tolist() == [True, False, False, True]


def test_a_trace_without_a_number() -> None:
    filled, is_lost = bridge_gaps(np.full(3, NAN), 4.0, 10.0)
    assert filled.tolist() == [0, 0, 0]
    assert is_lost.all()
    filled, is_lost = bridge_gaps(np.zeros(0, np.float32), 4.0, 1.0)
    assert len(filled) == len(is_lost) == 0


def test_the_samples_are_left_as_they_are() -> None:
    samples = np.array([1.0, NAN, 3.0])
    bridge_gaps(samples, 4.0, 1.0)
    assert np.isnan(samples[1])


def test_gaps_are_found_at_both_ends() -> None:
    assert gaps(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert gaps(np.zeros(3, bool)) == []
