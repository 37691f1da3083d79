"""The filtered traces of a corpus in one file, mapped: workers share it, and nothing is read before it is asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.data.eda.mapped import MappedTraces
from audiorig.files import written_aside

TRACES_IN_A_BATCH = 500
Target = Literal["clean", "tonic", "phasic"]
SIGNALS: tuple[Target, ...] = ("clean", "tonic", "phasic")
SCHEMA = pa.schema(
    [
        pa.field("trace_id", pa.large_string()),
        pa.field("rate_hz", pa.float64()),
        *(pa.field(name, pa.large_list(pa.float32())) for name in SIGNALS),
    ]
)

Steps = NDArray[np.float32]


@dataclass(frozen=True)
class Signals:
    """What is known of one trace, each (M,), NaN where it is not known."""

    clean: Steps
    tonic: Steps
    phasic: Steps

    @classmethod
    def of_parts(cls, clean: NDArray[np.float64], tonic: NDArray[np.float64]) -> "Signals":
        """The phasic part is what is left of the clean signal, so that the two add up; float32 may not hold all."""
        with np.errstate(over="ignore"):
            return cls(clean.astype(np.float32), tonic.astype(np.float32), (clean - tonic).astype(np.float32))

    @classmethod
    def all_lost(cls, steps: int) -> "Signals":
        """A trace of which nothing is known."""
        lost = np.full(steps, np.nan, np.float32)
        return cls(lost, lost, lost)


def write_traces(path: Path, traces: Iterable[tuple[str, Signals]], rate_hz: float) -> None:
    """Write the traces of a corpus, whole or not at all.

    Args:
        traces: ids and signals, in the order of the index.
        rate_hz: steps a second.
    """
    with written_aside(path) as aside, aside.open("wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for batch in _batches(traces):
            ids = pa.array([trace_id for trace_id, _ in batch], pa.large_string())
            rates = pa.array(np.full(len(batch), rate_hz))
            lists = [_lists([getattr(signals, name) for _, signals in batch]) for name in SIGNALS]
            writer.write_batch(pa.record_batch([ids, rates, *lists], schema=SCHEMA))


def _batches(traces: Iterable[tuple[str, Signals]]) -> Iterator[list[tuple[str, Signals]]]:
    rest = iter(traces)
    while batch := list(islice(rest, TRACES_IN_A_BATCH)):
        yield batch


def _lists(signals: list[Steps]) -> pa.Array:
    ends = np.cumsum([0, *map(len, signals)])
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), pa.array(np.concatenate(signals)))


class TraceStore(MappedTraces):
    """What ``write_traces`` wrote."""

    def signal(self, trace_id: str, target: Target) -> Steps:
        """One signal of a trace.

        Returns:
            (M,), a copy; NaN where nothing is known.

        Raises:
            DataError: if the file does not know the trace.
        """
        return np.array(self._cell(trace_id, target).values.to_numpy(zero_copy_only=False), np.float32)

    def rate_hz(self, trace_id: str) -> float:
        """Steps a second."""
        return float(self._cell(trace_id, "rate_hz").as_py())
