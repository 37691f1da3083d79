"""Training crops: short stretches of recordings, each a pure function of (seed, epoch, item)."""

import math
from dataclasses import dataclass
from pathlib import Path

from audiorig.data.audio import Samples, read_window, source_of
from audiorig.data.rows import SplitRows
from audiorig.randomness import keyed_generator


@dataclass(frozen=True)
class Crop:
    """Where a crop lies: enough to name it in a log and to read it again."""

    epoch: int
    item: int
    wav_path: str
    start: int  # first sample, at the run's rate


class CropDataset:
    """Fixed-length crops of a split, drawn anew every epoch, weighted by duration.

    An epoch has as many items as crops fit into the audio. Item i draws from its own stretch of
    the whole duration, so an epoch passes over everything about once.

    Args:
        split: an Arrow file of the split; it is mapped, not loaded.
        root: folder that ``wav_path`` is relative to.
        crop_samples: length T of a crop at ``sample_rate_hz``; shorter files are given whole.
        sample_rate_hz: rate of the crops.
        seed: seed of the run.
        is_random: False for evaluation: item i is the middle of file i, the same in every epoch.
        grid: crops begin at multiples of so many samples, so that what was computed for a whole
            file frame by frame fits to its crops.
    """

    def __init__(
        self,
        split: Path,
        root: Path,
        crop_samples: int,
        sample_rate_hz: int,
        seed: int,
        *,
        is_random: bool = True,
        grid: int = 1,
    ) -> None:
        self.split, self.root = split, root
        self.crop_samples, self.sample_rate_hz = crop_samples, sample_rate_hz
        self.seed, self.is_random, self.grid = seed, is_random, grid
        self._open()

    def _open(self) -> None:
        self._rows = SplitRows(self.split)

    def __getstate__(self) -> dict[str, object]:
        """Workers map the file themselves instead of receiving the rows."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        if not self.is_random:
            return len(self._rows)
        return max(1, round(self._rows.total_sec * self.sample_rate_hz / self.crop_samples))

    def locate(self, epoch: int, item: int) -> Crop:
        """Which stretch of which file item ``item`` of epoch ``epoch`` is."""
        row, start = self._choose(epoch, item)
        return Crop(epoch, item, self._rows.value("wav_path", row), start)

    def _choose(self, epoch: int, item: int) -> tuple[int, int]:
        """The row, and the first sample."""
        if not self.is_random:
            return item, self._slack(item) // 2 // self.grid * self.grid
        where, offset = keyed_generator("crop", self.seed, epoch, item).random(2)
        row = self._rows.at((item + where) / len(self) * self._rows.total_sec)
        return row, int(offset * (self._slack(row) // self.grid + 1)) * self.grid

    def _slack(self, row: int) -> int:
        """How many samples a file is longer than a crop."""
        return max(0, math.floor(self._rows.value("duration_sec", row) * self.sample_rate_hz) - self.crop_samples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Crop, Samples]:
        """The crop and its samples, float32 (T,), shorter if the file is."""
        row, start = self._choose(*key)
        path = self._rows.value("wav_path", row)
        place = (self._rows.value(name, row) for name in ("archive_offset", "archive_size"))
        samples = read_window(source_of(self.root, path, *place), start, self.crop_samples, self.sample_rate_hz)
        return Crop(*key, path, start), samples

    @property
    def duration_sec(self) -> float:
        """Seconds of audio in the split."""
        return self._rows.total_sec
