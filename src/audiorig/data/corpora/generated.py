"""What all generated corpora do: render clips in several processes, and delete those of an earlier plan."""

import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

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


def write_clips(
    write: Callable[[Item], None], clips: Mapping[str, Item], root: Path, old: Iterable[Path], num_workers: int
) -> None:
    """Write all clips of a plan, in folders that are made for them, and show how far it is.

    Args:
        clips: by their paths below root.
        old: files below root that an earlier plan may have made; those that are not planned are deleted.
    """
    remove_others(root, old, clips)
    for folder in sorted({(root / path).parent for path in clips}):
        folder.mkdir(parents=True, exist_ok=True)
    done = in_processes(write, list(clips.values()), num_workers)
    for _ in tqdm(done, total=len(clips), desc="synthesize", unit="clip"):
        pass


def remove_others(root: Path, found: Iterable[Path], planned: Collection[str]) -> None:
    """Delete audio of an earlier, larger plan: the manifest would list it.

    Args:
        found: files below root that a plan may have made.
        planned: paths below root that are to stay.
    """
    for path in found:
        if path.relative_to(root).as_posix() not in planned:
            path.unlink()
