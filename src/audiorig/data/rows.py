"""The rows of a split, mapped: ten million cost no more memory than ten, and workers share them."""

import mmap
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

# Each look maps 64 KiB around it, and what is mapped counts as the process' memory: after some
# thousand rows the whole file would.
RELEASE_AFTER = 400  # cells
STRIDE = 1 << 14  # rows; a search touches 128 KiB instead of pages all over the file


class SplitRows:
    """Rows of an Arrow file.

    Args:
        path: an uncompressed Arrow file. Where it has a column ``end_sec``, the sum of
            ``duration_sec`` up to and with each row, nothing is read before it is asked for;
            where not, the sums are computed, 8 bytes a row.

    Attributes:
        total_sec: seconds of audio in all rows.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._until_release = RELEASE_AFTER
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        self._batches = [batch for batch in batches if batch.num_rows]
        self._names = {name: index for index, name in enumerate(reader.schema.names)}
        self._first_rows = np.cumsum([0, *(batch.num_rows for batch in self._batches)]).tolist()
        self._ends = self._mapped_ends() if "end_sec" in self._names else self._computed_ends()
        self._last_ends = [float(ends[-1]) for ends in self._ends]
        self._landmarks = [ends[STRIDE - 1 :: STRIDE].copy() for ends in self._ends]
        self.total_sec = self._last_ends[-1] if self._last_ends else 0.0

    def _mapped_ends(self) -> list[np.ndarray]:
        return [batch.column(self._names["end_sec"]).to_numpy(zero_copy_only=True) for batch in self._batches]

    def _computed_ends(self) -> list[np.ndarray]:
        durations = [batch.column(self._names["duration_sec"]).to_numpy() for batch in self._batches]
        sums = np.cumsum(np.concatenate(durations)) if durations else np.empty(0)
        return np.split(sums, self._first_rows[1:-1]) if durations else []

    def __len__(self) -> int:
        return self._first_rows[-1]

    def at(self, second: float) -> int:
        """The row whose audio holds this second, when all rows are laid end to end."""
        batch = min(bisect_right(self._last_ends, second), len(self._ends) - 1)
        first = STRIDE * int(np.searchsorted(self._landmarks[batch], second, side="right"))
        near = self._ends[batch][first : first + STRIDE]
        row = self._first_rows[batch] + first + int(np.searchsorted(near, second, side="right"))
        return min(row, len(self) - 1)

    def value(self, name: str, row: int) -> Any:
        """A cell; None if the column is missing."""
        if name not in self._names:
            return None
        self._until_release -= 1
        if self._until_release < 0:
            self._until_release = RELEASE_AFTER
            self._map.madvise(mmap.MADV_DONTNEED)  # the pages stay in the system's cache
        batch = bisect_right(self._first_rows, row) - 1
        return self._batches[batch].column(self._names[name])[row - self._first_rows[batch]].as_py()
