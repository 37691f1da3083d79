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

from audiorig.evaluate.clip_metrics import mean_of_existing
from audiorig.evaluate.eda.table import HeardSong
from audiorig.evaluate.intervals import Floats
from audiorig.models.eda.agreement import pearson
from audiorig.randomness import keyed_generator

ALIKE = 0.8  # the shortest song of a class over its longest, unless it has too few
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
        by_trace: of each song, r of its traces (S,) with what is not the song's own, on average; NaN
            where there is none.
    """

    observed: float
    draws: Floats
    by_trace: tuple[Floats, ...] = ()

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
        r: (n, n) of the traces of song i and the prediction of song j, mean over traces; NaN across
            classes, and where no trace varies.
        by_trace: of each song, r of its traces (S,) with the prediction of another song, mean over
            the others of its class; NaN where there is none.
    """

    classes: tuple[Places, ...]
    r: Floats
    by_trace: tuple[Floats, ...]


def length_classes(lengths: Sequence[int]) -> tuple[Places, ...]:
    """Songs of about the same length together, four or more as far as there are so many.

    The shortest ones may be fewer. To put them to others would cut those; a song that is left alone
    keeps its own prediction in all draws.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    classes: list[list[int]] = []
    for place in order:
        if classes and (len(classes[-1]) < ENOUGH or lengths[place] >= ALIKE * lengths[classes[-1][0]]):
            classes[-1].append(place)
        else:
            classes.append([place])
    return tuple(np.array(members, np.int64) for members in classes)


def exchange(songs: Sequence[HeardSong], predicted: Mapping[str, Floats]) -> Exchanged:
    """Hold every song's traces against every prediction of its class.

    Args:
        songs: of one dataset.
        predicted: song id -> (M,).
    """
    classes = length_classes([song.num_steps for song in songs])
    r = np.full((len(songs), len(songs)), np.nan)
    by_trace = [np.full(len(song.trace_ids), np.nan) for song in songs]
    for members in classes:
        steps = min(songs[place].num_steps for place in members)
        lines = np.stack([predicted[songs[place].song_id][:steps] for place in members])
        for place in members:
            table = trace_r(lines, songs[place], steps)
            r[place, members] = mean_of_existing(table)
            if len(members) > 1:
                by_trace[place] = table[members != place].mean(0)
    return Exchanged(classes, r, tuple(by_trace))


def trace_r(lines: Floats, song: HeardSong, steps: int) -> Floats:
    """(L, S) of predictions (L, M) and a song's traces over its first steps."""
    true, is_heard = torch.from_numpy(song.traces[:, :steps]), torch.from_numpy(song.is_heard[:, :steps])
    return r_or_zero(torch.from_numpy(lines)[:, None], true[None], is_heard[None]).numpy()


def r_or_zero(predicted: torch.Tensor, true: torch.Tensor, is_heard: torch.Tensor) -> torch.Tensor:
    """Pearson's r, 0 where only the prediction is constant: it agrees with nothing; NaN where the true trace is."""
    found = pearson(predicted, true, is_heard)
    varies = torch.isfinite(pearson(true, true, is_heard))
    return torch.where(found.isnan() & varies, 0.0, found)


def permuted_null(exchanged: Exchanged, draws: int, *key: str | int) -> Null | None:
    """Mean r over songs in so many orders of each class; None if there is nothing to exchange, or no r.

    Args:
        key: names the draws.
    """
    rows = np.flatnonzero(np.isfinite(exchanged.r).any(1))
    if not len(rows) or all(len(members) < 2 for members in exchanged.classes):
        return None
    generator = keyed_generator("permuted songs", *key)
    found = []
    for _ in range(draws):
        order = np.arange(len(exchanged.r))
        for members in exchanged.classes:
            order[members] = members[generator.permutation(len(members))]
        found.append(exchanged.r[rows, order[rows]].mean())
    return Null(float(exchanged.r[rows, rows].mean()), np.array(found), exchanged.by_trace)


def shifted_null(
    songs: Sequence[HeardSong], predicted: Mapping[str, Floats], draws: int, *key: str | int
) -> Null | None:
    """Mean r over songs, each with its prediction turned by a drawn number of steps, 0 as likely as any other.

    None if no trace varies.
    """
    observed, table, by_trace = [], [], []
    for song in songs:
        line, places = predicted[song.song_id], np.arange(song.num_steps)
        shifts = keyed_generator("shifts", *key, song.song_id).integers(song.num_steps, size=draws)
        at_once = max(1, VALUES_AT_ONCE // song.traces.size)
        parts = [
            trace_r(line[(places - some[:, None]) % song.num_steps], song, song.num_steps)
            for some in np.array_split(shifts, -(-draws // at_once))
        ]
        drawn = np.concatenate(parts)
        by_trace.append(drawn.mean(0))
        table.append(mean_of_existing(drawn))
        observed.append(mean_of_existing(trace_r(line[None], song, song.num_steps))[0])
    is_known = np.isfinite(observed)
    if not is_known.any():
        return None
    draws_of_all = np.stack(table)[is_known].mean(0)
    return Null(float(np.array(observed)[is_known].mean()), draws_of_all, tuple(by_trace))
