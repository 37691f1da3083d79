"""Batches of songs: padded on the left, and nothing that is not there is counted."""

import numpy as np
import torch

from audiorig.data.eda.batches import IGNORED, SongCollate, SongItem

RATIO, NUM_INPUTS = 5, 3


def item_of(num_steps: int, listeners: int, start: int = 0, seed: int = 0) -> SongItem:
    generator = np.random.default_rng(seed)
    is_heard = np.ones((listeners, num_steps), bool)
    is_heard[0, :2] = False
    traces = generator.standard_normal((listeners, num_steps)).astype(np.float32)
    return SongItem(
        song_id=f"song/{seed}",
        start=start,
        mfcc=generator.standard_normal((num_steps * RATIO, NUM_INPUTS)).astype(np.float32),
        traces=np.where(is_heard, traces, np.float32(0)),
        is_heard=is_heard,
        trace_ids=tuple(f"song/{seed}/{listener}/0" for listener in range(listeners)),
    )


def test_the_ends_lie_at_one_place() -> None:
    items = [item_of(6, 2, start=3, seed=1), item_of(9, 4, seed=2)]
    batch = SongCollate()(items)
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        **{"mfcc": (2, 9 * RATIO, NUM_INPUTS), "is_padding": (2, 9), "start": (2,)},
        **{"traces": (2, 4, 9), "is_heard": (2, 4, 9), "labels": (2, 4)},
    }
    for row, item in enumerate(items):
        first, listeners = 9 - item.num_steps, len(item.trace_ids)
        assert torch.equal(batch["mfcc"][row, first * RATIO :], torch.from_numpy(item.mfcc))
        assert torch.equal(batch["traces"][row, :listeners, first:], torch.from_numpy(item.traces))
        assert torch.equal(batch["is_heard"][row, :listeners, first:], torch.from_numpy(item.is_heard))
        assert batch["is_padding"][row].tolist() == [True] * first + [False] * item.num_steps
        for name, end in (("mfcc", first * RATIO), ("traces", 0), ("is_heard", 0)):
            assert not batch[name][row, :end].any()
        assert not batch["traces"][row, :, :first].any() and not batch["is_heard"][row, :, :first].any()
        assert not batch["is_heard"][row, listeners:].any()
    assert batch["start"].tolist() == [3, 0]
    assert [value.dtype for value in batch.values()] == [
        *(torch.float32, torch.bool, torch.int64, torch.float32, torch.bool, torch.int64),
    ]


def test_labels_count_traces_that_are_heard() -> None:
    silent = item_of(6, 3, seed=3)
    silent.is_heard[1] = False
    batch = SongCollate()([silent, item_of(8, 2, seed=4)])
    assert batch["labels"].tolist() == [[0, IGNORED, 0], [0, 0, IGNORED]]


def test_a_batch_of_one_is_not_padded() -> None:
    batch = SongCollate()([item_of(7, 2)])
    assert not batch["is_padding"].any() and batch["traces"].shape == (1, 2, 7)
