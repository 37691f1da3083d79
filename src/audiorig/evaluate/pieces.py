"""What a probe listens to: clips, labelled stretches, or pieces of either, as they are or through a channel."""

from pathlib import Path

import numpy as np
import pandas as pd

from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.channel import random_channel
from audiorig.evaluate.segments import LONGEST_SEC, stretch_names
from audiorig.randomness import keyed_generator

SILENT_RMS = 1e-3  # -60 dBFS: pauses are no pieces of speech


def item_names(rows: pd.DataFrame, is_stretch: bool) -> pd.Series:
    """Names of clips, or of stretches of recordings."""
    return stretch_names(rows) if is_stretch else rows["wav_path"].astype(str)


class Pieces:
    """Stretches of clips, read when they are asked for.

    Args:
        rows: manifest rows; with ``start_sec`` and ``end_sec`` if they are labelled stretches.
        root: folder that ``wav_path`` is relative to.
        sample_rate_hz: rate of the waveforms.
        piece_sec: length of a piece; the whole of a row if None. What is left over at its end is
            dropped, unless the row is shorter than a piece.
        through_channel: pass each piece through its own simulated channel.
        seed: seed of the channels.
        are_stretches: whether a row is a stretch of its file, not all of it.

    Attributes:
        table: a row per piece, with the columns of its row, and ``start``, its first sample in the file.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        root: Path,
        sample_rate_hz: int,
        piece_sec: float | None = None,
        through_channel: bool = False,
        seed: int = 0,
        are_stretches: bool = False,
    ) -> None:
        self.root, self.sample_rate_hz = root, sample_rate_hz
        self.through_channel, self.seed = through_channel, seed
        self.length = None if piece_sec is None else round(piece_sec * sample_rate_hz)
        cut = self._cut_stretches(rows) if are_stretches else self._cut_files(rows)
        self.table = rows.loc[rows.index.repeat([len(each) for each in cut])].reset_index(drop=True)
        read = np.array([each for of_row in cut for each in of_row], dtype=np.int64).reshape(-1, 2)
        self.table["start"], self._num_samples = read[:, 0], read[:, 1]
        if piece_sec is not None:
            is_loud = [float(np.sqrt(np.mean(self._read(index) ** 2))) > SILENT_RMS for index in range(len(self.table))]
            self.table = self.table[is_loud].reset_index(drop=True)
            self._num_samples = self._num_samples[is_loud]

    def _cut_files(self, rows: pd.DataFrame) -> list[list[tuple[int, int]]]:
        """First sample and number of samples (-1: all) of each piece of each file."""
        if (length := self.length) is None:
            return [[(0, -1)]] * len(rows)
        counts = [max(1, int(duration * self.sample_rate_hz) // length) for duration in rows["duration_sec"]]
        return [[(index * length, length) for index in range(count)] for count in counts]

    def _cut_stretches(self, rows: pd.DataFrame) -> list[list[tuple[int, int]]]:
        """Likewise, of stretches: nothing outside of them is read."""
        longest = round(LONGEST_SEC * self.sample_rate_hz)
        cut = []
        for start_sec, end_sec in zip(rows["start_sec"], rows["end_sec"], strict=True):
            start = round(start_sec * self.sample_rate_hz)
            total = round(end_sec * self.sample_rate_hz) - start
            if (length := self.length) is None:
                cut.append([(start + max(0, total - longest) // 2, min(total, longest))])
            else:
                count = max(1, total // length)
                cut.append([(start + index * length, min(length, total)) for index in range(count)])
        return cut

    def __len__(self) -> int:
        return len(self.table)

    def _read(self, index: int) -> Samples:
        row = self.table.iloc[index]
        source = source_of_row(self.root, row)
        return read_window(source, int(row["start"]), int(self._num_samples[index]), self.sample_rate_hz)

    def __getitem__(self, index: int) -> Samples:
        """float32 (T,)."""
        samples = self._read(index)
        if not self.through_channel:
            return samples
        row = self.table.iloc[index]
        generator = keyed_generator("probe-channel", self.seed, row["wav_path"], int(row["start"]))
        return random_channel(samples, self.sample_rate_hz, generator)
