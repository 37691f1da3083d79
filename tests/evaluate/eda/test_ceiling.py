"""Ceilings of simulated listeners whose common part is known."""

import numpy as np
import pytest

from audiorig.evaluate.eda.ceiling import ceiling_scores, correlation, song_ceiling, stepped
from audiorig.evaluate.intervals import Resampling

SHARE = 0.3  # of a trace's variance that is common: the reliability of one trace


def listeners(num: int, steps: int, seed: int, share: float = SHARE) -> tuple[np.ndarray, np.ndarray]:
    """The common part (M,), and traces (S, M) of various levels and sizes."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal(steps)
    own = generator.standard_normal((num, steps))
    traces = np.sqrt(share) * common + np.sqrt(1 - share) * own
    return common, generator.uniform(0.1, 5, (num, 1)) * traces + generator.uniform(0, 9, (num, 1))


def heard(traces: np.ndarray) -> np.ndarray:
    return np.ones(traces.shape, bool)


@pytest.mark.parametrize("num", [2, 5, 8, 11])
def test_what_theory_expects_of_many_steps(num: int) -> None:
    common, traces = listeners(num, 20_000, num)
    found = song_ceiling(traces, heard(traces), "song")
    assert found is not None
    assert found.num_listeners == num
    assert found.agreement == pytest.approx(SHARE, abs=0.02)
    assert found.by_halves == pytest.approx(SHARE, abs=0.02)
    assert found.lower == pytest.approx(np.sqrt(SHARE * stepped(SHARE, num - 1)), abs=0.02)
    assert found.upper == pytest.approx(np.sqrt((1 + (num - 1) * SHARE) / num), abs=0.02)
    assert found.reliability_of_mean == pytest.approx(stepped(SHARE, num), abs=0.03)
    reached = np.mean([correlation(common, trace) for trace in traces])
    assert reached == pytest.approx(np.sqrt(SHARE), abs=0.02)
    assert found.lower < reached < found.upper


def test_halves_give_the_reliability_of_the_mean() -> None:
    """Known otherwise: its squared correlation with the common part."""
    common, traces = listeners(6, 20_000, 0)
    found = song_ceiling(traces, heard(traces))
    assert found is not None
    mean = (traces / traces.std(1, keepdims=True)).mean(0)
    assert found.reliability_of_mean == pytest.approx(correlation(mean, common) ** 2, abs=0.02)


def test_no_prediction_gets_above_the_upper_bound() -> None:
    _, traces = listeners(4, 30, 1)
    found = song_ceiling(traces, heard(traces))
    assert found is not None
    scaled = (traces - traces.mean(1, keepdims=True)) / traces.std(1, keepdims=True)
    best = scaled.mean(0)
    assert np.mean([correlation(best, trace) for trace in traces]) == pytest.approx(found.upper)
    generator = np.random.default_rng(2)
    for scale in (0.01, 0.1, 1, 10):
        for _ in range(50):
            other = best + scale * generator.standard_normal(30)
            assert np.mean([correlation(other, trace) for trace in traces]) < found.upper
    assert found.lower < found.upper


def test_equal_to_a_loop() -> None:
    _, traces = listeners(4, 50, 3)
    found = song_ceiling(traces, heard(traces))
    assert found is not None
    scaled = (traces - traces.mean(1, keepdims=True)) / traces.std(1, keepdims=True)
    with_others = [np.corrcoef(scaled[k], np.delete(scaled, k, 0).mean(0))[0, 1] for k in range(4)]
    assert found.with_others == pytest.approx(with_others)
    assert found.agreement == pytest.approx(np.corrcoef(traces)[np.triu_indices(4, 1)].mean())
    halves = [([0, 1], [2, 3]), ([0, 2], [1, 3]), ([0, 3], [1, 2])]
    between = np.mean([np.corrcoef(scaled[a].mean(0), scaled[b].mean(0))[0, 1] for a, b in halves])
    assert found.reliability_of_mean == pytest.approx(2 * between / (1 + between))  # the plain formula


def test_who_is_not_there_or_constant_is_left_out() -> None:
    _, traces = listeners(4, 60, 4)
    traces[1] = 7.1
    is_heard = heard(traces)
    is_heard[2] = False
    found = song_ceiling(traces, is_heard)
    two = song_ceiling(traces[[0, 3]], is_heard[[0, 3]])
    assert found is not None and two is not None
    assert (found.num_listeners, found.agreement) == (2, two.agreement)
    assert np.isnan(found.with_others).tolist() == [False, True, True, False]
    assert song_ceiling(traces[:3], is_heard[:3]) is None
    assert song_ceiling(traces[:1], is_heard[:1]) is None


def test_only_what_both_heard_is_compared() -> None:
    _, traces = listeners(2, 60, 5)
    is_heard = heard(traces)
    is_heard[0, 40:] = False
    is_heard[1, :10] = False
    spoilt = np.where(is_heard, traces, np.nan)
    found = song_ceiling(spoilt, is_heard)
    assert found is not None
    assert found.agreement == pytest.approx(np.corrcoef(traces[:, 10:40])[0, 1])
    is_heard[1, :40] = False
    assert song_ceiling(spoilt, is_heard) is None


def test_draws_of_halves_depend_on_their_key_alone() -> None:
    _, traces = listeners(12, 40, 6)
    found = [song_ceiling(traces, heard(traces), key) for key in ("a", "a", "b")]
    values = [each.by_halves for each in found if each]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(("reliability", "factor", "expected"), [(0.5, 2, 2 / 3), (2 / 3, 0.5, 0.5), (0.3, 1, 0.3)])
def test_spearman_brown(reliability: float, factor: float, expected: float) -> None:
    assert stepped(reliability, factor) == pytest.approx(expected)


def test_scores_over_songs() -> None:
    songs = [listeners(6, 80, seed)[1] for seed in range(60)]
    ceilings = [song_ceiling(traces, heard(traces), seed) for seed, traces in enumerate(songs)] + [None]
    scores = ceiling_scores(ceilings, Resampling([f"song-{k}" for k in range(61)], 200, "ceiling"))
    assert scores["perfect"].value == pytest.approx(np.sqrt(SHARE), abs=0.03)
    assert scores["perfect"].value == pytest.approx(np.sqrt(scores["agreement"].value))
    assert scores["perfect_by_halves"].value == pytest.approx(np.sqrt(SHARE), abs=0.03)
    low, high = scores["perfect"].interval
    assert low < np.sqrt(SHARE) < high
    assert scores["lower"].value == pytest.approx(np.mean([each.lower for each in ceilings if each]))


def test_listeners_with_nothing_in_common() -> None:
    """Roots of single songs would have a mean of about 0.15."""
    songs = [listeners(4, 30, seed, share=0.0)[1] for seed in range(200)]
    ceilings = [song_ceiling(traces, heard(traces)) for traces in songs]
    scores = ceiling_scores(ceilings, Resampling([f"song-{k}" for k in range(200)], 100, "ceiling"))
    assert scores["perfect"].value < 0.1
    assert abs(scores["agreement"].value) < 0.02
    assert ceiling_scores([None, None], Resampling(["a", "b"], 100, "ceiling")) == {}
