"""What all generated corpora do: render clips in several processes, and delete those of an earlier plan."""

import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], num_workers: int, chunksize: int = 8
) -> Iterator[Result]:
    """The results as they come, in any order; ``work`` must depend on its item alone.

    Args:
        chunksize: items that a process takes at once.
    """
    if num_workers <= 1:
        yield from map(work, items)
        return
    # Not fork: the parent may hold threads of torch, and a lock held by one is copied held.
    with multiprocessing.get_context("spawn").Pool(num_workers) as pool:
        yield from pool.imap_unordered(work, items, chunksize=chunksize)


def remove_others(root: Path, found: Iterable[Path], planned: Collection[str]) -> None:
    """Delete audio of an earlier, larger plan: the manifest would list it.

    Args:
        found: files below root that a plan may have made.
        planned: paths below root that are to stay.
    """
    for path in found:
        if path.relative_to(root).as_posix() not in planned:
            path.unlink()
