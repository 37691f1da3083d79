"""What an item of songs is, and several of them as one batch, padded on the left.

Left, so that the ends of stretches of all lengths lie at one place: the last step of a batch is
real for everybody, and a causal model's cache could go on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IGNORED = -100  # what the trainer does not count


@dataclass(frozen=True)
class SongItem:
    """A stretch of a song, and what its listeners' skin did meanwhile.

    Attributes:
        start: step of the song that the stretch begins with.
        mfcc: float32 (M*R, C), as computed: the model scales them.
        traces: float32 (S, M), scaled; 0 where not heard.
        is_heard: (S, M), where a trace has a value.
        trace_ids: S of them.
    """

    song_id: str
    start: int
    mfcc: NDArray[np.float32]
    traces: NDArray[np.float32]
    is_heard: NDArray[np.bool_]
    trace_ids: tuple[str, ...]

    @property
    def num_steps(self) -> int:
        """M."""
        return int(self.traces.shape[1])


@dataclass(frozen=True)
class SongCollate:
    """Items to a batch of as many steps as its longest item has, and as many listeners as its most heard one.

    Returns:
        ``mfcc`` float32 (B, M*R, C), zeros in the padding; ``is_padding`` bool (B, M); ``start``
        int64 (B,): step of the song at the first real step; ``traces`` float32 (B, S, M), 0 where
        not heard; ``is_heard`` bool (B, S, M); ``labels`` int64 (B, S): 0 for a trace with a heard
        step, else -100, which the trainer does not count.
    """

    def __call__(self, items: Sequence[SongItem]) -> dict[str, Tensor]:
        num_steps, most = max(item.num_steps for item in items), max(len(item.trace_ids) for item in items)
        ratio, num_inputs = len(items[0].mfcc) // items[0].num_steps, items[0].mfcc.shape[1]
        mfcc = torch.zeros(len(items), num_steps * ratio, num_inputs)
        traces = torch.zeros(len(items), most, num_steps)
        is_heard = torch.zeros(len(items), most, num_steps, dtype=torch.bool)
        is_padding = torch.ones(len(items), num_steps, dtype=torch.bool)
        for row, item in enumerate(items):
            first, listeners = num_steps - item.num_steps, len(item.trace_ids)
            mfcc[row, first * ratio :] = torch.from_numpy(item.mfcc)
            traces[row, :listeners, first:] = torch.from_numpy(item.traces)
            is_heard[row, :listeners, first:] = torch.from_numpy(item.is_heard)
            is_padding[row, first:] = False
        return {
            "mfcc": mfcc,
            "is_padding": is_padding,
            "start": torch.tensor([item.start for item in items]),
            "traces": traces,
            "is_heard": is_heard,
            "labels": torch.where(is_heard.any(dim=-1), 0, IGNORED),
        }
