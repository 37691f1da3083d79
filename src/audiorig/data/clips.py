"""Whole clips, read on the fly: trimmed, brought to one level, changed at random while training.

What an item holds is a pure function of (seed, epoch, item) and of the files: neither workers, nor
ranks, nor a restart change it. A clip that cannot be read is replaced by rule, by the next row that
can, cyclically; `replaced.ReplacedClips` counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from audiorig.config import ClipConfig
from audiorig.data.audio import AudioSource, Samples, read_window
from audiorig.data.augment import augment, is_changed
from audiorig.data.long_crops import lengths_at
from audiorig.data.rows import SplitRows
from audiorig.data.shares import read_columns
from audiorig.data.split import COPY, SUMMARY
from audiorig.data.storage import ETAG, AudioRoot, StoredObject, as_root
from audiorig.data.stretches import place, sound_bounds, to_level
from audiorig.data.targets import Target
from audiorig.errors import DataError
from audiorig.files import read_json
from audiorig.randomness import keyed_generator

Side = Literal["train", "dev", "test"]
Key = tuple[int, int]
IGNORED = -100  # what the trainer does not count
MISSING_SEC = 0.1  # a file that is shorter than listed by more has been cut; an MP3's length is good to a frame
LOCATED = ("wav_path", "archive_offset", "archive_size", "file_size_bytes", ETAG)


@dataclass(frozen=True)
class Clip:
    """Which clip an item is: enough to name it in a log and to read it again.

    Attributes:
        row: of the split.
        read_row: the row that was read; another one where this one cannot be.
        wav_path: of the row that was read.
        num_samples: T, at the run's rate.
        copy: which augmented copy of the split it is; 0 for the clip itself.
    """

    epoch: int
    item: int
    row: int
    read_row: int
    wav_path: str
    num_samples: int
    copy: int = 0

    @property
    def name(self) -> str:
        """wav_path, and #copy for an augmented copy."""
        return clip_name(self.wav_path, self.copy)


Item = tuple[Clip, Samples, NDArray[np.float32]]


def clip_name(wav_path: str, copy: int) -> str:
    return f"{wav_path}#{copy}" if copy else wav_path


class ClipDataset:
    """The clips of one side of a split, one item a row.

    Args:
        split: the side's Arrow file; it is mapped, not loaded.
        root: what ``wav_path`` is relative to; objects are fetched when they are asked for.
        data: longest stretch, trimming, level, changes.
        targets: what each clip's K values are.
        sample_rate_hz: rate of the samples.
        seed: of the run.
        side: only train is changed at random and drawn from; train and dev replace what cannot be
            read, test says so.
        shortest: samples, at the run's rate, without which an encoder has no frame: fewer cannot be read.

    Raises:
        DataError: if the split lacks a target's column, or holds what is no value of it.
    """

    def __init__(
        self,
        split: Path,
        root: AudioRoot | Path,
        data: ClipConfig,
        targets: tuple[Target, ...],
        sample_rate_hz: int,
        seed: int,
        *,
        side: Side,
        shortest: int = 1,
    ) -> None:
        self.split, self.root, self.data, self.targets = split, as_root(root), data, targets
        self.sample_rate_hz, self.seed, self.side = sample_rate_hz, seed, side
        self.max_samples, self.shortest = round(data.max_sec * sample_rate_hz), shortest
        self._open()

    def _open(self) -> None:
        self._rows = SplitRows(self.split)
        self._lengths = lengths_at(self.split, self.sample_rate_hz)
        self._values = self._label_rows()
        self._bounds: dict[int, tuple[int, int]] = {}  # where trimming begins and ends, of the rows read so far
        has_copies = isinstance(self._rows.value(COPY, 0), int) if len(self._rows) else False
        self._copy_seed = int(read_json(self.split.parent / SUMMARY)["seed"]) if has_copies else None

    def _label_rows(self) -> NDArray[np.float32]:
        """Values (R, K); as a control, those of the side's rows are shuffled, whole."""
        columns_of = dict.fromkeys(["wav_path", *(target.column for target in self.targets)])
        rows = pa.table(read_columns(self.split, list(columns_of))).to_pandas()
        columns = [target.encode_all(rows) for target in self.targets]
        values = np.stack(columns, axis=1) if columns else np.empty((len(self._rows), 0), np.float32)
        if self.data.permute_labels and self.side != "test":
            values = values[keyed_generator("permuted labels", self.seed, self.side).permutation(len(values))]
        return values

    def __getstate__(self) -> dict[str, object]:
        """Workers map the file themselves instead of receiving the rows."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def duration_sec(self) -> float:
        """Seconds of audio in the split."""
        return self._rows.total_sec

    @property
    def values(self) -> NDArray[np.float32]:
        """What training is told of each row (R, K), NaN where missing; permuted where that is asked for."""
        return self._values

    def name(self, row: int) -> str:
        """wav_path, and #copy for an augmented copy."""
        return clip_name(self._rows.value("wav_path", row), self.copy(row))

    def __getitem__(self, key: Key) -> Item:
        """The clip, its samples float32 (T,), its values float32 (K,) with NaN where missing.

        Raises:
            DataError: if it cannot be read and is of test, or if none of the side can be read.
            StorageError: if it cannot be fetched; that says nothing of the clip, so nothing stands in.
        """
        epoch, item = (int(part) for part in key)
        first: DataError | None = None
        for step in range(len(self)):
            row = (item + step) % len(self)
            try:
                samples = self._read(row, epoch, item)
            except DataError as error:
                if self.side == "test":
                    raise
                first = first or error
                continue
            path = self._rows.value("wav_path", row)
            return Clip(epoch, item, item, row, path, len(samples), self.copy(row)), samples, self._values[row]
        raise DataError(f"{self.split}: none of its {len(self)} clips can be read; first: {first}")

    def __getitems__(self, keys: Sequence[Key]) -> list[Item]:
        """Several; what is not here yet is fetched side by side."""
        if self.root.url is not None:
            rows = dict.fromkeys(int(item) for _, item in keys)
            for _ in self.root.fetch(self._object(row) for row in rows):
                pass
        return [self[key] for key in keys]

    def try_item(self, key: Key) -> Item | DataError:
        """An item, or why it cannot be read: for what is scored, where nothing may stand in."""
        try:
            return self[key]
        except DataError as error:
            return error

    def why_unreadable(self, row: int) -> str | None:
        """What is wrong with a row; None if it can be read."""
        try:
            self._read(row, 0, row)
        except DataError as error:
            return str(error)
        return None

    # ------------------------------------------------------------------ reading

    def _read(self, row: int, epoch: int, item: int) -> Samples:
        samples = self._changed(to_level(self._stretch(row, epoch, item), self.data.level), epoch, item)
        if len(samples) < self.shortest:
            raise DataError(
                f"{self.name(row)}: {len(samples)} samples at {self.sample_rate_hz} Hz are left to hear, and a frame "
                f"of the encoder takes {self.shortest}; leave such clips out (validation.min_duration_sec of the "
                "corpus), trim less (data.trim_dbfs), or raise data.max_sec"
            )
        return samples

    def _changed(self, samples: Samples, epoch: int, item: int) -> Samples:
        changes = self.data.augment
        if self.side != "train" or not changes.share:
            return samples
        generator = keyed_generator("augment", self.seed, epoch, item)
        if is_changed(changes, generator):
            samples = augment(samples, self.sample_rate_hz, changes, generator)[: self.max_samples]
        return samples

    def _stretch(self, row: int, epoch: int, item: int) -> Samples:
        """At most ``max_sec`` of a row's clip, of what trimming leaves."""
        source = self.root.source_of_row({name: self._rows.value(name, row) for name in LOCATED})
        way = keyed_generator("clip", self.seed, epoch, item).random() if self.side == "train" else 0.5
        if self.copy(row):
            whole = self._copied(source, row)
            first, stop = self._trimmed(row, whole)
            start, num_samples = place(first, stop, self.max_samples, way)
            return whole[start : start + num_samples]
        if self.data.trim_dbfs is not None and row not in self._bounds:
            self._trimmed(row, self._checked(source, row, read_window(source, 0, -1, self.sample_rate_hz), 0, None))
        first, stop = self._bounds.get(row, (0, int(self._lengths[row])))
        start, num_samples = place(first, stop, self.max_samples, way)
        # Without a known length the whole is asked for.
        samples = read_window(source, start, num_samples or self.max_samples, self.sample_rate_hz)
        return self._checked(source, row, samples, start, num_samples)

    def _trimmed(self, row: int, whole: Samples) -> tuple[int, int]:
        if row not in self._bounds:
            trim = self.data.trim_dbfs
            bounds = (0, len(whole)) if trim is None else sound_bounds(whole, self.sample_rate_hz, trim)
            self._bounds[row] = bounds
        return self._bounds[row]

    def _checked(self, source: AudioSource, row: int, samples: Samples, start: int, num_samples: int | None) -> Samples:
        """What was read, if it is as much as was listed and can be computed with."""
        listed = int(self._lengths[row]) - start
        expected = listed if num_samples is None else min(listed, num_samples)
        if not len(samples) or len(samples) < expected - MISSING_SEC * self.sample_rate_hz:
            raise DataError(
                f"{source}: holds {len(samples)} samples of the {expected} that were listed behind sample {start}, at "
                f"{self.sample_rate_hz} Hz: it has changed since; build the manifest anew"
            )
        if not np.isfinite(samples).all():
            raise DataError(f"{source}: holds samples that are NaN or infinite; write it again")
        return samples

    def _copied(self, source: AudioSource, row: int) -> Samples:
        """An augmented copy of a whole clip, the same whoever reads it: as if it had been written to a file."""
        whole = self._checked(source, row, read_window(source, 0, -1, self.sample_rate_hz), 0, None)
        key = (self._copy_seed or 0, self._rows.value("wav_path", row), self.copy(row))
        return augment(whole, self.sample_rate_hz, self.data.augment, keyed_generator("copy", *key))

    def copy(self, row: int) -> int:
        """Which augmented copy a row is; 0 for the clip itself."""
        return int(self._rows.value(COPY, row)) if self._copy_seed is not None else 0

    def _object(self, row: int) -> StoredObject:
        return self.root.object_of_row({name: self._rows.value(name, row) for name in LOCATED})


class ClipCollate:
    """Items to a batch.

    Returns:
        ``waveform`` float32 (B, T), zeros behind shorter clips; ``lengths`` int64 (B,); ``values``
        float32 (B, K), NaN where missing; ``labels`` int64 (B, K): 0 where there is a value, else
        -100, which is what the trainer counts; ``seen`` int64 (B, 4): epoch, item, row, read_row.
    """

    def __call__(self, items: Sequence[Item]) -> dict[str, Any]:
        clips = [clip for clip, _, _ in items]
        values = torch.from_numpy(np.stack([value for _, _, value in items]))
        waveform = torch.zeros(len(items), max(clip.num_samples for clip in clips))
        for line, (_, samples, _) in zip(waveform, items, strict=True):
            line[: len(samples)] = torch.from_numpy(samples)
        return {
            "waveform": waveform,
            "lengths": torch.tensor([clip.num_samples for clip in clips]),
            "values": values,
            "labels": torch.where(values.isnan(), IGNORED, 0),
            "seen": torch.tensor([[clip.epoch, clip.item, clip.row, clip.read_row] for clip in clips]),
        }
