"""Reading samples that lie uncompressed in a file: in place, without a decoder."""

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiorig.data.headers import Codec, PlainHeader
from audiorig.data.source import AudioInfo, Samples

_DTYPES: dict[Codec, str] = {
    "pcm_u8": "u1",
    "pcm_s16": "<i2",
    "pcm_s24": "V3",  # NumPy has no such integer
    "pcm_s32": "<i4",
    "float32": "<f4",
    "float64": "<f8",
    "alaw": "u1",
    "mulaw": "u1",
}


class PlainFile:
    """An open file of uncompressed samples, or a member of an archive.

    Args:
        descriptor: open for reading; closed with this object. Its position is never used.
        start: byte at which the file begins.
    """

    def __init__(self, descriptor: int, start: int, header: PlainHeader) -> None:
        self._descriptor, self._header = descriptor, header
        self._first_byte = start + header.data_offset
        self._dtype = np.dtype(_DTYPES[header.codec])
        self.info = AudioInfo(header.sample_rate_hz, header.channels, header.num_frames, header.codec, header.container)

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Samples (T, C): int16 and float32 as they are stored, the others as float32."""
        align = self._header.block_align
        stored = np.empty((stop - start, self.info.channels), self._dtype)
        view, position, filled = stored.view("u1").reshape(-1).data, self._first_byte + start * align, 0
        while filled < len(view):
            got = os.preadv(self._descriptor, [view[filled:]], position + filled)
            if got == 0:
                ended = start + filled // align
                raise ValueError(f"the header promises {self.info.num_samples} samples, but reading ended at {ended}")
            filled += got
        return _decode(stored, self._header.codec)

    def close(self) -> None:
        os.close(self._descriptor)


def mix_down(samples: NDArray[Any]) -> Samples:
    """The mean of the channels, full scale 1.

    Adding up columns is several times as fast as ``mean(axis=1)``.

    Args:
        samples: (T, C), int16 or float32.

    Returns:
        float32 (T,).
    """
    channels = samples.shape[1]
    if samples.dtype == np.int16:
        total = samples[:, 0] if channels == 1 else _sum_of_two(samples)
        for channel in range(2, channels):
            total += samples[:, channel]
        mixed: Samples = total.astype(np.float32)  # faster than a product of two types
        mixed *= np.float32(1 / (32768 * channels))
        return mixed
    if channels == 1:
        return np.ascontiguousarray(samples[:, 0])
    mixed = samples[:, 0] + samples[:, 1]
    for channel in range(2, channels):
        mixed += samples[:, channel]
    mixed *= np.float32(1 / channels)
    return mixed


def _sum_of_two(samples: NDArray[np.int16]) -> NDArray[np.int32]:
    """The sum of the first two channels."""
    if samples.shape[1] > 2 or not samples.flags.c_contiguous:
        return np.add(samples[:, 0], samples[:, 1], dtype=np.int32)
    # Both as one word each, cut by shifts: half the time of adding columns that are widened one by one.
    pairs = samples.view(np.int32)[:, 0]
    total, other = pairs >> 16, pairs << 16
    other >>= 16
    total += other
    return total


def _decode(stored: NDArray[Any], codec: Codec) -> NDArray[np.generic]:
    match codec:
        case "pcm_s16":
            return stored.astype(np.int16, copy=False)
        case "float32" | "float64":
            return stored.astype(np.float32, copy=False)
        case "pcm_u8":
            return (stored.astype(np.float32) - 128) / 128
        case "pcm_s24":
            wide = np.zeros((*stored.shape, 4), np.uint8)
            wide[..., 1:] = stored.view(np.uint8).reshape(*stored.shape, 3)
            stored = wide.view("<i4")[..., 0]
            return stored.astype(np.float32) * np.float32(1 / 2**31)
        case "pcm_s32":
            return stored.astype(np.float32) * np.float32(1 / 2**31)
        case "alaw":
            return _alaw_values()[stored]
        case "mulaw":
            return _mulaw_values()[stored]


@cache
def _mulaw_values() -> Samples:
    """The 256 values of G.711 mu-law: sign, 3 bits of exponent, 4 of mantissa, all inverted."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4).astype(np.int32) & 7, code.astype(np.int32) & 15
    magnitude = ((2 * mantissa + 33) << exponent) - 33
    return (np.where(code & 128, -magnitude, magnitude) * 4 / 32768).astype(np.float32)


@cache
def _alaw_values() -> Samples:
    """The 256 values of G.711 A-law: every other bit inverted; the first two segments are linear."""
    code = (np.arange(256, dtype=np.uint8) ^ 0x55).astype(np.int32)
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << np.maximum(exponent - 1, 0))
    return (np.where(code & 128, magnitude, -magnitude) * 8 / 32768).astype(np.float32)
