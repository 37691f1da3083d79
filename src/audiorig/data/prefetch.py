"""Reading ahead with threads: the next batches are made while the model works on this one.

Reading, decoding and NumPy leave the interpreter to other threads. Nothing crosses a process, and
the batches are those that reading on demand gives: only when they are read differs.
"""

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import dropwhile, islice
from typing import Any, Protocol, TypeVar

from torch.utils.data import Dataset

Key = tuple[int, int]
Batch = TypeVar("Batch")

NUM_THREADS = 2
NUM_AHEAD = 4  # batches that are made or wait; each may hold megabytes


class Keyed(Protocol):
    """Items that are addressed by (epoch, item)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> Any: ...


class ReadAhead(Dataset[Any]):
    """A data set whose batches come ready, for a ``DataLoader`` without workers.

    It knows the order in which it will be asked. Asked for another batch, it reads that, and goes
    on from there; so skipping batches, as a resumed run does, needs no word.

    Args:
        dataset: items that are pure functions of their key.
        collate: items to a batch; the loader's own ``collate_fn`` is `as_it_is`.
        batches: the keys of all batches, in order; iterated anew after a jump.
    """

    def __init__(
        self,
        dataset: Keyed,
        collate: Callable[[list[Any]], Any],
        batches: Iterable[Sequence[Key]],
        num_threads: int = NUM_THREADS,
        num_ahead: int = NUM_AHEAD,
    ) -> None:
        self.dataset, self.collate, self.batches = dataset, collate, batches
        self.num_ahead = num_ahead
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="read-ahead")
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        self._coming: Iterator[Sequence[Key]] = iter(())
        self._started: deque[tuple[Sequence[Key], Future[Any]]] = deque()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        return self.dataset[key]

    def __getitems__(self, keys: list[Key]) -> Any:
        """The batch of these keys."""
        if not self._started or self._started[0][0] != keys:
            self._jump_to(keys)
        _, batch = self._started.popleft()
        self._start(self._coming)
        return batch.result()

    def _jump_to(self, keys: Sequence[Key]) -> None:
        for _, batch in self._started:
            batch.cancel()
        self._started.clear()
        self._coming = dropwhile(lambda other: other != keys, iter(self.batches))
        next(self._coming, None)  # nothing is left if these keys are in no batch
        self._start(iter([keys]))

    def _start(self, batches: Iterator[Sequence[Key]]) -> None:
        for keys in islice(batches, max(1, self.num_ahead) - len(self._started)):
            self._started.append((keys, self._pool.submit(self._make, keys)))

    def _make(self, keys: Sequence[Key]) -> Any:
        return self.collate(read_items(self.dataset, keys))


def read_items(dataset: Keyed, keys: Sequence[Key]) -> list[Any]:
    """Several items at once, where a data set has a faster way for that: to fetch their files side by side."""
    together = getattr(dataset, "__getitems__", None)
    return [dataset[key] for key in keys] if together is None else together(keys)


def as_it_is(batch: Batch) -> Batch:
    """What `ReadAhead` gives is a batch already."""
    return batch
