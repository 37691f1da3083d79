"""Files that are complete or absent: written aside, flushed, then renamed."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A path of a machine: two parts from a root on, ~/..., C:\...; the slashes of an address follow a colon or a slash.
MACHINE_PATH = re.compile(
    r"(?:(?<![\w:/.~>-])/[\w.@+-]+/[\w.@+-]+|(?<!\w)~[\w.-]*/[\w.@+-]+|\b[A-Za-z]:\\\w)[\w./\\@+-]*"
)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of ``path`` only if nothing went wrong.

    The parent folder is made if need be. A crash leaves at most a hidden ``.aside`` file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        yield aside
        flush_to_disk(aside)
        os.replace(aside, path)
        flush_to_disk(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or nothing."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file with sorted keys, or nothing; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def flush_to_disk(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
