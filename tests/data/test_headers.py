"""What a header says is compared with what the file holds; no damage of it is more than a None."""

import io
import os
import struct
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from audiorig.data.headers import MAX_CHUNKS, PlainHeader, read_plain_header

SAMPLES = np.arange(100, dtype="<i2")
PCM16 = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)


@pytest.fixture
def parse(tmp_path) -> Iterator:
    """Parse bytes, as a file or at some place of a larger one."""

    def parse_bytes(content: bytes, before: bytes = b"", after: bytes = b"") -> PlainHeader | None:
        with tempfile.TemporaryFile(dir=tmp_path) as file:
            file.write(before + content + after)
            file.flush()
            return read_plain_header(file.fileno(), len(before), len(content))

    yield parse_bytes


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<4sI", name, len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def wav(*chunks: bytes, name: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", name, len(body)) + body


PLAIN = wav(chunk(b"fmt ", PCM16), chunk(b"data", SAMPLES.tobytes()))


def test_a_plain_header(parse) -> None:
    expected = PlainHeader("WAV", "pcm_s16", 8000, 1, 100, data_offset=44, block_align=2)
    assert parse(PLAIN) == expected
    assert parse(PLAIN, before=b"x" * 777, after=b"y" * 99) == expected


@pytest.mark.parametrize("chunks", [[(b"LIST", 3)], [(b"bext", 700), (b"junk", 0)], [(b"JUNK", 28)] * 40])
def test_chunks_before_the_samples_are_passed_over(parse, chunks: list[tuple[bytes, int]]) -> None:
    others = [chunk(name, b"\1" * length) for name, length in chunks]
    header = parse(wav(*others, chunk(b"fmt ", PCM16), *others, chunk(b"data", SAMPLES.tobytes()), *others))
    assert header is not None
    assert header.num_frames == 100
    assert header.data_offset == 44 + 2 * sum(len(other) for other in others)


def test_a_chunk_after_the_samples_is_no_sample(parse) -> None:
    assert parse(PLAIN + chunk(b"LIST", b"text" * 50)).num_frames == 100


def test_the_extensible_form_names_its_codec_further_on(parse) -> None:
    guid = struct.pack("<H", 3) + bytes.fromhex("000000001000800000aa00389b71")
    form = struct.pack("<HHIIHH", 0xFFFE, 2, 48000, 384000, 8, 32) + struct.pack("<HHI", 22, 32, 3) + guid
    header = parse(wav(chunk(b"fmt ", form), chunk(b"data", b"\0" * 80)))
    assert (header.codec, header.channels, header.num_frames) == ("float32", 2, 10)


@pytest.mark.parametrize("held", [0, 1, 2, 99, 199])
def test_what_is_missing_is_counted(parse, held: int) -> None:
    header = parse(PLAIN[: 44 + held])
    assert header.num_frames == held // 2
    assert header.missing_bytes == 200 - held


@pytest.mark.parametrize("claimed", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_size_that_was_never_written_means_all_that_follows(parse, claimed: int) -> None:
    header = parse(wav(chunk(b"fmt ", PCM16), chunk(b"data", SAMPLES.tobytes(), claimed)))
    assert (header.num_frames, header.missing_bytes, header.has_wrapped) == (100, 0, False)


@pytest.mark.parametrize(("data_bytes", "has_wrapped"), [(2**32 - 8, False), (2**32 + 400, True), (2**33 + 6, True)])
def test_a_size_that_wrapped_at_4_gib_is_recognised(tmp_path, data_bytes: int, has_wrapped: bool) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(wav(chunk(b"fmt ", PCM16), chunk(b"data", b"", data_bytes % 2**32)))
    os.truncate(path, 44 + data_bytes)
    with path.open("rb") as file:
        header = read_plain_header(file.fileno(), 0, 44 + data_bytes)
    assert (header.num_frames, header.has_wrapped, header.missing_bytes) == (data_bytes // 2, has_wrapped, 0)


@pytest.mark.parametrize(
    "form",
    [
        struct.pack("<HHIIHH", 2, 1, 8000, 4000, 256, 4),  # MS ADPCM
        struct.pack("<HHIIHH", 1, 0, 8000, 16000, 2, 16),  # no channel
        struct.pack("<HHIIHH", 1, 1, 0, 16000, 2, 16),  # no rate
        struct.pack("<HHIIHH", 1, 1, 8000, 16000, 0, 16),  # no bytes a sample
        struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 12),  # 12 bits in two bytes
        b"\1\0\1\0",
    ],
)
def test_what_needs_a_decoder_or_makes_no_sense_is_none(parse, form: bytes) -> None:
    assert parse(wav(chunk(b"fmt ", form), chunk(b"data", SAMPLES.tobytes()))) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio at all" * 99, b"fLaC" + bytes(99), b"RIFX" + PLAIN[4:]])
def test_other_content_is_none(parse, content: bytes) -> None:
    assert parse(content) is None


def test_a_million_empty_chunks_are_not_walked(parse) -> None:
    began = time.monotonic()
    assert parse(wav(chunk(b"none", b"") * (100 * MAX_CHUNKS), chunk(b"fmt ", PCM16))) is None
    assert time.monotonic() - began < 5


def test_the_header_of_no_truncation_promises_more_than_is_there(parse) -> None:
    for container in ("WAV", "RF64", "W64", "WAVEX"):
        buffer = io.BytesIO()
        soundfile.write(buffer, SAMPLES, 8000, "PCM_16", format=container)
        whole = buffer.getvalue()
        assert parse(whole).num_frames == 100
        for length in range(len(whole)):
            header = parse(whole[:length])
            assert header is None or header.data_offset + header.num_frames * header.block_align <= length


@pytest.mark.parametrize("value", [0x00, 0x7F, 0x80, 0xFF])
def test_no_byte_of_a_header_makes_it_promise_more_than_is_there(parse, value: int) -> None:
    for place in range(44):
        content = bytearray(PLAIN)
        content[place] = value
        header = parse(bytes(content))
        if header is not None:
            assert header.block_align > 0
            assert header.data_offset + header.num_frames * header.block_align <= len(content)
