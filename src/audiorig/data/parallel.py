"""Applying a function to many small pieces of work, with as many processes as that pays for.

A pool of processes costs more than a small corpus: 20,000 plain headers take 0.12 s on one core,
0.2 s on two that others use too. So the work begins in this process, which measures itself, and
helpers are called in for the rest only if a good deal of it is left. Threads do not help where headers come from the
page cache (all hold the interpreter's lock), but do where most of the time is spent waiting.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from tqdm import tqdm

FIRST_BATCH, MAX_BATCH = 256, 1024
ALONE_SEC = 0.02  # work on alone for so long before looking at the clock
WORTH_SEC = 0.4  # call in helpers if more is left: starting one takes 5 to 15 ms
WAITING = 4.0  # wall time per processor time from which on threads are the helpers
THREADS_PER_WORKER = 16

Item = TypeVar("Item")
Result = TypeVar("Result")
Read = Callable[[Sequence[Item]], Result]


def map_batches(
    read: Read[Item, Result],
    items: Sequence[Item],
    num_workers: int,
    *,
    failed: Read[Item, Result],
    max_batch: int = MAX_BATCH,
    label: str = "scan",
) -> Iterator[Result]:
    """Results of batches of items, in the order of the items.

    Args:
        failed: result for a batch of one whose reading ended the process.
        max_batch: most items that one call of ``read`` gets.
        label: what the progress bar says, which is shown from a second on.
    """
    with tqdm(total=len(items), desc=label, unit="file", mininterval=1, delay=1) as bar:
        done, wall, busy = 0, time.perf_counter(), time.process_time()
        size = min(FIRST_BATCH, max_batch)
        while done < len(items) and (done == 0 or num_workers < 2 or time.perf_counter() - wall < ALONE_SEC):
            batch = items[done : done + size]
            yield read(batch)
            done += len(batch)
            size = min(2 * size, max_batch)
            bar.update(len(batch))
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        left = len(items) - done
        if not left:
            return
        size = max(1, min(max_batch, left // (8 * num_workers)))
        batches = [items[start : start + size] for start in range(done, len(items), size)]
        if wall * left / done < WORTH_SEC:
            results: Iterator[Result] = map(read, batches)
        elif wall > WAITING * busy:
            results = _in_threads(read, batches, num_workers * THREADS_PER_WORKER)
        else:
            results = _in_processes(read, batches, num_workers, failed)
        for result in results:
            bar.update(min(size, len(items) - bar.n))
            yield result


def _in_threads(read: Read[Item, Result], batches: list[Sequence[Item]], num_threads: int) -> Iterator[Result]:
    with ThreadPoolExecutor(num_threads) as pool:
        yield from pool.map(read, batches)


def _in_processes(
    read: Read[Item, Result], batches: list[Sequence[Item]], num_workers: int, failed: Read[Item, Result]
) -> Iterator[Result]:
    """Worker k does batches k, k + n, ...: one pipe each, no queue, no lock that a killed one could hold."""
    workers = [_Worker(read, batches[first::num_workers]) for first in range(num_workers)]
    try:
        for index, batch in enumerate(batches):
            which = index % num_workers
            try:
                yield workers[which].receive()
            except EOFError:  # it died of one of these files: a new one goes on behind them
                workers[which].end()
                yield from _one_by_one(read, batch, failed)
                workers[which] = _Worker(read, batches[index + num_workers :: num_workers])
    finally:
        for worker in workers:
            worker.end()


def _one_by_one(read: Read[Item, Result], batch: Sequence[Item], failed: Read[Item, Result]) -> Iterator[Result]:
    """Results of a batch that ended its worker: all but those of the items that did it."""
    worker = _Worker(read, [batch])
    try:
        yield worker.receive()
    except EOFError:
        if len(batch) == 1:
            yield failed(batch)
            return
        middle = len(batch) // 2
        yield from _one_by_one(read, batch[:middle], failed)
        yield from _one_by_one(read, batch[middle:], failed)
    finally:
        worker.end()


class _Worker(Generic[Item, Result]):
    """A process that works through batches and sends each result as soon as it has it.

    Forked, not spawned: importing the package anew takes longer than the scan of 20,000 files. So
    what it runs must not touch threads or locks of the parent.
    """

    def __init__(self, read: Read[Item, Result], batches: list[Sequence[Item]]) -> None:
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(read, batches, sender), daemon=True)
        self._process.start()
        sender.close()  # else the end of a dead worker's results would never be seen

    def receive(self) -> Result:
        """The next result; an EOFError or OSError if the process is gone."""
        result: Result = self._receiver.recv()
        return result

    def end(self) -> None:
        self._receiver.close()
        self._process.kill()
        self._process.join()


def _work(read: Read[Item, Result], batches: list[Sequence[Item]], sender: Connection) -> None:
    for batch in batches:
        try:
            sender.send(read(batch))
        except BrokenPipeError:  # the parent was killed
            return
