"""Linear regression of a trace on what was heard up to some seconds ago, with a penalty that dev chooses.

Every step of every training trace is a sample, without the traces ever being stacked: for the
squared error only their mean at each step of a song matters, weighted by how many heard it. Sums
are in float64 and of one song at a time, so that memory does not grow with the corpus.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiorig.config import TraceScoreConfig
from audiorig.data.eda.scale import MIN_MFCC_SD, Moments
from audiorig.evaluate.eda.table import HeardSong
from audiorig.evaluate.intervals import Floats
from audiorig.models.eda.agreement import pearson

LEAST_SD = 1e-8  # of a column: below, it is constant and gets no weight
LOUDNESS = 0  # the first coefficient is the sum of the bands' levels


def lags_of(settings: TraceScoreConfig, rate_hz: float) -> tuple[int, ...]:
    """How many steps back is looked, from 0 on."""
    number = int(np.floor(settings.lag_sec / settings.lag_step_sec + 1e-6))
    return tuple(sorted({round(lag * settings.lag_step_sec * rate_hz) for lag in range(number + 1)}))


@dataclass(frozen=True)
class Lagged:
    """The columns of the regression: each coefficient at each lag, then the template.

    Attributes:
        mean, sd: (C,) of the training songs' steps; before a song's onset coefficients are 0 in these
            units, as if there was the average of all music.
        template: the curve of the time since onset over so many steps.
    """

    lags: tuple[int, ...]
    mean: Floats
    sd: Floats
    template: Callable[[int], Floats]

    @classmethod
    def fit(cls, songs: Iterable[HeardSong], lags: tuple[int, ...], template: Callable[[int], Floats]) -> "Lagged":
        """Scales of the training side's coefficients."""
        moments = Moments()
        for song in songs:
            moments.add(song.coefficients)
        return cls(lags, np.asarray(moments.mean), np.maximum(moments.sd, MIN_MFCC_SD), template)

    def columns(self, song: HeardSong) -> Floats:
        """(M, P), P = C * lags + 1; column c + C * k is coefficient c at the k-th lag."""
        scaled = (song.coefficients - self.mean) / self.sd
        shifted = [_earlier(scaled, lag) for lag in self.lags]
        return np.concatenate([*shifted, self.template(song.num_steps)[:, None]], axis=1)

    def of_loudness(self) -> NDArray[np.int64]:
        """The columns of the loudness, and the template's."""
        num = len(self.mean)
        return np.array([LOUDNESS + num * place for place in range(len(self.lags))] + [num * len(self.lags)])


def _earlier(values: Floats, lag: int) -> Floats:
    """What was there some steps before, zeros before the onset: (M, C)."""
    found = np.zeros_like(values)
    if lag < len(values):
        found[lag:] = values[: len(values) - lag] if lag else values
    return found


@dataclass
class NormalSums:
    """Sums that the normal equations need: of weights, columns, targets and their products."""

    weight: float
    columns: Floats
    target: float
    products: Floats
    with_target: Floats

    @classmethod
    def of_songs(cls, songs: Iterable[HeardSong], lagged: Lagged) -> "NormalSums":
        """Over all steps of all traces."""
        size = len(lagged.mean) * len(lagged.lags) + 1
        found = cls(0.0, np.zeros(size), 0.0, np.zeros((size, size)), np.zeros(size))
        for song in songs:
            columns, (sums, counts) = lagged.columns(song), song.totals()
            weighted = columns * counts[:, None]
            found.weight += counts.sum()
            found.columns += weighted.sum(0)
            found.target += sums.sum()
            found.products += weighted.T @ columns
            found.with_target += columns.T @ sums
        return found


@dataclass(frozen=True)
class Ridge:
    """A fitted regression.

    Attributes:
        chosen: (P',) columns that it looks at.
        weights: (P',) of these columns as they are.
        penalty: that dev chose, in sums over training steps of standardised columns.
        dev_pearson: mean r of dev under each penalty, None where it is not defined.
    """

    chosen: NDArray[np.int64]
    weights: Floats
    intercept: float
    penalty: float
    dev_pearson: tuple[float | None, ...]

    def predict(self, columns: Floats) -> Floats:
        """(M,) of (M, P)."""
        return columns[:, self.chosen] @ self.weights + self.intercept

    def to_dict(self) -> dict[str, Any]:
        """Every number that was fitted."""
        return {
            "chosen": self.chosen.tolist(),
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
            "penalty": self.penalty,
            "dev_pearson": list(self.dev_pearson),
        }


def solve(sums: NormalSums, chosen: NDArray[np.int64], penalties: Sequence[float]) -> tuple[Floats, Floats]:
    """Weights (P', L) and intercepts (L,) for each penalty.

    Columns are centred and divided by their deviation over the training side, so the penalty treats
    them alike, and the intercept is free of it: (Z'Z + penalty I) w = Z'y. One eigendecomposition
    serves all penalties.
    """
    if not sums.weight:
        return np.zeros((len(chosen), len(penalties))), np.zeros(len(penalties))
    mean, level = sums.columns[chosen] / sums.weight, sums.target / sums.weight
    gram = sums.products[np.ix_(chosen, chosen)] - sums.weight * np.outer(mean, mean)
    sd = np.sqrt(np.maximum(np.diag(gram), 0) / sums.weight)
    scale = np.where(sd > LEAST_SD, 1 / np.maximum(sd, LEAST_SD), 0)
    values, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
    with_target = vectors.T @ (scale * (sums.with_target[chosen] - sums.weight * mean * level))
    shrunk = with_target[:, None] / (np.maximum(values, 0)[:, None] + np.asarray(penalties, np.float64))
    weights = scale[:, None] * (vectors @ shrunk)
    return weights, level - mean @ weights


def fit_ridge(
    sums: NormalSums,
    chosen: NDArray[np.int64],
    penalties: Sequence[float],
    dev: Iterable[HeardSong],
    lagged: Lagged,
) -> Ridge:
    """The regression whose penalty has the highest r on dev: a mean over traces, then over songs.

    Of equal ones, and where r is not defined, the largest penalty is taken.
    """
    penalties = sorted(penalties)
    weights, intercepts = solve(sums, chosen, penalties)
    by_song = []
    for song in dev:
        predicted = torch.from_numpy((lagged.columns(song)[:, chosen] @ weights + intercepts).T.copy())
        true, is_heard = torch.from_numpy(song.traces), torch.from_numpy(song.is_heard)
        r = pearson(predicted[:, None], true[None], is_heard[None])
        by_song.append(r.nanmean(1).numpy())
    dev_r = _mean_by_column(by_song, len(penalties))
    best = max(range(len(penalties)), key=lambda index: (np.nan_to_num(dev_r[index], nan=-2.0), penalties[index]))
    shown = tuple(round(float(r), 6) if np.isfinite(r) else None for r in dev_r)
    return Ridge(chosen, weights[:, best], float(intercepts[best]), penalties[best], shown)


def _mean_by_column(rows: list[Floats], width: int) -> Floats:
    """Means without NaN, NaN where there is nothing else."""
    table = np.array(rows).reshape(-1, width)
    is_there = np.isfinite(table)
    totals, counts = np.where(is_there, table, 0).sum(0), is_there.sum(0)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
