"""The fast pass over a file's samples: level, peak, clipping, silence and offset, block by block.

Samples are taken in the units they are stored in, and widened once. What is counted one by one
(samples at full scale, samples that are not finite) is looked for only where a block's peak says
that there are any.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from audiorig.data.frame_sums import LARGEST_FRAME, sum_frames

FRAME_SEC = 0.025
LARGEST = 1e30  # a damaged float file may hold more; its square would overflow

AnyArray = npt.NDArray[Any]


class Levels:
    """Running statistics of one file's samples, all channels together.

    Args:
        scale: what 1.0 is in the samples' own units (32768 for 16 bits, 1 for floats).
        full_scale: magnitude, in the same units, from which a sample counts as clipped.
        frame_values: values of a frame, whose silence is judged: 25 ms of all channels.
        silent_dbfs: RMS level below which a frame is silent.
    """

    def __init__(self, scale: float, full_scale: float, frame_values: int, silent_dbfs: float) -> None:
        self.scale, self.full_scale, self.frame_values = scale, full_scale, frame_values
        self._silent_power = (scale * 10 ** (silent_dbfs / 20)) ** 2
        self._wide = np.empty(0)
        self._ones = np.ones(frame_values)
        self.num_values = self.num_frames = self.num_silent_frames = 0
        self.num_clipped = self.num_non_finite = 0
        self.total = self.energy = self.peak = 0.0

    def add(self, block: AnyArray) -> None:
        """Take in the next values (T,), a multiple of ``frame_values`` except at the end."""
        if not block.size:
            return
        highest, lowest = float(block.max()), float(block.min())
        if not (math.isfinite(highest) and math.isfinite(lowest)):
            finite = np.isfinite(block)
            self.num_non_finite += int(block.size - np.count_nonzero(finite))
            block = np.where(finite, block, 0)
            highest, lowest = float(block.max()), float(block.min())
        peak = max(highest, -lowest)
        self.peak = max(self.peak, peak)
        if peak >= self.full_scale:
            self.num_clipped += int(np.count_nonzero(block >= self.full_scale))
            self.num_clipped += int(np.count_nonzero(block <= -self.full_scale))
        if peak > LARGEST:
            block = np.clip(block, -LARGEST, LARGEST)
        self.num_values += block.size
        size = self.frame_values
        num_frames = block.size // size
        if num_frames:
            self._add_frames(block[: num_frames * size].reshape(num_frames, size))
        if num_frames * size < block.size:
            self._add_frames(block[None, num_frames * size :])

    def _add_frames(self, frames: AnyArray) -> None:
        """Frames (N, values of one)."""
        count, size = frames.shape
        if frames.dtype == np.int16 and size <= LARGEST_FRAME:
            energies, totals = sum_frames(frames)
        else:
            wide = self._widened(frames)
            energies, totals = np.vecdot(wide, wide), wide @ self._ones[:size]
        self.energy += float(np.add.reduce(energies, dtype=np.float64))
        self.total += float(np.add.reduce(totals, dtype=np.float64))
        self.num_frames += count
        self.num_silent_frames += int(np.count_nonzero(energies < self._silent_power * size))

    def _widened(self, frames: AnyArray) -> AnyArray:
        if self._wide.size < frames.size:
            self._wide = np.empty(frames.size)
        wide = self._wide[: frames.size].reshape(frames.shape)
        np.copyto(wide, frames)
        return wide

    def stats(self) -> dict[str, float]:
        """Levels in dBFS, shares of all samples or frames; rounded to what the sums are good for."""
        count = max(1, self.num_values)
        power = self.energy / count / self.scale**2
        return {
            "rms_dbfs": round(10 * float(np.log10(max(power, 1e-20))), 4),
            "peak_dbfs": round(20 * float(np.log10(max(self.peak / self.scale, 1e-10))), 4),
            "clipping_share": self.num_clipped / count,
            "silence_share": self.num_silent_frames / max(1, self.num_frames),
            "dc_offset": round(self.total / count / self.scale, 7),
            "num_non_finite": self.num_non_finite,
        }
