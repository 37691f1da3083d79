"""Rate and order of samples from the times that a file gives them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiorig.data.eda.assumptions import Assumptions

NEARLY_WHOLE = 1e-3  # times are rounded: a rate this close to a whole number is that number
MAX_STRETCH = 4  # gaps may make a trace so many times longer; a stray time would make it endless
SAME_RATE = 0.01
MAX_SEC = 1e12  # of a time; larger ones are none
MIN_HZ, MAX_HZ = 1e-3, 1e5


@dataclass(frozen=True)
class Clock:
    """When the T samples of a file were taken.

    Attributes:
        rate_hz: samples in a second; NaN if times say nothing.
        start_sec: time of the first.
        place: (T,) index of each sample on a grid of that rate; None if they lie on it one by one.
    """

    rate_hz: float
    start_sec: float
    place: NDArray[np.int64] | None = None

    def on_grid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first samples of a column, up to T, at their places, NaN where the file left some out."""
        if self.place is None or not len(values):
            return values
        place = self.place[: len(values)]
        gridded = np.full(int(place[-1]) + 1, np.nan)
        gridded[place] = values
        return gridded


def read_clock(times_sec: NDArray[np.float64], name: str, assumptions: Assumptions) -> Clock:
    """The clock of some samples.

    The rate is that of the whole file, or of its commonest step where there are gaps: times are
    printed with two decimals, so a single step can be far off.

    Args:
        times_sec: (T,), NaN where a file has none.
    """
    known = np.flatnonzero(np.abs(times_sec) < MAX_SEC)
    if len(known) < 2:
        if len(times_sec):
            assumptions.assume("rate-published", "times say nothing: samples are taken at the published rate", name)
        return Clock(np.nan, 0.0)
    if len(known) < len(times_sec):
        text = "samples without a time lie evenly between those that have one, or as far apart in front and behind"
        assumptions.assume("times-missing", text, name)
        times_sec = _completed(times_sec, known)
    since, start = times_sec - times_sec[0], float(times_sec[0])
    step = float(np.median(np.diff(since)))
    if not 1 / MAX_HZ <= step <= 1 / MIN_HZ:
        assumptions.assume("rate-published", "times say nothing: samples are taken at the published rate", name)
        return Clock(np.nan, start)
    if since[-1] >= step:
        rate = _nearly_whole((len(since) - 1) / since[-1])
        if np.abs(since * rate - np.arange(len(since))).max() <= 0.5:
            return Clock(rate, start)
    rate = _nearly_whole(1 / step)
    place = np.rint(since * rate)
    if (np.diff(place) >= 1).all() and place[-1] <= MAX_STRETCH * len(since):
        assumptions.assume("times-gap", "where times leap, samples are taken to be missing in between", name)
        return Clock(rate, start, place.astype(np.int64))
    assumptions.assume("times-disordered", "times leap back or far away: samples are taken as they stand", name)
    return Clock(rate, start)


def rate_of(own_hz: float, given_hz: float | None, published_hz: float, name: str, assumptions: Assumptions) -> float:
    """The rate that a file's samples are read at: the given one, else its own, else the published one.

    Args:
        own_hz: what the file itself says; NaN if it says nothing.
        given_hz: what the settings say.
    """
    is_other = abs(own_hz / (given_hz or published_hz) - 1) > SAME_RATE  # never so if it says nothing
    if given_hz is not None:
        if is_other:
            assumptions.assume("rate-given", "the settings' rate is used, which is not the one the file gives", name)
        return given_hz
    if is_other:
        assumptions.assume("rate-own", "the rate that the file gives is used, which is not the published one", name)
    return published_hz if np.isnan(own_hz) else own_hz


def _completed(times_sec: NDArray[np.float64], known: NDArray[np.int64]) -> NDArray[np.float64]:
    """Times (T,) of all samples, of two or more ``known`` ones."""
    place = np.arange(len(times_sec))
    step = float(np.median(np.diff(times_sec[known]) / np.diff(known)))
    beyond = np.minimum(place - known[0], 0) + np.maximum(place - known[-1], 0)
    return np.asarray(np.interp(place, known, times_sec[known]) + step * beyond)


def _nearly_whole(rate_hz: float) -> float:
    whole = round(rate_hz)
    return float(whole) if whole and abs(rate_hz / whole - 1) <= NEARLY_WHOLE else rate_hz
