"""What a probe listens to: whole clips, or pieces of them, as they are or through a channel."""

from pathlib import Path

import numpy as np
import pandas as pd

from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.channel import random_channel
from audiorig.randomness import keyed_generator

SILENT_RMS = 1e-3  # -60 dBFS: pauses are no pieces of speech


class Pieces:
    """Stretches of clips, read when they are asked for.

    Args:
        rows: manifest rows.
        root: folder that ``wav_path`` is relative to.
        sample_rate_hz: rate of the waveforms.
        piece_sec: length of a piece; whole clips if None. What is left over at a clip's end is
            dropped, unless the clip is shorter than a piece.
        through_channel: pass each piece through its own simulated channel.
        seed: seed of the channels.

    Attributes:
        table: a row per piece, with the columns of its clip.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        root: Path,
        sample_rate_hz: int,
        piece_sec: float | None = None,
        through_channel: bool = False,
        seed: int = 0,
    ) -> None:
        self.root, self.sample_rate_hz = root, sample_rate_hz
        self.through_channel, self.seed = through_channel, seed
        self.length = -1 if piece_sec is None else round(piece_sec * sample_rate_hz)
        starts = [self._starts(duration) for duration in rows["duration_sec"]]
        counts = [len(offsets) for offsets in starts]
        self.table = rows.loc[rows.index.repeat(counts)].reset_index(drop=True)
        self.table["start"] = np.concatenate(starts) if starts else []
        if piece_sec is not None:
            is_loud = [float(np.sqrt(np.mean(self._read(index) ** 2))) > SILENT_RMS for index in range(len(self.table))]
            self.table = self.table[is_loud].reset_index(drop=True)

    def _starts(self, duration_sec: float) -> list[int]:
        if self.length < 0:
            return [0]
        count = max(1, int(duration_sec * self.sample_rate_hz) // self.length)
        return [index * self.length for index in range(count)]

    def __len__(self) -> int:
        return len(self.table)

    def _read(self, index: int) -> Samples:
        row = self.table.iloc[index]
        return read_window(source_of_row(self.root, row), int(row["start"]), self.length, self.sample_rate_hz)

    def __getitem__(self, index: int) -> Samples:
        """float32 (T,)."""
        samples = self._read(index)
        if not self.through_channel:
            return samples
        row = self.table.iloc[index]
        generator = keyed_generator("probe-channel", self.seed, row["wav_path"], int(row["start"]))
        return random_channel(samples, self.sample_rate_hz, generator)
