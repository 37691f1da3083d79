"""How well a song's traces could be predicted at best, from how well its listeners agree.

A prediction of a song is one trace for all of its listeners; what is a listener's own cannot be in it. Four numbers
say how much is common, all as mean correlations with single listeners, the score that a prediction gets:

- ``lower``: each listener with the mean of the others (Nili et al., PLoS Comput. Biol. 10, 2014): what one gets by
  knowing the song's other listeners. The mean of few is noisy, so a good prediction may lie above.
- ``upper``: the mean of standardised traces with each of them (ibid.). Of all traces it has the highest mean
  correlation with these very listeners, so no prediction gets above. It is optimistic, with few listeners much.
- ``perfect``: what a prediction would get that knows the common part exactly: the root of a single trace's
  reliability (Spearman, 1904: correction for attenuation), which is the inter-subject correlation, the mean r of all
  pairs. The ceiling to quote; it supposes that listeners' own parts are independent and alike in size.
- ``perfect_by_halves``: the same from the correlation of the means of one half of the listeners with the other,
  stepped down to one listener by Spearman and Brown (1910).

A drift that all songs share is common too: agreement is about the song only as far as it exceeds that of listeners
of different songs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.randomness import keyed_generator

LEAST_STEPS = 3  # heard by both; two points always lie on a line
MOST_HALVES = 200  # of more ways to halve the listeners, so many are drawn

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ceiling:
    """Of one song, see the head of the module.

    Attributes:
        num_listeners: whose traces are not constant.
        lower: mean of ``with_others``.
        upper: not below ``lower`` where all heard the same steps.
        agreement: inter-subject correlation, the mean r of all pairs: reliability of one trace. May be negative.
        by_halves: the same by halves.
        with_others: (S,) r of each listener with the mean of the others, NaN where it is not defined.
    """

    num_listeners: int
    lower: float
    upper: float
    agreement: float
    by_halves: float
    with_others: Floats

    @property
    def reliability_of_mean(self) -> float:
        """Of the mean trace of all listeners, by halves."""
        return stepped(max(self.by_halves, 0.0), self.num_listeners)


def song_ceiling(traces: NDArray[np.floating], is_heard: Bools, *key: str | int) -> Ceiling | None:
    """Ceiling of one song; None where fewer than two listeners have traces that can be compared.

    Args:
        traces: (S, M). A listener of large responses would outweigh others in a mean: they are standardised here.
        is_heard: (S, M). A mean is over those who heard the step; a correlation is over steps that both sides have.
        key: names the draws of halves, where there are too many to take all; equal keys give equal draws.
    """
    scaled = _standardised(np.where(is_heard, np.asarray(traces, np.float64), np.nan))
    everyone = np.flatnonzero(np.isfinite(scaled).any(1))
    agreement = _mean_of([correlation(scaled[a], scaled[b]) for a, b in combinations(everyone, 2)])
    if np.isnan(agreement):
        return None
    with_others = np.full(len(scaled), np.nan)
    for listener in everyone:
        with_others[listener] = correlation(scaled[listener], _mean_trace(scaled[everyone[everyone != listener]]))
    common = _mean_trace(scaled)
    return Ceiling(
        num_listeners=len(everyone),
        lower=_mean_of(with_others),
        upper=_mean_of([correlation(scaled[listener], common) for listener in everyone]),
        agreement=agreement,
        by_halves=_single_by_halves(scaled[everyone], *key),
        with_others=with_others,
    )


def ceiling_scores(ceilings: Sequence[Ceiling | None], resampling: Resampling) -> dict[str, Score]:
    """Means over songs, by the names at the head of the module; empty where no song has two listeners.

    The root is taken of the mean reliability: the roots of single songs, of which many would be 0 for being
    negative, would have a mean above 0 where listeners have nothing in common.

    Args:
        ceilings: of each song.
        resampling: over the same songs.
    """
    rows = [_numbers(each) if each else np.zeros((5, 2)) for each in ceilings]
    total, drawn = resampling.totals(np.stack(rows))
    if not total[0, 1]:
        return {}
    with np.errstate(invalid="ignore", divide="ignore"):
        values, replicates = total[:, 0] / total[:, 1], drawn[..., 0] / drawn[..., 1]
    names = ("lower", "upper", "agreement", "perfect", "perfect_by_halves")
    scores = {}
    for place, name in enumerate(names):
        each = values[place], replicates[:, place]
        value, draws = map(_root, each) if name.startswith("perfect") else each
        scores[name] = Score(float(value), np.asarray(draws), resampling.tail)
    return scores


def stepped(reliability: float, factor: float) -> float:
    """Reliability of a mean over ``factor`` times as many listeners (Spearman and Brown); below 1, of fewer."""
    return factor * reliability / (1 + (factor - 1) * reliability)


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's r (M,) over steps that are not NaN in either; NaN if fewer than three, or if one is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    x, y = a[both], b[both]
    if len(x) < LEAST_STEPS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _standardised(traces: Floats) -> Floats:
    """Mean 0 and deviation 1 over heard steps of (S, M); constant traces, of which nothing can be said, all NaN."""
    result = np.full(traces.shape, np.nan)
    for row, trace in zip(result, traces, strict=True):
        heard = trace[np.isfinite(trace)]
        if len(heard) >= LEAST_STEPS and np.ptp(heard) > 0:
            row[:] = (trace - heard.mean()) / heard.std()
    return result


def _mean_trace(scaled: Floats) -> Floats:
    """(M,) over those who heard a step; NaN where nobody did."""
    is_heard = np.isfinite(scaled)
    number = is_heard.sum(0)
    total = np.where(is_heard, scaled, 0).sum(0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _single_by_halves(scaled: Floats, *key: str | int) -> float:
    """Reliability of one listener's trace, from means of halves; with an odd number, one listener sits out."""
    size = len(scaled) // 2
    chosen = _halves(len(scaled), *key)
    between = _mean_of([correlation(_mean_trace(scaled[h[:size]]), _mean_trace(scaled[h[size:]])) for h in chosen])
    return stepped(between, 1 / size)


def _halves(number: int, *key: str | int) -> list[NDArray[np.int64]]:
    """Places of the listeners of one half and then of the other."""
    size = number // 2
    if comb(number, size) * comb(number - size, size) // 2 > MOST_HALVES:
        generator = keyed_generator("halves", *key)
        return [generator.permutation(number)[: 2 * size] for _ in range(MOST_HALVES)]
    halves = []
    for one in combinations(range(number), size):
        rest = [place for place in range(number) if place not in one]
        halves += [np.array(one + other) for other in combinations(rest, size) if one < other]
    return halves


def _numbers(ceiling: Ceiling) -> Floats:
    """(5, 2): number, and that it counts; in the order of the scores."""
    values = (ceiling.lower, ceiling.upper, ceiling.agreement, ceiling.agreement, ceiling.by_halves)
    return np.array([[0.0 if np.isnan(value) else value, not np.isnan(value)] for value in values], np.float64)


def _mean_of(values: Sequence[float] | Floats) -> float:
    """Mean of those that are defined, else NaN."""
    defined = np.asarray(values, np.float64)
    defined = defined[np.isfinite(defined)]
    return float(defined.mean()) if len(defined) else np.nan


def _root(reliability: Floats | float) -> Floats:
    return np.asarray(np.sqrt(np.maximum(reliability, 0.0)))
