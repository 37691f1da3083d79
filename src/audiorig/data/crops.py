"""Training crops: short stretches of recordings, each a pure function of (seed, epoch, item)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from audiorig.data.audio import Samples, read_window
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
    """

    def __init__(
        self, split: Path, root: Path, crop_samples: int, sample_rate_hz: int, seed: int, *, is_random: bool = True
    ) -> None:
        self.split, self.root = split, root
        self.crop_samples, self.sample_rate_hz = crop_samples, sample_rate_hz
        self.seed, self.is_random = seed, is_random
        self._open()

    def _open(self) -> None:
        table = pa.ipc.open_file(pa.memory_map(str(self.split))).read_all()
        self._paths = table["wav_path"]
        self._num_samples = np.floor(table["duration_sec"].to_numpy() * self.sample_rate_hz).astype(np.int64)
        self._ends = np.cumsum(self._num_samples)

    def __getstate__(self) -> dict[str, object]:
        """Workers map the file themselves instead of receiving the rows."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        if not self.is_random:
            return len(self._paths)
        return max(1, round(int(self._ends[-1]) / self.crop_samples))

    def locate(self, epoch: int, item: int) -> Crop:
        """Which stretch of which file item ``item`` of epoch ``epoch`` is."""
        if not self.is_random:
            slack = max(0, int(self._num_samples[item]) - self.crop_samples)
            return Crop(epoch, item, self._paths[item].as_py(), slack // 2)
        where, offset = keyed_generator("crop", self.seed, epoch, item).random(2)
        position = (item + where) / len(self) * self._ends[-1]
        index = min(int(np.searchsorted(self._ends, position, side="right")), len(self._ends) - 1)
        slack = max(0, int(self._num_samples[index]) - self.crop_samples)
        return Crop(epoch, item, self._paths[index].as_py(), int(offset * (slack + 1)))

    def __getitem__(self, key: tuple[int, int]) -> tuple[Crop, Samples]:
        """The crop and its samples, float32 (T,), shorter if the file is."""
        crop = self.locate(*key)
        samples = read_window(self.root / crop.wav_path, crop.start, self.crop_samples, self.sample_rate_hz)
        return crop, samples

    @property
    def duration_sec(self) -> float:
        """Seconds of audio in the split."""
        return float(self._ends[-1]) / self.sample_rate_hz
