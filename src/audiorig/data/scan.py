"""Reading the headers of many files: in parallel, and only of those that have changed.

A scan is an Arrow table, one row per file or per member of an archive, sorted by path. The scan
before it serves as the memory of the next one: a file whose path, size and time of change are as
they were is not opened again.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import soundfile
from numpy.typing import NDArray

from audiorig.data.entries import NUMBERS, TAR, TEXTS, Columns, Rows, ScanOptions, give_up, read_entries
from audiorig.data.listing import Listing
from audiorig.data.parallel import map_batches
from audiorig.files import written_aside

SCHEMA = pa.schema(
    [("wav_path", pa.large_string())]
    + [(name, pa.int64()) for name in NUMBERS]
    + [(name, pa.large_string() if name == "sidecar" else pa.string()) for name in TEXTS]
)
MEMORY = b"audiorig.scan"  # key of what a scan remembers of how it was made
READERS = f"1 {soundfile.__libsndfile_version__}"  # count up when the same file would give another row


def scan_entries(
    root: Path, listing: Listing, options: ScanOptions, known: pa.Table | None = None, num_workers: int = 2
) -> pa.Table:
    """Rows of all entries of a listing, sorted by path.

    Args:
        known: an earlier scan made with the same options; see ``load_memory``.
        num_workers: processes that read headers.
    """
    paths = [path for path in listing.paths if path not in listing.problems] if listing.problems else listing.paths
    unread = Rows()
    for path, problem in listing.problems.items():
        unread.add(path, problem=problem)
    if known is None:
        kept, changed = SCHEMA.empty_table(), paths
    else:
        kept, changed = _unchanged(os.fspath(root), paths, known, num_workers)
    read = partial(read_entries, os.fspath(root), options=options)
    parts = [unread.columns()] if unread.paths else []
    parts += map_batches(read, [path for path in changed if not path.endswith(TAR)], num_workers, failed=give_up)
    archives = [path for path in changed if path.endswith(TAR)]
    parts += map_batches(read, archives, num_workers, failed=give_up, max_batch=1)
    if not parts:
        return kept
    read_now = _join(parts)
    return sort_by_path(pa.concat_tables([kept, read_now]) if len(kept) else read_now)


def _join(parts: list[Columns]) -> pa.Table:
    """One table of many parts."""
    paths = [path for part in parts for path in part[0]]
    numbers = np.concatenate([part[1] for part in parts])
    columns: list[pa.Array] = [pa.array(paths, pa.large_string())]
    columns += [pa.array(column, mask=column < 0) for column in np.ascontiguousarray(numbers.T)]
    for index, name in enumerate(TEXTS):
        kind = SCHEMA.field(name).type
        pieces = [part[2][index] for part in parts]
        chunks = [
            pa.nulls(len(part[0]), kind) if piece is None else pa.array(piece, kind)
            for part, piece in zip(parts, pieces, strict=True)
        ]
        columns.append(pa.concat_arrays(chunks))
    return pa.table(columns, schema=SCHEMA)


def sort_by_path(table: pa.Table) -> pa.Table:
    """In one piece, in order of the paths' code points."""
    table = table.combine_chunks()
    return table if is_sorted(table["wav_path"]) else table.take(pc.sort_indices(table["wav_path"])).combine_chunks()


def is_sorted(texts: pa.Array | pa.ChunkedArray) -> bool:
    return len(texts) < 2 or bool(pc.all(pc.less_equal(texts.slice(0, len(texts) - 1), texts.slice(1))).as_py())


# ----------------------------------------------------------------------------- memory


def load_memory(path: Path, options: ScanOptions) -> pa.Table | None:
    """An earlier scan, if there is one that was made in the same way; a damaged one is no scan."""
    try:
        scan = read_scan(path)
    except (OSError, pa.ArrowException):
        return None
    is_same = (scan.schema.metadata or {}).get(MEMORY) == _memory(options)
    return scan.replace_schema_metadata(None) if is_same and scan.schema.equals(SCHEMA) else None


def save_memory(scan: pa.Table, options: ScanOptions, path: Path) -> None:
    """Keep a scan for the next one."""
    write_scan(scan.replace_schema_metadata({MEMORY: _memory(options)}), path)


def read_scan(path: Path) -> pa.Table:
    """A scan that ``write_scan`` wrote."""
    with pa.ipc.open_file(path.read_bytes()) as reader:
        return reader.read_all()


def write_scan(scan: pa.Table, path: Path) -> None:
    """Write a scan, whole or not at all. Arrow, not parquet: it is read five times faster."""
    settings = pa.ipc.IpcWriteOptions(compression="zstd")
    with written_aside(path) as aside, pa.ipc.new_file(aside, scan.schema, options=settings) as writer:
        writer.write_table(scan)


def _memory(options: ScanOptions) -> bytes:
    return f"{READERS} {options}".encode()


def _unchanged(root: str, paths: list[str], known: pa.Table, num_workers: int) -> tuple[pa.Table, list[str]]:
    """Rows of entries that are as they were, and the paths of all others."""
    parts = map_batches(partial(_status, root), paths, num_workers, failed=_no_status, label="look for changes")
    sizes, times = np.concatenate([np.empty((2, 0), np.int64), *parts], axis=1)
    listed = pa.array(paths, pa.large_string())
    if known["wav_path"].chunk(0).equals(listed) if known.num_rows else not paths:
        row_of = np.arange(len(paths))
    else:
        row_of = pc.index_in(listed, value_set=known["wav_path"]).fill_null(-1).to_numpy(zero_copy_only=False)
    same = row_of >= 0
    rows = row_of[same]
    same[same] = (
        (known["file_size_bytes"].fill_null(-1).to_numpy()[rows] == sizes[same])
        & (known["mtime_ns"].fill_null(-1).to_numpy()[rows] == times[same])
        & pc.and_(known["archive"].is_null(), known["problem"].is_null()).to_numpy()[rows]
    )
    if len(known) == len(paths) and same.all():
        return known, []
    keep = np.zeros(len(known), bool)
    keep[row_of[same]] = True
    found = {path: (int(sizes[index]), int(times[index])) for index, path in enumerate(paths) if path.endswith(TAR)}
    held = _unchanged_archives(found, known) if found else set()
    if held:
        keep |= pc.is_in(known["archive"], value_set=pa.array(sorted(held))).to_numpy()
    return known.filter(pa.array(keep)), [paths[index] for index in np.flatnonzero(~same) if paths[index] not in held]


def _unchanged_archives(found: dict[str, tuple[int, int]], known: pa.Table) -> set[str]:
    members = known.select(["archive", "archive_bytes", "mtime_ns", "problem"])
    members = members.filter(pc.is_valid(members["archive"]))
    held = {}
    broken = set(members.filter(pc.is_valid(members["problem"]))["archive"].unique().to_pylist())
    distinct = members.drop_columns(["problem"]).group_by(["archive", "archive_bytes", "mtime_ns"]).aggregate([])
    for row in distinct.to_pylist():
        held[row["archive"]] = (row["archive_bytes"], row["mtime_ns"])
    return {path for path, status in found.items() if held.get(path) == status} - broken


def _status(root: str, paths: Sequence[str]) -> NDArray[np.int64]:
    """Sizes in bytes, and times of change in nanoseconds; -2 where there is no such file."""
    sizes, times = [], []
    for path in paths:
        try:
            status = os.stat(f"{root}/{path}")
        except OSError:
            sizes.append(-2)
            times.append(-2)
        else:
            sizes.append(status.st_size)
            times.append(status.st_mtime_ns)
    return np.array([sizes, times], np.int64)


def _no_status(paths: Sequence[str]) -> NDArray[np.int64]:
    return np.full((2, len(paths)), -2)
