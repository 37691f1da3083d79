"""Headers of plain audio files, read without a decoder: WAV, RF64, W64.

Two things need this. Samples that lie uncompressed in a file can be read in place, without
decoding. And a decoder opens a file that was cut, or whose size field has wrapped at 4 GiB,
without a word; comparing what the header promises with what the file holds is the only signal.
"""

import os
import struct
from dataclasses import dataclass
from typing import Literal

Codec = Literal["pcm_u8", "pcm_s16", "pcm_s24", "pcm_s32", "float32", "float64", "alaw", "mulaw"]

FIRST_READ = 512  # bytes: enough for the chunks before the samples of nearly every file
MAX_CHUNKS = 10_000  # a file may be made of a million empty ones
UNKNOWN_SIZES = (0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)  # what recorders write when they cannot seek back
WRAP = 1 << 32

_CODECS: dict[tuple[int, int], Codec] = {
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16",
    (1, 24): "pcm_s24",
    (1, 32): "pcm_s32",
    (3, 32): "float32",
    (3, 64): "float64",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
_EXTENSIBLE = 0xFFFE
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_TAIL = _W64_WAVE[4:]


@dataclass(frozen=True)
class PlainHeader:
    """Where the samples of an uncompressed file lie.

    Attributes:
        container: WAV, RF64 or W64.
        num_frames: samples per channel that the file really holds.
        data_offset: byte of the first sample.
        block_align: bytes of one sample of all channels.
        missing_bytes: bytes that the header promises beyond the end of the file.
        has_wrapped: the 32-bit size counts a multiple of 4 GiB too little; ``num_frames`` does not.
    """

    container: str
    codec: Codec
    sample_rate_hz: int
    channels: int
    num_frames: int
    data_offset: int
    block_align: int
    missing_bytes: int = 0
    has_wrapped: bool = False


def read_plain_header(descriptor: int, start: int, size: int) -> PlainHeader | None:
    """Parse the header of an open file, or of a member of an archive.

    Args:
        descriptor: open for reading; its position is neither used nor moved.
        start: byte at which the file begins (0, or a member's offset).
        size: bytes of the file.

    Returns:
        None if it is no WAV, RF64 or W64, is damaged, or holds a codec that needs a decoder.
    """
    head = os.pread(descriptor, min(FIRST_READ, size), start)
    try:
        if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RF64"):
            return _parse_riff(descriptor, start, size, head)
        if head[:16] == _W64_RIFF and head[24:40] == _W64_WAVE:
            return _parse_w64(descriptor, start, size, head)
    except struct.error:  # it ends in the middle of a field
        return None
    return None


def _parse_riff(descriptor: int, start: int, size: int, head: bytes) -> PlainHeader | None:
    offset, form, long_size = 12, None, None
    for _ in range(MAX_CHUNKS):
        name, length = struct.unpack("<4sI", _bytes(descriptor, start, head, offset, 8))
        body = offset + 8
        if name == b"data":
            if length == 0xFFFFFFFF and long_size is not None:
                length = long_size
            return None if form is None else _lay_out(head[:4].replace(b"RIFF", b"WAV"), form, body, length, size)
        if name == b"ds64":  # RF64: sizes of 4 GiB and more stand here
            long_size = struct.unpack("<QQ", _bytes(descriptor, start, head, body, 16))[1]
        if name == b"fmt ":
            form = _bytes(descriptor, start, head, body, min(length, 40))
        offset = body + length + length % 2
    return None


def _parse_w64(descriptor: int, start: int, size: int, head: bytes) -> PlainHeader | None:
    offset, form = 40, None
    for _ in range(MAX_CHUNKS):
        guid, length = struct.unpack("<16sQ", _bytes(descriptor, start, head, offset, 24))
        if guid[4:] != _W64_TAIL or length < 24:
            return None
        if guid[:4] == b"data":
            return None if form is None else _lay_out(b"W64", form, offset + 24, length - 24, size)
        if guid[:4] == b"fmt ":
            form = _bytes(descriptor, start, head, offset + 24, min(length - 24, 40))
        offset += (length + 7) // 8 * 8
    return None


def _bytes(descriptor: int, start: int, head: bytes, offset: int, length: int) -> bytes:
    """Bytes of the file; from what was read first, where they lie in it."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    return os.pread(descriptor, length, start + offset)


def _lay_out(container: bytes, form: bytes, offset: int, promised: int, size: int) -> PlainHeader | None:
    tag, channels, rate, _, block_align, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == _EXTENSIBLE and len(form) >= 26:
        (tag,) = struct.unpack("<H", form[24:26])
    codec = _CODECS.get((tag, bits))
    if codec is None or channels == 0 or rate == 0 or block_align != channels * bits // 8:
        return None
    present = max(0, size - offset)
    is_unknown = container == b"WAV" and (promised in UNKNOWN_SIZES or promised == 0)
    # A chunk may follow the samples, but none of 4 GiB does.
    has_wrapped = container == b"WAV" and not is_unknown and present - promised >= WRAP - 2
    held = present if is_unknown or has_wrapped else min(promised, present)
    return PlainHeader(
        container=container.decode(),
        codec=codec,
        sample_rate_hz=rate,
        channels=channels,
        num_frames=held // block_align,
        data_offset=offset,
        block_align=block_align,
        missing_bytes=0 if is_unknown else max(0, promised - present),
        has_wrapped=has_wrapped,
    )
