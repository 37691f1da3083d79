"""Reading a file straight through, in blocks: 16-bit samples as they are stored, others as they fit.

What needs no decoder is read in place, without libsndfile; everything else goes through it, in
blocks, never by the length that a header claims.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from audiorig.data.compressed import codec_of
from audiorig.data.headers import PlainHeader, read_plain_header
from audiorig.data.levels import FRAME_SEC
from audiorig.data.plain import PlainFile

AnyArray = npt.NDArray[Any]

BLOCK_VALUES = 1 << 19  # tried 2**15 to 2**20: small blocks stay in a core's own cache, but cost more calls
FULL_SCALE = 1 - 1.5 / 2**15  # of formats finer than 16 bits: audio that clipped often had 16 bits then


@dataclass(frozen=True)
class Stream:
    """An open file.

    Attributes:
        num_promised: samples per channel that the header promises.
        scale, full_scale: see ``Levels``.
        blocks: arrays (T, C), each valid until the next; whole frames of 25 ms except the last.
        header: of a file that needs no decoder.
    """

    codec: str
    sample_rate_hz: int
    channels: int
    num_promised: int
    scale: float
    full_scale: float
    blocks: Iterator[AnyArray]
    header: PlainHeader | None = None

    @property
    def frame_values(self) -> int:
        """Values of 25 ms of all channels."""
        return _samples_of(self.sample_rate_hz) * self.channels


@contextmanager
def open_stream(descriptor: int, start: int, size: int, is_member: bool) -> Iterator[Stream]:
    """Open what lies in a file, or in a member of an archive.

    Raises:
        soundfile.SoundFileError: if it is no audio, or not of a kind that libsndfile knows.
    """
    header = read_plain_header(descriptor, start, size)
    if header is not None:
        yield _plain_stream(descriptor, start, header)
    elif is_member:
        with _Straight(io.BytesIO(os.pread(descriptor, size, start))) as file:
            yield _decoded_stream(file)
    else:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with _Straight(descriptor, closefd=False) as file:
            yield _decoded_stream(file)


class _Straight(soundfile.SoundFile):
    """A file that is read from start to end.

    soundfile seeks after every read to where it already is. In a damaged MP3 this jumps over what
    is missing, so that the file seems whole; in FLAC it costs time.
    """

    def seekable(self) -> bool:
        return False


def _samples_of(sample_rate_hz: int) -> int:
    """Samples per channel of a frame; a header may claim any rate."""
    return min(max(1, round(FRAME_SEC * sample_rate_hz)), 1 << 15)


def _block_samples(num_values: int, sample_rate_hz: int, channels: int) -> int:
    """Samples per channel of a block: whole frames, at least one."""
    frame = _samples_of(sample_rate_hz)
    return max(1, num_values // (frame * channels)) * frame


# ------------------------------------------------------------------------------ no decoder


def _plain_stream(descriptor: int, start: int, header: PlainHeader) -> Stream:
    is_int16 = header.codec == "pcm_s16"
    full_scale = {"pcm_u8": 127 / 128, "mulaw": 32124 / 32768, "alaw": 32256 / 32768}  # the largest they can say
    return Stream(
        codec=header.codec,
        sample_rate_hz=header.sample_rate_hz,
        channels=header.channels,
        num_promised=header.num_frames + -(-header.missing_bytes // header.block_align),
        scale=2.0**15 if is_int16 else 1.0,
        full_scale=2.0**15 - 1 if is_int16 else full_scale.get(header.codec, FULL_SCALE),
        blocks=_int16_blocks(descriptor, start, header) if is_int16 else _plain_blocks(descriptor, start, header),
        header=header,
    )


def _int16_blocks(descriptor: int, start: int, header: PlainHeader) -> Iterator[AnyArray]:
    # Reading, not mapping: a mapped file that somebody cuts meanwhile ends the process.
    num_samples = _block_samples(BLOCK_VALUES, header.sample_rate_hz, header.channels)
    buffer = np.empty(min(num_samples, header.num_frames) * header.channels, "<i2")
    offset, left = start + header.data_offset, header.num_frames * header.block_align
    while left > 0:
        held = os.preadv(descriptor, [buffer.data.cast("B")[:left]], offset) // header.block_align
        if held == 0:
            return  # it became shorter since its header was read
        yield buffer[: held * header.channels].reshape(-1, header.channels)
        offset, left = offset + held * header.block_align, left - held * header.block_align


def _plain_blocks(descriptor: int, start: int, header: PlainHeader) -> Iterator[AnyArray]:
    file = PlainFile(descriptor, start, header)
    num_samples = _block_samples(BLOCK_VALUES, header.sample_rate_hz, header.channels)
    for first in range(0, header.num_frames, num_samples):
        yield file.read(first, min(first + num_samples, header.num_frames))


# ------------------------------------------------------------------------------ libsndfile


def _decoded_stream(file: soundfile.SoundFile) -> Stream:
    if file.subtype in ("PCM_24", "PCM_32"):
        dtype, scale, full_scale = "int32", 2.0**31, 2.0**31 * FULL_SCALE
    elif file.subtype in ("FLOAT", "DOUBLE", "VORBIS", "OPUS") or file.subtype.startswith("MPEG"):
        dtype, scale, full_scale = "float32", 1.0, FULL_SCALE
    else:  # 16 bits and less
        dtype, scale, full_scale = "int16", 2.0**15, 2.0**15 - 1
    return Stream(
        codec=codec_of(file),
        sample_rate_hz=file.samplerate,
        channels=file.channels,
        num_promised=file.frames,
        scale=scale,
        full_scale=full_scale,
        blocks=_decoded_blocks(file, dtype),
    )


def _decoded_blocks(file: soundfile.SoundFile, dtype: str) -> Iterator[AnyArray]:
    buffer = np.empty((_block_samples(BLOCK_VALUES, file.samplerate, file.channels), file.channels), dtype)
    while len(block := file.read(dtype=dtype, always_2d=True, out=buffer)):
        yield block
