"""Roll-off: the frequency below which 99 % of the power lies, from a few short windows.

It shows what the sample rate alone does not: audio that was upsampled, or that passed through a
telephone or a lossy codec.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_WINDOWS = 16
WINDOW_SAMPLES = 2048
SHARE = 0.99

AnyArray = npt.NDArray[Any]


class Windows:
    """Sixteen evenly spaced windows, copied from a file's blocks as they pass.

    Seeking to each of them would take longer than decoding a short FLAC or MP3.

    Args:
        num_samples: per channel, as the header says; if that is false, some windows stay empty.

    Attributes:
        windows: float32 (16, T), the mean of the channels.
        lengths: samples that each window got.
    """

    def __init__(self, num_samples: int) -> None:
        last = max(0, num_samples - WINDOW_SAMPLES)
        self._starts = sorted({last * index // (NUM_WINDOWS - 1) for index in range(NUM_WINDOWS)}, reverse=True)
        self.windows = np.zeros((NUM_WINDOWS, WINDOW_SAMPLES), np.float32)
        self.lengths: list[int] = []

    def add(self, block: AnyArray, first: int) -> None:
        """Take what lies in a block (T, C) whose first sample is sample ``first`` of the file."""
        end = first + len(block)
        while self._starts and self._starts[-1] < end:
            # One that begins near the end of a block is moved forward, into the block.
            start = max(first, min(self._starts.pop(), end - WINDOW_SAMPLES)) - first
            piece = block[start : start + WINDOW_SAMPLES]
            mono = piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1, dtype=np.float64)
            self.windows[len(self.lengths), : len(piece)] = mono
            self.lengths.append(len(piece))

    def rolloff_hz(self, sample_rate_hz: int) -> float | None:
        """Roll-off of the mean power spectrum, each window without its mean; None if there is no power."""
        windows = np.nan_to_num(self.windows[: len(self.lengths)], posinf=0, neginf=0)
        windows = windows / max(np.abs(windows).max(initial=0), np.finfo(np.float32).tiny)  # squares must fit
        if self.lengths == [WINDOW_SAMPLES] * NUM_WINDOWS:
            windows = (windows - windows.mean(axis=1, keepdims=True)) * _hann(WINDOW_SAMPLES)
        else:
            for window, length in zip(windows, self.lengths, strict=True):
                window[:length] = (window[:length] - window[:length].mean()) * _hann(length)
        spectra = np.fft.rfft(windows)
        power = (spectra.real**2 + spectra.imag**2).sum(axis=0, dtype=np.float64)
        if not power.sum() > 0:
            return None
        cumulative = np.cumsum(power)
        return int(np.searchsorted(cumulative, SHARE * cumulative[-1])) * sample_rate_hz / WINDOW_SAMPLES


@lru_cache(8)
def _hann(length: int) -> npt.NDArray[np.float32]:
    return np.hanning(length + 2)[1:-1].astype(np.float32)
