"""Nulls: songs are exchanged whole, p-values of predictions that know nothing are uniform, informed ones stand out."""

import importlib.util
from itertools import permutations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from audiorig.evaluate.eda.nulls import (
    Null,
    exchange,
    length_classes,
    permuted_null,
    shifted_null,
    trace_r,
)


def load(name: str, path: Path) -> ModuleType:
    """What several tests share; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


song_of = load("nulls_planted", Path(__file__).with_name("planted_listeners.py")).song_of


def smooth(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Curves that change slowly, as skin does."""
    return np.apply_along_axis(lambda line: np.convolve(line, np.ones(8) / 8, "same"), -1, generator.normal(size=shape))


def corpus(seed: int, num_songs: int = 8, steps: int = 60, listeners: int = 3):
    """Songs that share a drift, each with a curve of its own that its listeners follow."""
    generator = np.random.default_rng(seed)
    drift = 2 * np.exp(-np.arange(steps) / 15)
    own = smooth(generator, num_songs, steps)
    songs = []
    for place in range(num_songs):
        length = steps - 3 * (place % 4)
        noise = 0.5 * smooth(generator, listeners, length)
        songs.append(song_of(drift[:length] + own[place, :length] + noise, f"s{place}"))
    return songs, drift, own


def test_classes_hold_songs_of_about_the_same_length_and_every_song_once() -> None:
    lengths = [100, 98, 97, 95, 60, 59, 58, 57, 81, 30, 29]
    classes = [sorted(members.tolist()) for members in length_classes(lengths)]
    assert classes[0] == [0, 1, 2, 3, 8]
    assert classes[1:] == [[4, 5, 6, 7], [9, 10]]
    assert [members.tolist() for members in length_classes([5, 9])] == [[1, 0]]
    assert length_classes([]) == ()


def test_p_value_counts_the_observed_order_too() -> None:
    assert Null(0.5, np.array([0.1, 0.2, 0.3])).p_value == 0.25
    assert Null(0.2, np.array([0.1, 0.2, 0.3])).p_value == 0.75
    assert Null(0.0, np.array([0.1, 0.2, 0.3])).p_value == 1.0


def test_a_prediction_that_is_the_same_for_all_songs_scores_the_same_in_every_draw() -> None:
    songs, drift, _ = corpus(0)
    predicted = {song.song_id: drift[: song.num_steps] for song in songs}
    null = permuted_null(exchange(songs, predicted), 50, 0)
    assert (null.draws == null.observed).all()
    assert null.p_value == 1.0
    assert null.observed > 0.5  # and yet it correlates: a drift of all songs is no knowledge of one


def test_a_draw_is_scored_as_the_observed_order() -> None:
    """Each draw equals the mean of r over traces and songs of another order, computed anew."""
    songs, drift, own = corpus(1, num_songs=4)
    predicted = {song.song_id: (drift + own[place])[: song.num_steps] for place, song in enumerate(songs)}
    null = permuted_null(exchange(songs, predicted), 60, 0)
    steps = min(song.num_steps for song in songs)

    def of_order(order: tuple[int, ...]) -> float:
        by_song = [
            np.mean(
                [
                    np.corrcoef(predicted[songs[other].song_id][:steps], line[:steps])[0, 1]
                    for line in songs[place].traces
                ]
            )
            for place, other in enumerate(order)
        ]
        return float(np.mean(by_song))

    possible = np.array([of_order(order) for order in permutations(range(4))])
    assert null.observed == pytest.approx(of_order((0, 1, 2, 3)))
    assert (np.abs(possible[:, None] - null.draws).min(0) < 1e-9).all()
    assert len(np.unique(null.draws.round(9))) > 12
    assert null.observed == pytest.approx(possible.max())


def test_predictions_that_know_the_song_stand_out() -> None:
    songs, drift, own = corpus(2)
    predicted = {song.song_id: (drift + own[place])[: song.num_steps] for place, song in enumerate(songs)}
    exchanged = exchange(songs, predicted)
    assert permuted_null(exchanged, 199, 0).p_value == 1 / 200
    null = shifted_null(songs, predicted, 199, 0)
    assert null.p_value == 1 / 200
    assert np.mean([each.mean() for each in null.by_trace]) == pytest.approx(null.draws.mean())
    others = np.mean([each.mean() for each in exchanged.by_trace])
    apart = ~np.eye(8, dtype=bool) & np.isfinite(exchanged.r)
    assert others == pytest.approx(exchanged.r[apart].mean(), abs=0.02)
    assert 0 < others < np.diag(exchanged.r).mean() - 0.2


def test_gaps_and_short_traces_are_held_against_what_was_heard() -> None:
    songs, drift, own = corpus(3)
    songs[0].is_heard[1, 20:30] = False
    songs[0].is_heard[2, 40:] = False
    predicted = {song.song_id: (drift + own[place])[: song.num_steps] for place, song in enumerate(songs)}
    songs[0].traces[~songs[0].is_heard] = 1e6
    exchanged = exchange(songs, predicted)
    assert exchanged.r[0, 0] > 0.6


def test_a_shift_turns_the_prediction_in_a_circle() -> None:
    """A prediction of period 20 is the same after 20 steps: draws take but 20 values."""
    wave = np.sin(2 * np.pi * np.arange(60) / 20)
    songs = [song_of([wave, wave], "a")]
    null = shifted_null(songs, {"a": wave}, 300, 0)
    assert len(np.unique(null.draws.round(6))) <= 20
    assert null.draws.max() == pytest.approx(1.0)
    assert null.draws.min() == pytest.approx(-1.0)


def test_constant_predictions_have_no_r_and_count_as_nothing() -> None:
    songs, _, _ = corpus(4)
    predicted = {song.song_id: np.full(song.num_steps, 3.0) for song in songs}
    null = permuted_null(exchange(songs, predicted), 20, 0)
    assert null.observed == 0 and null.p_value == 1
    flat = song_of(np.ones((2, 10)))
    assert np.isnan(trace_r(np.arange(10.0)[None], flat, 10)).all()
    assert shifted_null([flat], {"s": np.arange(10.0)}, 20, 0) is None
    assert permuted_null(exchange([flat, flat], {"s": np.arange(10.0)}), 20, 0) is None


def test_a_song_alone_has_no_other() -> None:
    song = song_of(np.random.default_rng(0).normal(size=(2, 30)))
    exchanged = exchange([song], {"s": np.arange(30.0)})
    assert np.isnan(exchanged.by_trace[0]).all()
    assert permuted_null(exchanged, 20, 0) is None


def test_draws_are_named() -> None:
    songs, drift, own = corpus(5)
    predicted = {song.song_id: (drift + own[place])[: song.num_steps] for place, song in enumerate(songs)}
    exchanged = exchange(songs, predicted)
    assert (permuted_null(exchanged, 20, 1).draws == permuted_null(exchanged, 20, 1).draws).all()
    assert (permuted_null(exchanged, 20, 1).draws != permuted_null(exchanged, 20, 2).draws).any()


def uninformed(seed: int, draws: int = 99) -> float:
    """p of predictions with curves of their own that have nothing to do with the songs."""
    songs, drift, _ = corpus(seed)
    other = smooth(np.random.default_rng((7, seed)), len(songs), len(drift))
    predicted = {song.song_id: (drift + other[place])[: song.num_steps] for place, song in enumerate(songs)}
    return permuted_null(exchange(songs, predicted), draws, seed).p_value


def test_p_of_uninformed_predictions_is_not_small_all_the_time() -> None:
    values = np.array([uninformed(seed) for seed in range(12)])
    assert 0.2 < values.mean() < 0.8


@pytest.mark.slow
def test_p_of_uninformed_predictions_is_uniform() -> None:
    """200 corpora; a drift that all songs share is in traces and predictions."""
    values = np.array([uninformed(seed, 199) for seed in range(200)])
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert (values <= 0.05).mean() <= 0.1
