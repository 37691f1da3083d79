"""Skin conductance responses that were planted are found where they are."""

import numpy as np
import pytest

from audiorig.config.eda import TraceScoreConfig
from audiorig.evaluate.eda.responses import find_responses, num_matched, response_scores

RATE = 4.0
SETTINGS = TraceScoreConfig(response_sec=2.0, min_response=0.1)


def planted(
    onsets_sec: list[float], sizes: list[float], duration_sec: float = 40.0, rate_hz: float = RATE
) -> np.ndarray:
    """Sum of responses at the centres of steps: rise and decay with 0.75 and 2 s (Alexander et al., 2005)."""
    time = (np.arange(round(duration_sec * rate_hz)) + 0.5) / rate_hz
    fine = np.arange(0, 20, 0.001)
    top = (np.exp(-fine / 2) - np.exp(-fine / 0.75)).max()
    total = np.zeros(len(time))
    for onset, size in zip(onsets_sec, sizes, strict=True):
        since = np.maximum(time - onset, 0)
        total += size * (np.exp(-since / 2) - np.exp(-since / 0.75)) / top
    return total


def heard(trace: np.ndarray) -> np.ndarray:
    return np.ones(trace.shape, bool)


@pytest.mark.parametrize("rate_hz", [4.0, 10.0, 50.0])
def test_planted_responses_are_found_at_their_times(rate_hz: float) -> None:
    onsets, sizes = [3.0, 12.0, 21.5, 33.0], [1.0, 0.4, 2.0, 0.7]
    trace = planted(onsets, sizes, rate_hz=rate_hz)
    found = find_responses(trace, heard(trace), rate_hz, 0.1)
    assert found.onset_sec == pytest.approx(onsets, abs=1 / rate_hz)
    assert found.rise == pytest.approx(sizes, abs=0.02)


def test_a_response_on_the_shoulder_of_another_is_found() -> None:
    """The trace has a single peak here, its slope two."""
    trace = planted([5.0, 6.25], [1.0, 1.5])
    assert (np.diff(np.sign(np.diff(trace))) < 0).sum() == 1
    assert find_responses(trace, heard(trace), RATE, 0.1).onset_sec == pytest.approx([5.0, 6.25], abs=0.5)


def test_small_rises_slow_drift_and_steps_that_fall_are_none() -> None:
    trace = planted([10.0, 20.0], [1.0, 0.05]) - 0.02 * np.arange(160)
    found = find_responses(trace, heard(trace), RATE, 0.1)
    assert found.onset_sec == pytest.approx([10.0], abs=0.3)
    for none in (np.arange(160) / 400, -trace[100:], np.ones(160), np.ones(1), np.ones(0)):
        assert len(find_responses(none, heard(none), RATE, 0.1).onset_sec) == 0


def test_a_rise_that_is_cut_off_at_the_end_counts_as_far_as_it_goes() -> None:
    trace = planted([39.0], [1.0])
    found = find_responses(trace, heard(trace), RATE, 0.1)
    assert found.onset_sec == pytest.approx([39.0], abs=0.3)
    assert found.rise == pytest.approx([trace[-1] - trace[0]])


def test_nothing_is_read_in_gaps() -> None:
    trace = planted([5.0, 25.0], [1.0, 1.0])
    is_heard = heard(trace)
    is_heard[60:80] = False
    trace[60:80] = np.nan
    assert find_responses(trace, is_heard, RATE, 0.1).onset_sec == pytest.approx([5.0, 25.0], abs=0.3)


@pytest.mark.parametrize(
    ("a", "b", "hits"),
    [
        ([1, 5, 9], [1, 5, 9], 3),
        ([1.0], [2.9, 1.1], 1),
        ([1, 2], [2.5], 1),
        ([2, 3.5], [0.5, 2.5], 2),
        ([1.0], [3.01], 0),
        ([1.0], [3.0], 1),
        ([], [1.0], 0),
    ],
)
def test_each_response_has_one_partner_at_most(a: list[float], b: list[float], hits: int) -> None:
    assert num_matched(np.sort(a), np.sort(b), 2.0) == num_matched(np.sort(b), np.sort(a), 2.0) == hits


def test_matching_finds_the_most_pairs() -> None:
    """Against the assignment that scipy finds."""
    from scipy.optimize import linear_sum_assignment

    generator = np.random.default_rng(0)
    for _ in range(50):
        a, b = (np.sort(generator.uniform(0, 20, generator.integers(1, 9))) for _ in range(2))
        may_pair = np.abs(a[:, None] - b) <= 1.5
        rows, columns = linear_sum_assignment(may_pair, maximize=True)
        assert num_matched(a, b, 1.5) == may_pair[rows, columns].sum()


def test_precision_and_recall() -> None:
    true = planted([5.0, 15.0, 25.0], [1.0, 1.0, 1.0])
    one_of_two = planted([6.0, 35.0], [1.0, 1.0])
    flat = 0.02 * true
    constant = np.full(len(true), 0.3)
    rows = np.stack([true, one_of_two, flat, constant, true])
    against = np.stack([true, true, true, true, constant])
    precision, recall = response_scores(rows, against, heard(rows), RATE, SETTINGS)
    assert np.array_equal(precision, [1, 0.5, np.nan, np.nan, np.nan], equal_nan=True)
    assert recall == pytest.approx([1, 1 / 3, 0, 0, np.nan], nan_ok=True)


def test_the_unit_of_the_traces_does_not_matter() -> None:
    true, predicted = planted([5.0, 15.0], [1.0, 0.3]), planted([5.5, 22.0], [0.8, 0.6])
    scores = [
        response_scores(k * predicted[None] + 5, k * true[None], heard(true[None]), RATE, SETTINGS) for k in (1, 0.01)
    ]
    assert scores[0] == scores[1] == (0.5, 0.5)


def test_most_of_many_overlapping_responses_are_found_in_noise() -> None:
    generator = np.random.default_rng(0)
    hits = told = real = 0
    for _ in range(40):
        onsets = np.sort(generator.uniform(1, 56, 10))
        trace = planted(onsets.tolist(), generator.uniform(0.5, 1.5, 10).tolist(), 60)
        trace += 0.02 * generator.standard_normal(len(trace))
        found = find_responses(trace, heard(trace), RATE, 0.1 * trace.std())
        hits += num_matched(found.onset_sec, onsets, 2.0)
        told, real = told + len(found.onset_sec), real + len(onsets)
    assert hits / real > 0.75
    assert hits / told > 0.75
