"""Which latents are hidden, and which channel an item is heard through: drawn by key, as arrays."""

import numpy as np
from numpy.typing import NDArray


def num_hidden(num_latents: int, ratio: float) -> int:
    """How many latents of an item are hidden: at least 1 and at most N - 1, none if N is 1."""
    return min(max(1, round(ratio * num_latents)), num_latents - 1) if num_latents > 1 else 0


def draw_spans(
    generator: np.random.Generator, num_latents: int, ratio: float, min_span: int, max_span: int
) -> NDArray[np.bool_]:
    """Hide spans of latents.

    Spans and gaps are laid round a circle which is then cut at a random place, so every position
    is hidden equally often; only a span at an end, or the last one drawn, can be shorter than
    ``min_span``. Spans do not touch while there are gaps enough to part them.

    Returns:
        bool (N,), True where hidden, ``num_hidden`` of them.
    """
    if num_latents < 2:
        return np.zeros(num_latents, dtype=bool)
    count = num_hidden(num_latents, ratio)
    spans: list[int] = []
    while (left := count - sum(spans)) > 0:
        spans.append(min(int(generator.integers(min_span, max_span + 1)), left))
    gaps = _random_parts(generator, num_latents - count, len(spans))
    lengths = np.stack([spans, gaps], axis=1).ravel()
    circle = np.repeat(np.tile([True, False], len(spans)), lengths)
    return np.roll(circle, int(generator.integers(num_latents)))


def _random_parts(generator: np.random.Generator, total: int, num_parts: int) -> NDArray[np.int64]:
    """Cut a total into parts, all cuts equally likely; each part at least 1 if that is possible."""
    least = 1 if total >= num_parts else 0
    free = total - least * num_parts
    bars = np.sort(generator.choice(free + num_parts - 1, num_parts - 1, replace=False))
    edges = np.concatenate([[-1], bars, [free + num_parts - 1]])
    return np.diff(edges) - 1 + least


def draw_channel(generator: np.random.Generator, num_bins: int, largest_db: float) -> NDArray[np.float32]:
    """A smooth random channel and gain, to be added to log magnitudes.

    Returns:
        float32 (F,) nepers: a gain and four cosines over the logarithm of frequency, each of at
        most ``largest_db`` (the finer ones of less).
    """
    position = np.log1p(np.arange(num_bins) / (num_bins / 16)) / np.log1p(16)
    order = np.arange(5)[:, None]
    amplitude = generator.uniform(-1, 1, (5, 1)) * largest_db / np.maximum(1, order)
    decibels = (amplitude * np.cos(np.pi * order * position)).sum(0)
    return (decibels * (np.log(10) / 20)).astype(np.float32)
