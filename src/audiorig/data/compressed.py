"""Reading what needs a decoder, through libsndfile: FLAC, MP3, OGG, and rarer kinds.

After a seek some decoders give other samples than when they come from the start. What was found
(libsndfile 1.2.2), and what is done:

- FLAC is exact.
- Opus is exact but for the first hundredths of a second, in one of thousands of windows. Reading
  starts half a second ahead.
- MP3 frames borrow bits from the frames before them: 9 of these at high rates, 85 in the quiet
  of a stereo file at 24 kHz. Reading starts that far ahead and drops what it does not need.
- Vorbis is exact in a file that was just opened, but not after a second seek; and never in the
  last page, whose first sample libsndfile counts wrongly (the encoder's padding is missing there).
"""

import io
import math
import os
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiorig.data.source import AudioInfo

OPUS_PRE_ROLL_SEC = 0.5
MP3_PRE_ROLL = 1 << 16  # samples; with 36,864 still 17 of 200 windows of a stereo file with pauses differ
# Up to here an MP3 is decoded from its start. That takes 3 ms, and libmpg123 has no reason to
# print to stderr, past everybody, that bits are missing before the place that was sought.
MP3_FROM_START = 1 << 19
VORBIS_MARGIN = 1 << 13  # samples before the last page: one block of the largest size
OGG_PAGE_BYTES = 65307  # at most
FIRST_FRAME_BYTES = 2048
BLOCK = 1 << 18  # samples that are read at once when nobody knows how many there are
SAMPLES_PER_BYTE = 10_000  # no codec stores more
UNKNOWN = 1 << 62  # from here on libsndfile means that it does not know how many samples there are

MPEG = ("mp1", "mp2", "mp3")
_CODECS = {
    "PCM_U8": "pcm_u8",
    "PCM_S8": "pcm_s8",
    "PCM_16": "pcm_s16",
    "PCM_24": "pcm_s24",
    "PCM_32": "pcm_s32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "ULAW": "mulaw",
    "MPEG_LAYER_I": "mp1",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
}


def codec_of(file: soundfile.SoundFile) -> str:
    """The project's name of what an open file is coded in."""
    return "flac" if file.format == "FLAC" else _CODECS.get(file.subtype, file.subtype.lower())


class CodedFile:
    """An open file that libsndfile decodes, or a member of an archive.

    Args:
        descriptor: open for reading; closed with this object.
        start: byte at which the file begins.
        size: bytes of the file.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size, self._head = descriptor, start, size, b""
        self._file = self._open()
        if self._file.format == "FLAC" and self._file.frames >= UNKNOWN:
            self._write_length(self._find_end())
        self._was_read = False
        # 16 bits as they are: half the memory to write and to read again.
        self._dtype = "int16" if self._file.subtype == "PCM_16" else "float32"
        codec = codec_of(self._file)
        num_samples = self._file.frames
        if codec in MPEG and not self._has_length():
            num_samples = self._count()
        if num_samples > SAMPLES_PER_BYTE * size:
            raise ValueError(f"the header promises {num_samples} samples, which {size} bytes cannot hold")
        self.info = AudioInfo(self._file.samplerate, self._file.channels, num_samples, codec, self._file.format)
        self._last_page = self._last_page_start() if codec == "vorbis" else num_samples

    def _open(self) -> soundfile.SoundFile:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        if not self._head and self._start == 0 and self._size == os.fstat(self._descriptor).st_size:
            return soundfile.SoundFile(self._descriptor, closefd=False)
        stretch = _Stretch(self._descriptor, self._start, self._size, self._head)
        return soundfile.SoundFile(io.BufferedReader(stretch))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Samples (T, C): int16 where that is all there is, float32 elsewhere."""
        first = self._first(start)
        if self.info.codec == "vorbis" and self._was_read:
            self._file.close()
            self._file = self._open()
        self._was_read = True
        self._file.seek(first)
        samples = self._file.read(stop - first, dtype=self._dtype, always_2d=True)
        if len(samples) != stop - first:
            ended = first + len(samples)
            raise ValueError(f"the header promises {self.info.num_samples} samples, but reading ended at {ended}")
        return samples[start - first :]

    def _first(self, start: int) -> int:
        """Where to begin, so that the decoder has found its state at ``start``."""
        match self.info.codec:
            case "mp1" | "mp2" | "mp3":
                return 0 if start <= MP3_FROM_START else start - MP3_PRE_ROLL
            case "opus":
                return max(0, start - math.ceil(OPUS_PRE_ROLL_SEC * self.info.sample_rate_hz))
            case "vorbis":
                return min(start, max(0, self._last_page - VORBIS_MARGIN))
        return start

    def close(self) -> None:
        self._file.close()
        os.close(self._descriptor)

    def _has_length(self) -> bool:
        """Whether an MP3 says how long it is; libsndfile takes a guess from the first frame if not."""
        tag = os.pread(self._descriptor, 10, self._start)
        first_frame = 0
        if tag[:3] == b"ID3":  # its size has seven bits a byte
            first_frame = 10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
        head = os.pread(self._descriptor, FIRST_FRAME_BYTES, self._start + first_frame)
        return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))

    def _count(self) -> int:
        block = np.empty((BLOCK, self._file.channels), np.float32)
        total = 0
        while got := len(self._file.read(out=block)):
            total += got
        return total

    def _find_end(self) -> int:
        """Samples of a FLAC file that was written to a pipe: seeking beyond the last one fails."""
        last, beyond = -1, SAMPLES_PER_BYTE * self._size
        while beyond - last > 1:
            middle = (last + beyond) // 2
            try:
                self._file.seek(middle)
                last = middle
            except soundfile.LibsndfileError:  # after which it finds nothing any more
                beyond = middle
                self._file.close()
                self._file = self._open()
        return last + 1

    def _write_length(self, num_samples: int) -> None:
        """Open it as if the length stood in its header; without, libsndfile cannot read up to the end."""
        head = bytearray(os.pread(self._descriptor, 26, self._start))
        if head[:4] != b"fLaC":
            raise ValueError("nothing says how long it is")
        head[21] |= num_samples >> 32
        head[22:] = (num_samples & 0xFFFFFFFF).to_bytes(4, "big")
        self._file.close()
        self._head = bytes(head)
        self._file = self._open()

    def _last_page_start(self) -> int:
        """First sample of the last page of an OGG file: the position that the page before it ends on."""
        length = min(self._size, 3 * OGG_PAGE_BYTES)
        tail = os.pread(self._descriptor, length, self._start + self._size - length)
        positions = []
        place = tail.find(b"OggS")
        while 0 <= place <= len(tail) - 27:
            positions.append(int.from_bytes(tail[place + 6 : place + 14], "little", signed=True))
            place = tail.find(b"OggS", place + 4)
        return max(0, positions[-2]) if len(positions) > 1 else 0


class _Stretch(io.RawIOBase):
    """A stretch of a file as a file, with a position of its own.

    Args:
        head: bytes to give in place of the first ones.
    """

    def __init__(self, descriptor: int, start: int, size: int, head: bytes = b"") -> None:
        self._descriptor, self._start, self._size, self._head = descriptor, start, size, head
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._size - self._position)]
        got = os.preadv(self._descriptor, [view], self._start + self._position) if len(view) else 0
        overlay = self._head[self._position : self._position + got]
        view[: len(overlay)] = overlay
        self._position += got
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position
