"""What a run has heard of its recordings: part of its checkpoints, logged at every step.

Hours heard say little: an item seed without the epoch in it once made a model hear the same two
hours of 308 again and again. What counts is how many distinct seconds there were.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from audiorig.config import LongCropConfig
from audiorig.data.crop_log import CropLog
from audiorig.data.rows import SplitRows
from audiorig.data.shares import read_columns
from audiorig.errors import DataError
from audiorig.files import written_aside

if TYPE_CHECKING:
    from torch import Tensor

FILE = "coverage.safetensors"


class Coverage:
    """Counts crops and the distinct seconds of a split that they held; a `Ledger` of the trainer.

    A second of a recording is heard once its middle was inside a crop: a crop of 8 s hears 8 of
    them wherever it begins, and the sum has no bias. One bit a second is 4.5 MB for 10,000 hours;
    tenths would be ten times that in every checkpoint, for figures that nobody reads to 0.1 s.

    Crops that are marked silent teach nothing (`SilenceConfig.when_silent`), so nothing of them
    counts as heard. Draws that were rejected are never noted.

    Args:
        split: the Arrow file that the crops are of.
        data: how they are drawn.
        log: folder for the log of crops, for one process of the run; None for no log.
    """

    def __init__(self, split: Path, data: LongCropConfig, log: Path | None = None) -> None:
        self.split, self.data = split, data
        durations = np.nan_to_num(read_columns(split, ["duration_sec"])["duration_sec"].to_numpy())
        seconds = np.floor(durations + 0.5).astype(np.int64)  # as many as have their middle inside
        self._first = np.concatenate([[0], np.cumsum(seconds)])
        self._bits = np.zeros(-(-int(self._first[-1]) // 8), np.uint8)
        self._counts = dict.fromkeys(("steps", "crops", "samples", "redraws", "silent"), 0)
        self.num_heard = 0
        crop_samples = round(data.crop_sec * data.sample_rate_hz)
        self._log = CropLog(log, SplitRows(split), data.sample_rate_hz, crop_samples) if log else None

    @property
    def num_seconds(self) -> int:
        """Seconds of the split."""
        return int(self._first[-1])

    def note(self, seen: "Tensor") -> None:
        """Count the crops of a step.

        Args:
            seen: int64 (n, 5): row, start, num_samples, num_redraws, is_silent.
        """
        crops = seen.cpu().numpy()
        if self._log:
            if not self._counts["steps"]:  # a run that begins anew: what lies there is of another
                self._log.keep_until(0)
            self._log.add(crops)
        self._counts["steps"] += 1
        self._counts["crops"] += len(crops)
        self._counts["redraws"] += int(crops[:, 3].sum())
        self._counts["silent"] += int(crops[:, 4].sum())
        for row, start, num_samples, _, is_silent in crops.tolist():
            if not (is_silent and self.data.silence.when_silent == "mark"):
                self._counts["samples"] += num_samples
                self._hear(row, start, start + num_samples)

    def _hear(self, row: int, start: int, stop: int) -> None:
        """Set the bits of the seconds whose middle lies from one sample to another."""
        rate, origin, end = self.data.sample_rate_hz, int(self._first[row]), int(self._first[row + 1])
        first, last = (min(end, origin + -((rate - 2 * sample) // (2 * rate))) for sample in (start, stop))
        if first >= last:
            return
        octets = slice(first // 8, -(-last // 8))
        bits = np.unpackbits(self._bits[octets])
        heard = bits[first - 8 * octets.start : last - 8 * octets.start]
        self.num_heard += len(heard) - int(heard.sum())
        heard[:] = 1
        self._bits[octets] = np.packbits(bits)

    def numbers(self) -> dict[str, float]:
        """Hours heard, distinct hours, their share of the split; redraws of a crop, share of silent ones: so far."""
        crops = max(1, self._counts["crops"])
        return {
            "hours_heard": self._counts["samples"] / self.data.sample_rate_hz / 3600,
            "distinct_hours": self.num_heard / 3600,
            "coverage": self.num_heard / max(1, self.num_seconds),
            "redraws": self._counts["redraws"] / crops,
            "silent_crops": self._counts["silent"] / crops,
        }

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint, and what the log has not written yet."""
        counts = np.array(list(self._counts.values()), np.int64)
        with written_aside(folder / FILE) as aside:
            save_file({"heard": self._bits, "counts": counts}, aside, {"split": self._digest()})
        if self._log:
            self._log.write()

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint; later parts of the log are removed.

        Raises:
            DataError: if the checkpoint has no such state, or one of another split.
        """
        path = folder / FILE
        try:
            with safe_open(path, framework="numpy") as file:
                digest = (file.metadata() or {}).get("split")
                bits, counts = file.get_tensor("heard"), file.get_tensor("counts")
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"{path}: what the run has heard cannot be read ({error}): resume from another checkpoint"
            ) from None
        if digest != self._digest() or bits.shape != self._bits.shape:
            raise DataError(
                f"{path}: counts the seconds of another split than {self.split}; resume with the split that the "
                "checkpoint was trained on, or begin anew in another folder"
            )
        self._bits = bits.copy()
        self._counts = dict(zip(self._counts, counts.tolist(), strict=True))
        self.num_heard = int(np.bitwise_count(self._bits).sum())
        if self._log:
            self._log.keep_until(self._counts["steps"])

    def _digest(self) -> str:
        """Of what the bits stand for: the recordings and their seconds."""
        paths = read_columns(self.split, ["wav_path"])["wav_path"].cast(pa.large_string())
        text = "\n".join(paths.to_pylist())
        return hashlib.blake2b(text.encode() + self._first.tobytes(), digest_size=16).hexdigest()
