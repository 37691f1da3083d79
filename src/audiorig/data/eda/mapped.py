"""Arrow files with a row for each trace, found by its id and mapped, not loaded."""

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.ipc

from audiorig.errors import DataError


class MappedTraces:
    """An Arrow file with a column ``trace_id``. A pickled copy opens the file anew; forked ones share it.

    Raises:
        DataError: if the file is none.
    """

    not_readable: ClassVar[str] = "no file of traces"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{self.path}: {self.not_readable}: {error}; delete it, and run again") from None
        self._batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        self._places = {
            trace_id: (batch, row)
            for batch, content in enumerate(self._batches)
            for row, trace_id in enumerate(content.column("trace_id").to_pylist())
        }

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path = state["path"]
        self._open()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._places

    def ids(self) -> list[str]:
        """All traces, as they lie in the file."""
        return list(self._places)

    def _unknown(self, trace_id: str) -> str:
        """What is wrong if a trace is not there, and what to do."""
        return (
            f"nothing is known of the trace {trace_id!r}; found {len(self)} others. It belongs to another state of the "
            "corpus: delete it, and run again"
        )

    def _cell(self, trace_id: str, name: str) -> pa.Scalar:
        if trace_id not in self._places:
            raise DataError(f"{self.path}: {self._unknown(trace_id)}")
        batch, row = self._places[trace_id]
        return self._batches[batch].column(name)[row]
