"""Traces as they were published, in one Arrow file that readers map: ids, and samples of any number."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.data.eda.mapped import MappedTraces
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


class RawTraces(MappedTraces):
    """What ``write_raw`` wrote."""

    not_readable = "cannot be read as traces"

    def samples(self, trace_id: str) -> Samples:
        """Samples (T,), read-only; NaN where there was no number.

        Raises:
            DataError: if there is no such trace.
        """
        values: Samples = self._cell(trace_id, "samples").values.to_numpy(zero_copy_only=True)
        return values

    def _unknown(self, trace_id: str) -> str:
        return f"no trace {trace_id!r}: it belongs to another index; run the stage again"
