"""Skin conductance responses of a trace, and how many of the true ones a prediction has.

A response is a rise of a second or so (Boucsein, "Electrodermal Activity", 2012). It is looked for in the slope of
the trace, not in the trace: a response that begins before the last one has faded is a peak of the slope of its own,
while the trace may have no second peak at all. In 200 simulated minutes of clean signal with a response every 6 s,
drift and noise, peaks of the slope found 0.82 of the responses within 2 s of their onset, peaks of the trace
(``find_peaks`` by prominence) 0.58, with a precision of 0.63 and 0.55; at one every 3 s, 0.66 and 0.45.
A slow rise is no response in a trace without drift (the phasic part), but may be one in the clean signal.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from audiorig.config.eda import TraceScoreConfig

STEEP_FOR_SEC = 1.0  # a response takes about a second to rise: its slope stands out by its rise over that time
SHARE_OF_STEEPEST = 0.1  # the rise begins where the slope is no longer a tenth of the steepest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Responses:
    """Responses in the order of their onsets.

    Attributes:
        onset_sec: (K,) centre of the last step before the rise, seconds since step 0 began.
        rise: (K,) from there to the top, in the unit of the trace.
    """

    onset_sec: Floats
    rise: Floats


def find_responses(
    trace: NDArray[np.floating], is_heard: NDArray[np.bool_], rate_hz: float, least_rise: float
) -> Responses:
    """Responses of each heard stretch of a trace (M,); a rise that goes on over a gap is not put together.

    Args:
        trace: clean or phasic signal, without what lies above a few Hz.
        is_heard: (M,).
        rate_hz: steps a second.
        least_rise: what a response rises at least, in the unit of the trace.
    """
    found: list[tuple[int, float]] = []
    edges = np.flatnonzero(np.diff(np.asarray(is_heard, np.int8), prepend=0, append=0))
    for first, behind in edges.reshape(-1, 2):
        rises = _rises(np.asarray(trace[first:behind], np.float64), least_rise / STEEP_FOR_SEC / rate_hz)
        found += [(first + onset, rise) for onset, rise in rises if rise >= least_rise]
    onsets, sizes = np.array(found).reshape(-1, 2).T
    return Responses((onsets + 0.5) / rate_hz, sizes)


def response_scores(
    predicted: Floats, true: Floats, is_heard: NDArray[np.bool_], rate_hz: float, settings: TraceScoreConfig
) -> tuple[Floats, Floats]:
    """Precision and recall of each prediction's responses.

    Both traces are searched for rises of so many deviations of the *true* one: a prediction that is too flat has
    none, it is not blown up. A pair counts if its onsets are at most ``response_sec`` apart.

    Args:
        predicted: (P, M) in the unit of ``true``.
        true: (P, M).
        is_heard: (P, M).
        rate_hz: steps a second.
        settings: ``response_sec`` and ``min_response``.

    Returns:
        (P,) the share of the predicted responses that are true, NaN without any; and (P,) the share of the true
        ones that were predicted, NaN without any. Both NaN if the true trace is constant.
    """
    found = [_scores(*rows, rate_hz, settings) for rows in zip(predicted, true, is_heard, strict=True)]
    precision, recall = np.array(found, np.float64).reshape(-1, 2).T
    return precision, recall


def _scores(
    predicted: Floats, true: Floats, is_heard: NDArray[np.bool_], rate_hz: float, settings: TraceScoreConfig
) -> tuple[float, float]:
    """Of one trace (M,)."""
    heard = true[is_heard]
    if not len(heard) or np.ptp(heard) == 0:
        return np.nan, np.nan
    least = settings.min_response * float(heard.std())
    told, real = (find_responses(trace, is_heard, rate_hz, least).onset_sec for trace in (predicted, true))
    hits = num_matched(told, real, settings.response_sec)
    return _share(hits, len(told)), _share(hits, len(real))


def num_matched(a: Floats, b: Floats, within: float) -> int:
    """The most pairs of one of ``a`` and one of ``b``, both sorted, that can be made no further than that apart.

    In order of time, each takes the earliest partner that is left: leaving it for a later one never helps.
    """
    i = j = hits = 0
    while i < len(a) and j < len(b):
        gap = a[i] - b[j]
        is_hit = abs(gap) <= within
        hits += is_hit
        i, j = i + bool(is_hit or gap < 0), j + bool(is_hit or gap > 0)
    return hits


def _rises(trace: Floats, least_slope: float) -> list[tuple[int, float]]:
    """Step before the rise, and its size, of each peak of the slope of an unbroken trace."""
    slope = np.diff(trace)  # between step k and the next
    # A peak at the edge is one too: the trace begins, or ends, in the middle of a rise.
    peaks = find_peaks(np.concatenate([[0], slope, [0]]), height=0, prominence=least_slope)[0] - 1
    if not len(peaks):
        return []
    valleys = [first + int(np.argmin(slope[first:last])) for first, last in pairwise(peaks)]
    found = []
    for peak, earliest, latest in zip(peaks, [0, *valleys], [*valleys, len(slope) - 1], strict=True):
        before, after = slope[earliest:peak][::-1], slope[peak : latest + 1]
        onset = peak - _num_leading(before > SHARE_OF_STEEPEST * slope[peak])
        top = peak + _num_leading(after > 0)
        found.append((int(onset), float(trace[top] - trace[onset])))
    return found


def _num_leading(flags: NDArray[np.bool_]) -> int:
    """How many are True before the first that is not."""
    return int(np.argmin(flags)) if not flags.all() else len(flags)


def _share(hits: int, number: int) -> float:
    return hits / number if number else np.nan
