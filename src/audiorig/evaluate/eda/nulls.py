"""What r is worth: what the same predictions reach where they cannot know the song.

Traces of all songs share a drift after the onset, so a prediction of any song correlates with
those of any other. Two nulls keep what predictions have in common and take away the song:

- permuted songs: each song's listeners are held against the prediction of another song of about
  the same length. Listeners of a song stay together, so the songs, which are independent, are what
  is exchanged. A draw is any order of the songs of a length class; it may leave some in their
  place, as an exact permutation test must (Phipson and Smyth, 2010, on the p-value). Songs of a
  class are compared over the steps of its shortest one, the observed order as every other, so that
  a prediction that is the same for all songs scores exactly alike in all draws.
- shifts: each song's prediction is turned in a circle by a drawn number of steps. That breaks the
  drift too, which makes it the easier null to beat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audiorig.evaluate.eda.table import HeardSong
from audiorig.evaluate.intervals import Floats
from audiorig.models.eda.agreement import mse, pearson
from audiorig.randomness import keyed_generator

ALIKE = 0.8  # the shortest song of a class over its longest, if it has enough songs
ENOUGH = 4  # songs of a class: 24 orders
VALUES_AT_ONCE = 2_000_000
ROUNDING = 1e-12

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Null:
    """A null distribution of mean r, and where the observed one lies.

    Attributes:
        observed: r over the same steps, by the same sums as the draws.
        draws: (D,).
    """

    observed: float
    draws: Floats

    @property
    def p_value(self) -> float:
        """Share of orders, the observed one among them, that reach as much: never 0."""
        reach = int((self.draws >= self.observed - ROUNDING).sum())
        return (1 + reach) / (1 + len(self.draws))


@dataclass(frozen=True)
class Exchanged:
    """Songs of one dataset held against each other's predictions.

    Attributes:
        classes: places of songs of about the same length.
        r, error: (n, n) of the traces of song i and the prediction of song j, mean over traces; NaN
            across classes.
    """

    classes: tuple[Places, ...]
    r: Floats
    error: Floats

    def of_others(self, table: Floats) -> Floats:
        """(n,) mean over the other songs of the class, NaN where there is none."""
        apart = np.where(np.eye(len(table), dtype=bool), np.nan, table)
        is_there = np.isfinite(apart)
        counts = is_there.sum(1)
        return np.where(counts > 0, np.where(is_there, apart, 0).sum(1) / np.maximum(counts, 1), np.nan)


def length_classes(lengths: Sequence[int]) -> tuple[Places, ...]:
    """Songs of about the same length together, each in one class of at least four, as far as there are so many."""
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    classes: list[list[int]] = []
    for place in order:
        if classes and (len(classes[-1]) < ENOUGH or lengths[place] >= ALIKE * lengths[classes[-1][0]]):
            classes[-1].append(place)
        else:
            classes.append([place])
    if len(classes) > 1 and len(classes[-1]) < ENOUGH:
        classes[-2] += classes.pop()
    return tuple(np.array(members, np.int64) for members in classes)


def exchange(songs: Sequence[HeardSong], predicted: Mapping[str, Floats]) -> Exchanged:
    """Hold every song's traces against every prediction of its class.

    Args:
        songs: of one dataset.
        predicted: song id -> (M,).
    """
    classes = length_classes([song.num_steps for song in songs])
    r, error = np.full((len(songs), len(songs)), np.nan), np.full((len(songs), len(songs)), np.nan)
    for members in classes:
        steps = min(songs[place].num_steps for place in members)
        lines = torch.from_numpy(np.stack([predicted[songs[place].song_id][:steps] for place in members]))
        for place in members:
            r[place, members] = mean_r(lines, songs[place], steps)
            is_heard = torch.from_numpy(songs[place].is_heard[:, :steps])
            true = torch.from_numpy(songs[place].traces[:, :steps])
            error[place, members] = mse(lines[:, None], true[None], is_heard[None]).nanmean(1).numpy()
    return Exchanged(classes, r, error)


def mean_r(lines: torch.Tensor, song: HeardSong, steps: int) -> Floats:
    """(L,) of predictions (L, M): mean over the song's traces, NaN where no trace varies.

    A prediction that is constant where a trace is not has an r of 0 with it.
    """
    true, is_heard = torch.from_numpy(song.traces[:, :steps]), torch.from_numpy(song.is_heard[:, :steps])
    return r_or_zero(lines[:, None], true[None], is_heard[None]).nanmean(1).numpy()


def r_or_zero(predicted: torch.Tensor, true: torch.Tensor, is_heard: torch.Tensor) -> torch.Tensor:
    """Pearson's r, 0 where only the prediction is constant, NaN where the true trace is."""
    found = pearson(predicted, true, is_heard)
    varies = torch.isfinite(pearson(true, true, is_heard))
    return torch.where(found.isnan() & varies, 0.0, found)


def permuted_null(exchanged: Exchanged, draws: int, *key: str | int) -> Null:
    """Mean r over songs in so many orders of each class.

    Args:
        key: names the draws.
    """
    rows = np.flatnonzero(np.isfinite(exchanged.r).any(1))
    generator = keyed_generator("permuted songs", *key)
    found = []
    for _ in range(draws):
        order = np.arange(len(exchanged.r))
        for members in exchanged.classes:
            order[members] = members[generator.permutation(len(members))]
        found.append(exchanged.r[rows, order[rows]].mean())
    return Null(float(exchanged.r[rows, rows].mean()), np.array(found))


def shifted_null(
    songs: Sequence[HeardSong], predicted: Mapping[str, Floats], draws: int, *key: str | int
) -> tuple[Null, Floats]:
    """Mean r over songs, each with its prediction turned by a drawn number of steps, 0 as likely as any other.

    Returns:
        The null, and (n,) the mean r of each song over the draws.
    """
    observed, table = [], []
    for song in songs:
        generator = keyed_generator("shifts", *key, song.song_id)
        shifts = generator.integers(song.num_steps, size=draws)
        places = np.arange(song.num_steps)
        line = predicted[song.song_id]
        at_once = max(1, VALUES_AT_ONCE // song.traces.size)
        parts = [
            mean_r(torch.from_numpy(line[(places - some[:, None]) % song.num_steps]), song, song.num_steps)
            for some in np.array_split(shifts, -(-draws // at_once))
        ]
        observed.append(mean_r(torch.from_numpy(line)[None], song, song.num_steps)[0])
        table.append(np.concatenate(parts))
    by_song, seen = np.array(table), np.array(observed)
    is_known = np.isfinite(seen)
    return Null(float(seen[is_known].mean()), by_song[is_known].mean(0)), by_song.mean(1)
