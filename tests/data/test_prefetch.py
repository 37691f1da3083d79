"""Batches that are read ahead are the batches that are read on demand."""

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from accelerate import skip_first_batches
from torch.utils.data import DataLoader

from audiorig.data.crops import CropDataset
from audiorig.data.prefetch import NUM_THREADS, ReadAhead, as_it_is
from audiorig.errors import DataError
from audiorig.train.sampler import StepSampler


class Squares:
    """Item k of epoch e is (e, k * k); notes what was asked for, and can be slow or broken."""

    def __init__(self, delay_sec: float = 0.0, broken: int = -1) -> None:
        self.asked: list[tuple[int, int]] = []
        self.delay_sec, self.broken = delay_sec, broken

    def __len__(self) -> int:
        return 10

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, int]:
        self.asked.append(key)
        time.sleep(self.delay_sec)
        if key[1] == self.broken:
            raise DataError("item.wav: broken")
        return key[0], key[1] ** 2


def loader_of(dataset: Squares, sampler: StepSampler, **more: int) -> DataLoader:
    return DataLoader(ReadAhead(dataset, list, sampler, **more), batch_sampler=sampler, collate_fn=as_it_is)


def expected(sampler: StepSampler) -> list[list[tuple[int, int]]]:
    return [[(epoch, item**2) for epoch, item in keys] for keys in sampler]


@pytest.mark.parametrize(("num_threads", "num_ahead"), [(1, 1), (2, 4), (4, 100)])
def test_batches_come_in_order(num_threads: int, num_ahead: int) -> None:
    sampler = StepSampler(10, 3, 25, seed=1)
    loader = loader_of(Squares(), sampler, num_threads=num_threads, num_ahead=num_ahead)
    for _ in range(2):  # the second time from the beginning again
        assert list(loader) == expected(sampler)


@pytest.mark.parametrize("skipped", [1, 7, 25])
def test_a_resumed_run_skips_without_reading(skipped: int) -> None:
    dataset, sampler = Squares(), StepSampler(10, 3, 25, seed=1)
    loader = skip_first_batches(loader_of(dataset, sampler), skipped)
    assert list(loader) == expected(sampler)[skipped:]
    assert dataset.asked.count((0, 0)) <= 1
    assert len(dataset.asked) == 3 * (25 - skipped)


class Together(Squares):
    """Notes which items were asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: list[list[tuple[int, int]]] = []

    def __getitems__(self, keys: list[tuple[int, int]]) -> list[tuple[int, int]]:
        self.at_once.append(keys)
        return [self[key] for key in keys]


def test_a_batch_is_asked_for_at_once_where_that_is_possible() -> None:
    """Files in object storage are then fetched side by side."""
    dataset, sampler = Together(), StepSampler(10, 3, 5, seed=1)
    assert list(loader_of(dataset, sampler, num_threads=1)) == expected(sampler)
    assert dataset.at_once == [list(keys) for keys in sampler]


def test_batches_are_made_while_the_caller_works() -> None:
    dataset, sampler = Squares(delay_sec=0.01), StepSampler(10, 1, 8, seed=0)
    batches = iter(loader_of(dataset, sampler, num_ahead=3))
    next(batches)
    deadline = time.monotonic() + 5
    while len(dataset.asked) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(dataset.asked) == 4  # the one that was given, and three ahead, not more


def test_another_order_than_the_announced_one_is_served_too() -> None:
    sampler = StepSampler(10, 2, 5, seed=0)
    ahead = ReadAhead(Squares(), list, sampler)
    batches = list(sampler)
    for keys in (batches[3], batches[1], batches[2], [(9, 9)], batches[0]):
        assert ahead.__getitems__(keys) == [(epoch, item**2) for epoch, item in keys]


def test_an_error_arrives_with_its_batch_and_not_before() -> None:
    sampler = StepSampler(10, 1, 10, seed=0)
    position = [keys[0][1] for keys in sampler].index(4)
    batches = iter(loader_of(Squares(broken=4), sampler))
    for _ in range(position):
        next(batches)
    with pytest.raises(DataError, match=r"item\.wav: broken"):
        next(batches)


def num_readers() -> int:
    return sum(thread.name.startswith("read-ahead") for thread in threading.enumerate())


def wait_for_readers(count: int) -> None:
    deadline = time.monotonic() + 5
    while num_readers() != count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert num_readers() == count


def test_threads_end_with_the_data_set() -> None:
    gc.collect()
    wait_for_readers(0)
    loader = loader_of(Squares(), StepSampler(10, 1, 10, seed=0))
    next(iter(loader))
    assert num_readers() == NUM_THREADS
    del loader
    gc.collect()
    wait_for_readers(0)


def stacked(items: list) -> tuple[list, list[bytes]]:
    return [crop for crop, _ in items], [samples.tobytes() for _, samples in items]


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_crops_are_equal_byte_for_byte_however_they_are_read(tone_split: Path, tones) -> None:
    dataset = CropDataset(tone_split / "train.arrow", tones.root, 6000, 24000, seed=7)
    sampler = StepSampler(len(dataset), 4, 30, seed=3)
    ahead = DataLoader(ReadAhead(dataset, stacked, sampler), batch_sampler=sampler, collate_fn=as_it_is)
    found = [list(ahead)]
    for workers in (0, 2, 4):
        found.append(list(DataLoader(dataset, batch_sampler=sampler, collate_fn=stacked, num_workers=workers)))
    assert len(found[0]) == 30
    assert all(other == found[0] for other in found[1:])
    assert len(np.unique([text for _, texts in found[0] for text in texts])) > 50
