"""Listing a corpus, by a walk of its folder or a request to its store: entries that end like audio, sorted.

Nothing is opened. What cannot be audio, or must not be followed, is an entry too, with the reason: a corpus that
silently lacks a speaker is worse than one that says so.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from audiorig.data.object_store import StoredObject, list_objects
from audiorig.errors import DataError
from audiorig.files import written_aside

Problem = Literal["not_regular", "permission", "bad_name", "outside_root", "link_loop", "unreadable_folder"]
MAX_NAME = 255  # bytes of one part of a path
OF_OBJECTS = {"size": pa.int64(), "etag": pa.string(), "modified_sec": pa.int64()}


@dataclass(frozen=True)
class Listing:
    """Entries below a root.

    Attributes:
        paths: sorted, with ``/`` between folders.
        problems: why an entry must not be opened, for those that must not.
        objects: what the store says of each, of a corpus in object storage.
        is_stored: whether it is such a corpus.
    """

    paths: list[str]
    problems: dict[str, Problem]
    objects: dict[str, StoredObject] = field(default_factory=dict)
    is_stored: bool = False

    def shard(self, index: int, num_shards: int) -> "Listing":
        """A stretch of the entries: the shards, one behind the other, are the whole."""
        first, stop = (len(self.paths) * end // num_shards for end in (index, index + 1))
        return self._of(self.paths[first:stop])

    def within(self, folders: Iterable[str]) -> "Listing":
        """The entries below some folders; an empty name stands for the root."""
        beginnings = tuple(f"{folder}/" if folder else "" for folder in folders)
        return self._of([path for path in self.paths if path.startswith(beginnings)])

    def _of(self, paths: list[str]) -> "Listing":
        problems = {path: self.problems[path] for path in paths if path in self.problems}
        objects = {path: self.objects[path] for path in paths if path in self.objects}
        return Listing(paths, problems, objects, self.is_stored)


def list_entries(root: Path, extensions: Iterable[str]) -> Listing:
    """Walk a folder.

    Links are followed to files below root only: a linked folder would bring the same files, or
    those of the whole machine, in under other names.

    Raises:
        DataError: if root itself cannot be listed.
    """
    top, wanted = os.path.realpath(root), tuple(extension.lower() for extension in extensions)
    paths: list[str] = []
    problems: dict[str, Problem] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(f"{top}/{prefix}") as entries:
                for entry in entries:
                    name = entry.name
                    is_wanted = name.endswith(wanted) or name.lower().endswith(wanted)
                    if is_wanted and name[0] == ".":
                        is_wanted = False
                    if is_wanted and entry.is_file(follow_symlinks=False):
                        paths.append(prefix + name)
                        continue
                    problem: Problem | None = "not_regular"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{prefix}{name}/")
                    elif entry.is_symlink():
                        is_wanted, problem = _follow(entry.path, top, is_wanted)
                    if is_wanted:
                        paths.append(prefix + name)
                        if problem:
                            problems[prefix + name] = problem
        except OSError as error:
            if not prefix:
                raise DataError(f"{root}: cannot be listed: {error.strerror}") from None
            paths.append(prefix.rstrip("/"))
            problems[paths[-1]] = "unreadable_folder"
    return _with_names_of_text(paths, problems)


def list_stored(url: str, extensions: Iterable[str]) -> Listing:
    """Ask a store for what lies below a root.

    What no file of a disk can be called is an entry with a problem, as its copy would have no place.

    Raises:
        StorageError: if it cannot be listed.
    """
    wanted = tuple(extension.lower() for extension in extensions)
    found = list_objects(url)
    folders = {parent for each in found for parent in _parents(each.name)}
    objects, problems = {}, dict[str, Problem]()
    for each in found:
        name = each.name.rpartition("/")[2]
        if not name.lower().endswith(wanted) or name[0] == ".":
            continue
        objects[each.name] = each
        if each.name in folders:
            problems[each.name] = "not_regular"
        elif not _has_place(each.name):
            problems[each.name] = "bad_name"
    return Listing(sorted(objects), problems, objects, is_stored=True)


def _parents(name: str) -> Iterator[str]:
    """Folders that a name lies in: a, a/b of a/b/c."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)


def _has_place(name: str) -> bool:
    """Whether a disk can hold a file of this name below a folder."""
    parts = name.split("/")
    return "\0" not in name and all(part not in ("", ".", "..") and len(part.encode()) <= MAX_NAME for part in parts)


def _follow(path: str, top: str, is_wanted: bool) -> tuple[bool, Problem | None]:
    """Whether a link is an entry, and what is wrong with it."""
    try:
        target = os.path.realpath(path, strict=True)
        mode = os.stat(target).st_mode
    except OSError as error:
        known: dict[int | None, Problem] = {errno.ELOOP: "link_loop", errno.EACCES: "permission"}
        return is_wanted, known.get(error.errno) if is_wanted else None  # a dangling link is a missing file
    if not is_wanted and not stat.S_ISDIR(mode):
        return False, None
    if target != top and not target.startswith(top + os.sep):
        return True, "outside_root"
    if stat.S_ISDIR(mode) and f"{os.path.dirname(path)}/".startswith(f"{target}/"):
        return True, "link_loop"
    return is_wanted, None if stat.S_ISREG(mode) else "not_regular"


def _with_names_of_text(paths: list[str], problems: dict[str, Problem]) -> Listing:
    """Names that are no UTF-8 cannot stand in a table: their odd bytes are shown, and they are not opened."""
    try:
        "\0".join(paths).encode()
    except UnicodeEncodeError:
        taken = set(paths)
        for index, path in enumerate(paths):
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            if shown != path:
                while shown in taken:
                    shown += "?"
                taken.add(shown)
                problems.pop(path, None)
                paths[index], problems[shown] = shown, "bad_name"
    return Listing(sorted(paths), problems)


def write_listing(listing: Listing, path: Path) -> None:
    """Write a listing, whole or not at all, for the jobs that share the scan."""
    problems = [listing.problems.get(entry) for entry in listing.paths] if listing.problems else None
    columns = {
        "wav_path": pa.array(listing.paths, pa.large_string()),
        "problem": pa.nulls(len(listing.paths), pa.string()) if problems is None else pa.array(problems, pa.string()),
    }
    if listing.is_stored:
        for name, kind in OF_OBJECTS.items():
            columns[name] = pa.array([getattr(listing.objects[each], name) for each in listing.paths], kind)
    with written_aside(path) as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")


def read_listing(path: Path) -> Listing:
    """A listing that ``write_listing`` wrote."""
    table = pq.read_table(path)
    paths = table["wav_path"].to_pylist()
    troubled = table.select(["wav_path", "problem"]).filter(table["problem"].is_valid())
    problems = dict(zip(*troubled.to_pydict().values(), strict=True))
    if "etag" not in table.column_names:
        return Listing(paths, problems)
    facts = zip(*(table[name].to_pylist() for name in OF_OBJECTS), strict=True)
    objects = {path: StoredObject(path, *each) for path, each in zip(paths, facts, strict=True)}
    return Listing(paths, problems, objects, is_stored=True)
