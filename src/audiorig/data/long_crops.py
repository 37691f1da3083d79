"""Crops of hours-long recordings, read on the fly: each a pure function of (seed, epoch, item).

An epoch lays a comb over the whole audio, weighted by participant, with one tooth for each crop,
and the next epoch moves the comb on. So an epoch hears nearly every second of what is not held
down, where independent draws would hear 63 % (a published model of this kind drew by the item
alone, and heard the same 2 of its 308 hours in every epoch).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiorig.config import LongCropConfig
from audiorig.data.audio import Samples, read_window, source_of
from audiorig.data.rows import SplitRows
from audiorig.data.shares import Shares, participants_of, read_columns
from audiorig.data.silence import is_too_silent
from audiorig.errors import DataError
from audiorig.randomness import keyed_generator

# How far the comb moves from epoch to epoch, in teeth: no number of epochs leaves a large gap
# (the additive recurrence of the golden ratio; three-distance theorem).
GOLDEN = (math.sqrt(5) - 1) / 2
EVERYTHING = (0.0, 1.0)


@dataclass(frozen=True)
class LongCrop:
    """Where a crop lies and what became of it: enough to name it in a log and to read it again.

    Attributes:
        row: of the split.
        start: first sample, at the run's rate.
        num_samples: real ones; where the recording is shorter than a crop, zeros follow.
        num_redraws: how many draws before were too silent.
        is_silent: whether this one is too silent as well.
    """

    epoch: int
    item: int
    row: int
    wav_path: str
    start: int
    num_samples: int
    num_redraws: int
    is_silent: bool


class LongCropDataset:
    """Crops of a split's long recordings.

    For training, an epoch has as many items as crops fit into the audio. Item i begins in the
    i-th part of the audio, which is weighted as `Shares` says. A crop that is too silent is drawn
    again: first from the same participant, so that quiet homes keep their share; in the second
    half of the redraws from everywhere, so that a home that was only silent gives way.

    For dev there are ``dev_crops`` items, spread evenly over the participants and over the
    durations of each, the same for every epoch and seed.

    Args:
        split: an Arrow file of the split; it is mapped, not loaded.
        root: folder that ``wav_path`` is relative to.
        data: length, rate, weights, bounds of silence.
        seed: seed of the run.

    Raises:
        DataError: if nothing is left to draw from.
    """

    def __init__(
        self, split: Path, root: Path, data: LongCropConfig, seed: int, *, side: Literal["train", "dev"]
    ) -> None:
        self.split, self.root, self.data, self.seed, self.side = split, root, data, seed, side
        self.crop_samples = round(data.crop_sec * data.sample_rate_hz)
        self._open()

    def _open(self) -> None:
        self._rows = SplitRows(self.split)
        self._lengths = lengths_at(self.split, self.data.sample_rate_hz)
        is_drawn = self._lengths >= (self.crop_samples if self.data.short_recordings == "leave_out" else 1)
        if not is_drawn.any():
            raise DataError(self._nothing_left())
        drawn = np.where(is_drawn, self._lengths, 0).astype(np.float64)
        self._total = float(drawn.sum())
        # All participants alike is what a cap of 0 comes to.
        max_share = self.data.max_participant_share if self.side == "train" else 0.0
        self._shares = Shares(drawn, participants_of(self.split), max_share)

    def _nothing_left(self) -> str:
        longest = max(self._lengths, default=0) / self.data.sample_rate_hz
        return (
            f"{self.split}: none of its {len(self._rows)} recordings is long enough for a crop of "
            f"{self.data.crop_sec:g} s (the longest has {longest:.1f} s): lower data.crop_sec, or set "
            "data.short_recordings: pad"
        )

    def __getstate__(self) -> dict[str, object]:
        """Workers map the file themselves instead of receiving the rows."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        if self.side == "dev":
            return self.data.dev_crops
        return max(1, round(self._total / self.crop_samples))

    @property
    def duration_sec(self) -> float:
        """Seconds of audio that crops are drawn from."""
        return self._total / self.data.sample_rate_hz

    def locate(self, epoch: int, item: int) -> LongCrop:
        """Where an item comes from. This reads it: only the audio says which draws are too silent."""
        return self[epoch, item][0]

    def __getitem__(self, key: tuple[int, int]) -> tuple[LongCrop, Samples]:
        """The crop and its samples, float32 (T,) of exactly ``crop_samples``."""
        epoch, item = (int(part) for part in key)
        rate, silence = self.data.sample_rate_hz, self.data.silence
        for num_redraws in range(silence.max_redraws + 1):
            row, start = self._draw(epoch, item, num_redraws)
            samples = self._read(row, start)
            if not (is_silent := is_too_silent(samples, rate, silence)):
                break
        path = self._rows.value("wav_path", row)
        crop = LongCrop(epoch, item, row, path, start, len(samples), num_redraws, is_silent)
        return crop, np.pad(samples, (0, self.crop_samples - len(samples)))

    def _draw(self, epoch: int, item: int, num_redraws: int) -> tuple[int, int]:
        """The row, and the first sample."""
        row, way = self._shares.at(self._place(epoch, item, num_redraws))
        slack = max(0, int(self._lengths[row]) - self.crop_samples)
        return row, min(slack, int(way * (slack + 1)))

    def _place(self, epoch: int, item: int, num_redraws: int) -> float:
        """Where a draw lies in what `Shares` lays out from 0 to 1."""
        first = (item + self._phase(epoch)) / len(self)
        if not num_redraws:
            return first
        stays = num_redraws <= (self.data.silence.max_redraws + 1) // 2
        low, high = self._shares.participant_at(first) if stays else EVERYTHING
        key = (self.seed, epoch, item, num_redraws) if self.side == "train" else (item, num_redraws)
        return low + (high - low) * keyed_generator("long crop", self.side, *key).random()

    def _phase(self, epoch: int) -> float:
        """Where an epoch's comb begins, from 0 to 1 tooth."""
        if self.side == "dev":
            return 0.5
        return (keyed_generator("long crop", "phase", self.seed).random() + epoch * GOLDEN) % 1

    def _read(self, row: int, start: int) -> Samples:
        """The samples of a recording from one place on, at most a crop."""
        path = self._rows.value("wav_path", row)
        place = (self._rows.value(name, row) for name in ("archive_offset", "archive_size"))
        samples = read_window(source_of(self.root, path, *place), start, self.crop_samples, self.data.sample_rate_hz)
        expected = min(self.crop_samples, int(self._lengths[row]) - start)
        if len(samples) < expected:
            raise DataError(
                f"{self.root / path}: ends {expected - len(samples)} samples before the end that the split "
                f"{self.split} knows: the file has changed since it was listed; build the manifest anew"
            )
        return samples


def lengths_at(split: Path, sample_rate_hz: int) -> NDArray[np.int64]:
    """Samples of each row's recording (R,) at a rate, as `read_window` counts them."""
    columns = read_columns(split, ("duration_sec", "sample_rate"))
    durations = columns["duration_sec"].to_numpy().astype(np.float64)
    durations = np.nan_to_num(durations)
    if "sample_rate" not in columns:
        return np.floor(durations * sample_rate_hz).astype(np.int64)
    rates = np.nan_to_num(columns["sample_rate"].to_numpy().astype(np.float64)).astype(np.int64)
    num_samples = np.rint(durations * rates).astype(np.int64)
    return num_samples * sample_rate_hz // np.maximum(rates, 1)
