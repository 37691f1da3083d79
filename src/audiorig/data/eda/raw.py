"""Traces as they were published, in one Arrow file that readers map: ids, and samples of any number."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.errors import DataError
from audiorig.files import written_aside

SCHEMA = pa.schema([("trace_id", pa.string()), ("samples", pa.list_(pa.float32()))])
BATCH_SAMPLES = 1 << 20  # 4 MB: what is held of a corpus while it is written

Samples = NDArray[np.float32]


class RawWriter:
    """Takes one trace after the other and holds a few of them."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self._writer = writer
        self._begin()

    def _begin(self) -> None:
        self._ids: list[str] = []
        self._arrays: list[Samples] = []
        self._size = 0

    def add(self, trace_id: str, samples: NDArray[np.floating]) -> None:
        """Samples (T,); what is no number stays NaN, and what float32 cannot hold is infinite."""
        self._ids.append(trace_id)
        with np.errstate(over="ignore"):
            self._arrays.append(np.asarray(samples, np.float32))
        self._size += len(samples)
        if self._size >= BATCH_SAMPLES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._ids:
            ends = np.cumsum([0, *map(len, self._arrays)], dtype=np.int32)
            lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(self._arrays)))
            self._writer.write_batch(pa.record_batch([pa.array(self._ids, pa.string()), lists], schema=SCHEMA))
            self._begin()


@contextmanager
def raw_writer(path: Path) -> Iterator[RawWriter]:
    """A writer of a file that is complete or absent."""
    with written_aside(path) as aside, pa.ipc.new_file(aside, SCHEMA) as file:
        writer = RawWriter(file)
        yield writer
        writer.flush()


def write_raw(path: Path, ids: Iterable[str], arrays: Iterable[NDArray[np.floating]]) -> None:
    """Write traces by id, a few at a time: both may be generators.

    Args:
        arrays: samples (T,) of each, float32 in the file.
    """
    with raw_writer(path) as writer:
        for trace_id, samples in zip(ids, arrays, strict=True):
            writer.add(trace_id, samples)


class RawTraces:
    """What ``write_raw`` wrote; samples are mapped, not loaded. Can be pickled and forked.

    Raises:
        DataError: if the file is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{self.path}: cannot be read as traces: {error}; delete it, and run again") from None
        self._batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        self._place: dict[str, tuple[int, int]] = {}
        for which, batch in enumerate(self._batches):
            for row, trace_id in enumerate(batch.column(0).to_pylist()):
                self._place[trace_id] = (which, row)

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path = state["path"]
        self._open()

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._place

    def ids(self) -> list[str]:
        """All traces, as they lie in the file."""
        return list(self._place)

    def samples(self, trace_id: str) -> Samples:
        """Samples (T,), read-only; NaN where there was no number.

        Raises:
            DataError: if there is no such trace.
        """
        if trace_id not in self._place:
            raise DataError(f"{self.path}: no trace {trace_id!r}: it belongs to another index; run the stage again")
        which, row = self._place[trace_id]
        lists = self._batches[which].column(1)
        first, stop = (lists.offsets[place].as_py() for place in (row, row + 1))
        values: Samples = lists.values.slice(first, stop - first).to_numpy(zero_copy_only=True)
        return values
