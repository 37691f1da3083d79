"""The log of crops: every one that a run was given, as parquet, one part for each stretch between two checkpoints."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiorig.data.rows import SplitRows
from audiorig.files import written_aside

PART = re.compile(r"steps-(\d+)-(\d+)\.parquet")


class CropLog:
    """Parts ``steps-{first}-{last}.parquet`` of one run, written by one of its processes.

    Columns: ``step`` (from 1), ``wav_path``, ``start_sec``, ``duration_sec`` (without padding),
    ``num_redraws``, ``is_silent``, ``is_padded``.

    Args:
        folder: where the parts lie.
        rows: the split that the crops are of.
        sample_rate_hz: rate that the crops are counted at.
        crop_samples: length of a whole crop.
    """

    def __init__(self, folder: Path, rows: SplitRows, sample_rate_hz: int, crop_samples: int) -> None:
        self.folder, self._rows = folder, rows
        self._rate, self._crop_samples = sample_rate_hz, crop_samples
        self._first_step, self._waiting = 1, list[NDArray[np.int64]]()

    def keep_until(self, step: int) -> None:
        """Go on behind a step: what was logged of later ones is removed, as they come again."""
        for path in self.folder.glob("steps-*.parquet"):
            if (match := PART.fullmatch(path.name)) and int(match[2]) > step:
                path.unlink()
        self._first_step = step + 1
        self._waiting.clear()

    def add(self, seen: NDArray[np.int64]) -> None:
        """Take in the crops of the next step (n, 5), as `Coverage.note` has them."""
        self._waiting.append(seen)

    def write(self) -> None:
        """Write what has come since the last part."""
        if not self._waiting:
            return
        last_step = self._first_step + len(self._waiting) - 1
        path = self.folder / f"steps-{self._first_step:08d}-{last_step:08d}.parquet"
        with written_aside(path) as aside:
            pq.write_table(self._table(), aside)
        self._first_step = last_step + 1
        self._waiting.clear()

    def _table(self) -> pa.Table:
        steps = np.arange(self._first_step, self._first_step + len(self._waiting))
        row, start, num_samples, num_redraws, is_silent = np.concatenate(self._waiting).T
        return pa.table(
            {
                "step": np.repeat(steps, [len(seen) for seen in self._waiting]),
                "wav_path": pa.array([self._rows.value("wav_path", int(one)) for one in row], pa.string()),
                "start_sec": start / self._rate,
                "duration_sec": num_samples / self._rate,
                "num_redraws": num_redraws.astype(np.int16),
                "is_silent": is_silent.astype(bool),
                "is_padded": num_samples < self._crop_samples,
            }
        )
