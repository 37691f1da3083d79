"""Running code that may crash, hang or eat memory over many files: one bad file costs only itself.

Batches of files go to child processes with limits on memory, processor time and wall time. When a
child ends before its batch does, nothing that it found counts: the file that it was at is tried
again alone, in a new child, and so are those before and behind it. Only a file that ends a child
all by itself is to blame.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from threadpoolctl import threadpool_limits

POLL_SEC = 0.25
AHEAD = 4  # batches per worker that may be done before the one that is waited for

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes:
        memory_bytes: address space, beyond what it began with.
        base_sec, sec_per_mb: processor time for one file, by its size. The slowest honest kind is
            FLAC or MP3 of silence: few bytes, many samples.
        patience: wall time as a multiple of processor time; the disk may be slow, the cores busy.
    """

    memory_bytes: int = 400 << 20
    base_sec: float = 30
    sec_per_mb: float = 5
    patience: float = 5

    def seconds(self, num_bytes: int) -> float:
        """Processor time for a file."""
        return self.base_sec + self.sec_per_mb * num_bytes / 2**20


@dataclass(frozen=True)
class Work(Generic[Task, Result]):
    """What is done, and what it may cost.

    Attributes:
        run: called in a child for every task.
        blame: result of a task that ended its child, from a sentence that says how.
        num_bytes: size of a task's file.
    """

    run: Callable[[Task], Result]
    blame: Callable[[Task, str], Result]
    num_bytes: Callable[[Task], int]
    limits: Limits = Limits()


@dataclass
class _Job(Generic[Task]):
    """A batch, or the part of one that is tried again."""

    batch: int
    first: int
    tasks: Sequence[Task]
    is_retry: bool = False

    def around(self, position: int) -> "list[_Job[Task]]":
        """What was before the task that a child died at, that task, and what is behind it."""
        count = len(self.tasks)
        is_known = 0 <= position < count  # else it died with its work done: any of them may have done it
        cuts = [0, position, position + 1, count] if is_known else [0, count // 2, count]
        return [
            _Job(self.batch, self.first + start, self.tasks[start:stop], True)
            for start, stop in pairwise(cuts)
            if stop > start
        ]


class _Agenda(Generic[Task, Result]):
    """Batches that are to be done, and their results until all before them are complete."""

    def __init__(self, batches: Iterable[Sequence[Task]], max_open: int) -> None:
        self._supply, self._max_open = enumerate(batches), max_open
        self._retries: deque[_Job[Task]] = deque()
        self._open: dict[int, dict[int, Result]] = {}
        self._sizes: dict[int, int] = {}
        self._due = 0
        self._is_supplied = False

    def next_job(self) -> _Job[Task] | None:
        """What to do next; None if there is nothing now."""
        if self._retries:
            return self._retries.popleft()
        while len(self._open) < self._max_open and not self._is_supplied:
            if (new := next(self._supply, None)) is None:
                self._is_supplied = True
                break
            number, tasks = new
            self._open[number], self._sizes[number] = {}, len(tasks)
            if tasks:
                return _Job(number, 0, tasks)
        return None

    def retry(self, jobs: list[_Job[Task]]) -> None:
        self._retries.extendleft(reversed(jobs))

    def fill(self, job: _Job[Task], results: Sequence[Result]) -> None:
        self._open[job.batch].update(enumerate(results, job.first))

    def completed(self) -> Iterator[list[Result]]:
        """Batches whose turn it is."""
        while self._due in self._open and len(self._open[self._due]) == self._sizes[self._due]:
            results = self._open.pop(self._due)
            self._due += 1
            yield [results[index] for index in range(len(results))]

    @property
    def is_done(self) -> bool:
        return self._is_supplied and not self._open


def map_isolated(
    work: Work[Task, Result], batches: Iterable[Sequence[Task]], num_workers: int
) -> Iterator[list[Result]]:
    """Results of all tasks, batch by batch, in order.

    Raises:
        RuntimeError: if ``work.run`` raises.
    """
    agenda: _Agenda[Task, Result] = _Agenda(batches, AHEAD * num_workers)
    idle: list[_Child[Task, Result]] = []
    busy: dict[_Child[Task, Result], _Job[Task]] = {}
    try:
        while not agenda.is_done:
            while len(busy) < num_workers and (job := agenda.next_job()):
                # A child that worked on other files may have been harmed by one of them.
                child = _Child(work) if job.is_retry or not idle else idle.pop()
                busy[child] = job
                child.give(job.tasks)
            wait([child.connection for child in busy], POLL_SEC if busy else 0)
            for child, job in list(busy.items()):
                if (results := child.take()) is not None:
                    agenda.fill(job, results)
                    if job.is_retry:
                        child.end()
                    else:
                        idle.append(child)
                elif (death := child.death()) is None:
                    continue
                elif len(job.tasks) > 1:
                    agenda.retry(job.around(child.position))
                elif job.is_retry:
                    agenda.fill(job, [work.blame(job.tasks[0], death)])
                else:  # a batch of one, but its child had done others
                    agenda.retry([_Job(job.batch, 0, job.tasks, True)])
                del busy[child]
            yield from agenda.completed()
    finally:
        for child in (*idle, *busy):
            child.end()


class _Child(Generic[Task, Result]):
    """A process that works on batches."""

    def __init__(self, work: Work[Task, Result]) -> None:
        # Forked: a new interpreter would import for a second, and again after every crash.
        context = multiprocessing.get_context("fork")
        self._work, self._at = work, context.RawValue("q", -1)
        self.connection, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, work, self._at), daemon=True)
        self._process.start()
        far_end.close()  # else its death would not be seen
        self._tasks: Sequence[Task] = ()
        self._watched, self._since = -1, 0.0

    @property
    def position(self) -> int:
        """Which task of its batch it is at, or was at when it died."""
        return int(self._at.value)

    def give(self, tasks: Sequence[Task]) -> None:
        self._tasks, self._at.value = tasks, -1
        self._watched, self._since = -1, time.monotonic()
        with suppress(OSError):  # it is dead; death() will say so
            self.connection.send(tasks)

    def take(self) -> list[Result] | None:
        """Results of its batch, if they are there."""
        try:
            if not self.connection.poll():
                return None
            results, error = self.connection.recv()
        except (EOFError, OSError):
            return None
        if error:
            raise RuntimeError(f"the work on a file failed: {error}")
        return list(results)

    def death(self) -> str | None:
        """How it died, if it did; one that takes too long is killed."""
        if self._process.is_alive() and not self._is_late():
            return None
        reason = self._ending() if not self._process.is_alive() else "it did not end in time"
        self.end()
        return reason

    def _is_late(self) -> bool:
        if self.position != self._watched:
            self._watched, self._since = self.position, time.monotonic()
        num_bytes = self._work.num_bytes(self._tasks[self._watched]) if 0 <= self._watched < len(self._tasks) else 0
        limits = self._work.limits
        return time.monotonic() - self._since > limits.patience * limits.seconds(num_bytes)

    def _ending(self) -> str:
        self._process.join()
        code = self._process.exitcode or 0
        if code == -signal.SIGXCPU:
            return "it did not end in time"
        return f"it ended the decoder ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, work: Work[Task, Result], position: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.disable()  # a crash is a result, and reported as one
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders write a line for every damaged frame
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_AS, _address_space() + work.limits.memory_bytes)
    with threadpool_limits(1):
        while True:
            try:
                tasks = connection.recv()
            except (EOFError, OSError):
                return  # the parent is gone, or has no more work
            results, error = [], ""
            try:
                for index, task in enumerate(tasks):
                    position.value = index
                    _limit(resource.RLIMIT_CPU, _cpu_sec() + work.limits.seconds(work.num_bytes(task)) + 1)
                    results.append(work.run(task))
                position.value = len(tasks)
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            try:
                connection.send((results, error))
            except OSError:
                return


def _limit(what: int, amount: float) -> None:
    _, hard = resource.getrlimit(what)
    soft = int(amount) if hard == resource.RLIM_INFINITY else min(int(amount), hard)
    resource.setrlimit(what, (soft, hard))


def _cpu_sec() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
