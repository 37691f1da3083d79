"""Which frames of an item are hidden, and what each is told apart from: drawn by key, as arrays.

The task of wav2vec 2.0 (Baevski et al., 2020, sections 3.1 and 3.2). Transformers has both as
private functions that draw from NumPy's global state, for a whole batch at once, so that an item's
mask would depend on its neighbours; and their negatives are places in the flattened batch.
"""

import numpy as np
from numpy.typing import NDArray


def draw_hidden(
    generator: np.random.Generator, num_frames: int, prob: float, span: int, min_spans: int
) -> NDArray[np.bool_]:
    """Hide spans of frames; they may overlap, so the share that is hidden is smaller than ``prob``.

    Args:
        generator: of this item alone.
        num_frames: N.
        prob: hidden frames, as a share, if no spans overlapped.
        span: frames of a span; an item of fewer frames has nothing hidden.
        min_spans: fewest spans, as far as they fit beside each other.

    Returns:
        bool (N,), True where hidden.
    """
    is_hidden = np.zeros(num_frames, dtype=bool)
    num_starts = num_frames - span + 1
    if num_starts < 1:
        return is_hidden
    wanted = int(prob * num_frames / span + generator.random())  # rounded up as often as its fraction says
    count = min(max(wanted, min_spans), num_frames // span, num_starts)
    starts = generator.choice(num_starts, count, replace=False)
    is_hidden[starts[:, None] + np.arange(span)] = True
    return is_hidden


def draw_negatives(
    generator: np.random.Generator, is_hidden: NDArray[np.bool_], num_negatives: int
) -> NDArray[np.int64]:
    """For each hidden frame, other hidden frames of the same item, all equally likely.

    Returns:
        int64 (N, K) frame numbers, 0 where nothing is hidden, or where only one frame is.
    """
    negatives = np.zeros((len(is_hidden), num_negatives), dtype=np.int64)
    hidden = np.flatnonzero(is_hidden)
    if len(hidden) > 1:
        drawn = generator.integers(0, len(hidden) - 1, (len(hidden), num_negatives))
        drawn += drawn >= np.arange(len(hidden))[:, None]  # steps over the frame itself
        negatives[hidden] = hidden[drawn]
    return negatives
