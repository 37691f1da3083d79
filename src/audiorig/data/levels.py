"""The fast pass over a file's samples: level, peak, clipping, silence and offset, block by block.

Samples are taken in the units they are stored in, and widened once. What is counted one by one
(samples at full scale, samples that are not finite) is looked for only where a block's peak says
that there are any.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

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
        self._wide = np.empty(0, np.float32)
        self._ones = np.ones(0, np.float32)
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
        wide, size = self._widened(block), self.frame_values
        num_frames = block.size // size
        if num_frames:
            self._add_frames(wide[: num_frames * size].reshape(num_frames, size))
        if num_frames * size < block.size:
            self._add_frames(wide[None, num_frames * size :])

    def _widened(self, block: AnyArray) -> AnyArray:
        # 16-bit values in float32: a frame's sum of squares is right to 1e-6, and twice as fast as in float64.
        dtype = np.float32 if block.dtype == np.int16 else np.float64
        if self._wide.size < block.size or self._wide.dtype != dtype:
            self._wide, self._ones = np.empty(block.size, dtype), np.ones(self.frame_values, dtype)
        wide = self._wide[: block.size]
        np.copyto(wide, block)
        return wide

    def _add_frames(self, frames: AnyArray) -> None:
        """Frames (N, values of one) of the workspace."""
        count, size = frames.shape
        energies = np.vecdot(frames, frames)
        self.energy += float(np.add.reduce(energies, dtype=np.float64))
        self.total += float(np.add.reduce(frames @ self._ones[:size], dtype=np.float64))
        self.num_frames += count
        self.num_silent_frames += int(np.count_nonzero(energies < self._silent_power * size))

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
