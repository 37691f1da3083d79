"""Gaps of a trace: short ones are bridged, long ones do not poison the filters and are given back as gaps."""

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Mask = NDArray[np.bool_]


def bridge_gaps(samples: NDArray[np.floating], rate_hz: float, max_gap_sec: float) -> tuple[Signal, Mask]:
    """A trace without missing values, and where they must not be believed.

    A line is drawn across every gap, so that a filter can run over it. Gaps longer than ``max_gap_sec`` and those at
    an end, where there is nothing to draw a line to (the nearest value is held), are marked.

    Args:
        samples: (T,); what is not finite is missing.

    Returns:
        The filled trace (T,), and ``is_lost`` (T,). A trace of missing values alone becomes zeros, all lost.
    """
    filled = np.asarray(samples, np.float64).copy()
    is_missing = ~np.isfinite(filled)
    if not is_missing.any():
        return filled, is_missing
    known = np.flatnonzero(~is_missing)
    if not len(known):
        return np.zeros_like(filled), is_missing
    filled[is_missing] = np.interp(np.flatnonzero(is_missing), known, filled[known])
    is_lost = is_missing.copy()
    for first, stop in gaps(is_missing):
        is_inside = first > 0 and stop < len(filled)
        if is_inside and (stop - first) / rate_hz <= max_gap_sec:
            is_lost[first:stop] = False
    return filled, is_lost


def gaps(is_missing: Mask) -> list[tuple[int, int]]:
    """First index, and the one after the last, of each stretch that is True."""
    edges = np.flatnonzero(np.diff(is_missing.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(stop)) for first, stop in zip(edges[::2], edges[1::2], strict=True)]
