"""Resampling a window so that it equals the same slice of the whole file, resampled."""

import math
import threading
from collections.abc import Callable

import numpy as np
import soxr

from audiorig.data.source import Samples

# Source samples on either side of a window, per unit of max(1, source rate / target rate).
# soxr HQ: with 64 the edges differ from the whole decode by 2e-4, from 128 on by rounding only.
MARGIN = 256


class _Streams(threading.local):
    """The resamplers of a thread, by their rates. Making one costs as much as resampling 0.2 s."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], soxr.ResampleStream] = {}


_streams = _Streams()


def resampled_length(num_samples: int, source_rate_hz: int, rate_hz: int) -> int:
    """Samples that ``num_samples`` become at another rate; the last is never extrapolated."""
    return num_samples * rate_hz // source_rate_hz


def read_resampled(
    read: Callable[[int, int], Samples], total: int, source_rate_hz: int, start: int, stop: int, rate_hz: int
) -> Samples:
    """Samples ``start`` to ``stop``, counted at ``rate_hz``.

    The resampler gets a margin on both sides, and starts where its output grid meets that of the
    whole file.

    Args:
        read: gives source samples from one place to another.
        total: how many source samples there are.
    """
    if source_rate_hz == rate_hz or start >= stop:
        return read(start, stop)
    divisor = math.gcd(source_rate_hz, rate_hz)
    up, down = rate_hz // divisor, source_rate_hz // divisor
    margin = math.ceil(MARGIN * max(1.0, down / up))
    first_block = max(0, (start * down // up - margin) // down)  # a block: `down` samples in, `up` out
    source_stop = min(total, math.ceil(stop * down / up) + margin)
    resampled = _resample(read(first_block * down, source_stop), source_rate_hz, rate_hz)
    offset = start - first_block * up
    return np.ascontiguousarray(resampled[offset : offset + stop - start])


def _resample(samples: Samples, source_rate_hz: int, rate_hz: int) -> Samples:
    """soxr HQ, the same samples as ``soxr.resample``."""
    key = (source_rate_hz, rate_hz)
    if key not in _streams.kept:
        _streams.kept[key] = soxr.ResampleStream(source_rate_hz, rate_hz, 1, dtype="float32")
    stream = _streams.kept[key]
    stream.clear()
    return stream.resample_chunk(samples, last=True)
