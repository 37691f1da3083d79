"""Arrays that belong to audio files and are too dear to compute twice: pitch, teacher features.

A corpus' files are divided into shards of about equal duration, neighbours in the manifest's
order. Each shard is one Arrow file that readers map; while it is being computed, finished parts
lie beside it, so that a killed job goes on where it was.
"""

import hashlib
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray
from tqdm import tqdm

from audiorig.errors import DataError
from audiorig.files import written_aside

FILES_IN_A_PART = 100

Arrays = Mapping[str, NDArray[np.generic]]


def shard_of(rows: pd.DataFrame, shard: int, num_shards: int) -> pd.DataFrame:
    """The rows of one shard; shards hold about the same duration.

    Args:
        rows: manifest rows, sorted by ``wav_path``.
    """
    durations = rows["duration_sec"].fillna(0).astype(float)  # nobody knows that of a broken file
    middle = durations.cumsum() - durations / 2
    place = (middle / max(float(durations.sum()), 1e-9) * num_shards).astype(int).clip(0, num_shards - 1)
    return rows[place == shard]


def compute_shard(rows: pd.DataFrame, compute: Callable[[pd.Series], Arrays], output: Path, parts: Path) -> None:
    """Compute arrays for some files and write them as one Arrow file, or go on where a killed job stopped.

    Args:
        compute: arrays of a manifest row, each of one or two dimensions; the same names for all rows.
        parts: folder of what is finished; removed at the end.
    """
    rows = rows.assign(duration_sec=rows["duration_sec"].fillna(0).astype(float))
    pieces = [rows.iloc[first : first + FILES_IN_A_PART] for first in range(0, len(rows), FILES_IN_A_PART)]
    progress = tqdm(total=round(float(rows["duration_sec"].sum())), desc=output.stem, unit="s", mininterval=1)
    finished = []
    for piece in pieces:
        path = parts / f"{_digest(piece)}.arrow"
        if path.exists():
            progress.update(round(float(piece["duration_sec"].sum())))
        else:
            found = []
            for _, row in piece.iterrows():
                found.append((str(row["wav_path"]), compute(row)))
                progress.update(round(float(row["duration_sec"])))
            with written_aside(path) as aside:
                _write(aside, [_batch(found)])
        finished.append(path)
    progress.close()
    with written_aside(output) as aside:
        _write(aside, (batch for path in finished for batch in _batches(path)))
    shutil.rmtree(parts, ignore_errors=True)


def _digest(piece: pd.DataFrame) -> str:
    """Names a part by the files it is about; a changed file changes it."""
    columns = [column for column in ("wav_path", "file_size_bytes", "mtime_ns") if column in piece]
    text = piece[columns].to_csv(index=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _batch(rows: Sequence[tuple[str, Arrays]]) -> pa.RecordBatch:
    """Arrays as lists; the width of two-dimensional ones is kept beside the column's name."""
    names = list(rows[0][1])
    columns: list[pa.Array] = [pa.array([name for name, _ in rows], pa.large_string())]
    fields = [pa.field("wav_path", pa.large_string())]
    for name in names:
        arrays = [np.asarray(each[name]) for _, each in rows]
        ends = np.cumsum([0, *(array.size for array in arrays)])
        values = pa.array(np.concatenate([array.ravel() for array in arrays]))
        columns.append(pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values))
        width = str(arrays[0].shape[1]) if arrays[0].ndim == 2 else ""
        fields.append(pa.field(name, columns[-1].type, metadata={"width": width}))
    return pa.record_batch(columns, schema=pa.schema(fields))


def _write(path: Path, batches: Sequence[pa.RecordBatch] | Iterator[pa.RecordBatch]) -> None:
    writer = None
    with path.open("wb") as file:
        for batch in batches:
            writer = writer or pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
        (writer or pa.ipc.new_file(file, pa.schema([pa.field("wav_path", pa.large_string())]))).close()


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


class FeatureStore:
    """What ``compute_shard`` wrote for a corpus, by file; nothing is loaded before it is asked for.

    Args:
        shards: all shards, in order.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self.shards = tuple(shards)
        self._open()

    def _open(self) -> None:
        self._batches = [batch for path in self.shards for batch in _batches(path)]
        self._first = [batch.column(0)[0].as_py() for batch in self._batches]

    def __getstate__(self) -> dict[str, object]:
        return {"shards": self.shards}

    def __setstate__(self, state: dict[str, tuple[Path, ...]]) -> None:
        self.shards = state["shards"]
        self._open()

    def __getitem__(self, wav_path: str) -> dict[str, NDArray[np.generic]]:
        """The arrays of a file.

        Raises:
            DataError: if the store does not know the file.
        """
        which = bisect_right(self._first, wav_path) - 1
        if which >= 0:
            batch = self._batches[which]
            row = bisect_right(range(batch.num_rows), wav_path, key=lambda index: batch.column(0)[index].as_py()) - 1
            if row >= 0 and batch.column(0)[row].as_py() == wav_path:
                return {
                    field.name: self._array(field, batch.column(place)[row])
                    for place, field in enumerate(batch.schema)
                    if place
                }
        folder = self.shards[0].parent if self.shards else "no shards"
        raise DataError(f"{folder}: nothing is known of {wav_path!r}: delete this folder, and run again")

    @staticmethod
    def _array(field: pa.Field, cell: pa.LargeListScalar) -> NDArray[np.generic]:
        values = cell.values.to_numpy(zero_copy_only=False)
        width = (field.metadata or {}).get(b"width", b"")
        return values.reshape(-1, int(width)) if width else values
