"""What people hold is read, whatever it is called: every width, codec, container, rate and number of channels."""

import io
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from audiorig.data.audio import AudioSource, open_audio, read_info, read_window, resampled_length, source_of
from audiorig.data.compressed import MP3_FROM_START
from audiorig.data.plain import PlainFile
from audiorig.errors import DataError

TARGET = 24000

# container, subtype of libsndfile, our name of the codec, whether it needs no decoder
KINDS = [
    ("WAV", "PCM_U8", "pcm_u8", True),
    ("WAV", "PCM_16", "pcm_s16", True),
    ("WAV", "PCM_24", "pcm_s24", True),
    ("WAV", "PCM_32", "pcm_s32", True),
    ("WAV", "FLOAT", "float32", True),
    ("WAV", "DOUBLE", "float64", True),
    ("WAV", "ULAW", "mulaw", True),
    ("WAV", "ALAW", "alaw", True),
    ("WAVEX", "PCM_24", "pcm_s24", True),
    ("RF64", "PCM_16", "pcm_s16", True),
    ("W64", "PCM_16", "pcm_s16", True),
    ("W64", "FLOAT", "float32", True),
    ("AIFF", "PCM_16", "pcm_s16", False),
    ("CAF", "PCM_24", "pcm_s24", False),
    ("AU", "ULAW", "mulaw", False),
    ("FLAC", "PCM_16", "flac", False),
    ("FLAC", "PCM_24", "flac", False),
    ("MP3", "MPEG_LAYER_III", "mp3", False),
    ("OGG", "VORBIS", "vorbis", False),
    ("OGG", "OPUS", "opus", False),
]


def bursts(num_samples: int, rate: int, channels: int) -> np.ndarray:
    """Sweeps and noise with pauses, float32 (T, C): the hardest case for codecs that save bits in pauses."""
    time = np.arange(num_samples)[:, None] / rate
    generator = np.random.default_rng(rate + channels)
    sweep = 0.3 * np.sin(2 * np.pi * (300 * time + 200 * np.sin(time + np.arange(channels))))
    noise = 0.1 * generator.standard_normal((num_samples, channels))
    return ((sweep + noise) * (np.sin(2 * np.pi * 0.31 * time) > 0.3)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int, container: str, subtype: str, **options: object) -> Path:
    """In blocks: libsndfile's encoder of Vorbis runs out of stack otherwise."""
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], subtype, format=container, **options) as file:
        for first in range(0, len(samples), 1 << 16):
            file.write(samples[first : first + (1 << 16)])
    return path


def whole_decode(path: Path, rate: int) -> np.ndarray:
    """The file in one piece, without any of the code that is tested."""
    samples, source_rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    decoded = mono if source_rate == rate else soxr.resample(mono, source_rate, rate)
    return decoded[: len(mono) * rate // source_rate]


def in_tar(path: Path, archive: Path) -> AudioSource:
    """The file as the second member of an archive."""
    with tarfile.open(archive, "w") as tar:
        tar.add(path, "before.bin")
        tar.add(path, path.name)
    with tarfile.open(archive) as tar:
        member = tar.getmember(path.name)
    return source_of(archive.parent, f"{archive.name}/{path.name}", member.offset_data, member.size)


def differing(source: Path | AudioSource, whole: np.ndarray, rate: int, count: int, seed: int = 0) -> int:
    """How many of ``count`` random windows are not the slice of the whole; every fifth lies near the end."""
    generator, bad = np.random.default_rng(seed), 0
    for number in range(count):
        length = int(generator.integers(1, rate))
        earliest = max(0, len(whole) - rate) if number % 5 == 0 else 0
        start = int(generator.integers(earliest, len(whole)))
        window, expected = read_window(source, start, length, rate), whole[start : start + length]
        bad += window.shape != expected.shape or np.abs(window - expected).max() > 1e-6
    return bad


@pytest.mark.parametrize(("container", "subtype", "codec", "is_plain"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_content_decides_how_a_file_is_read_and_its_name_does_not(
    tmp_path: Path, container: str, subtype: str, codec: str, is_plain: bool, channels: int
) -> None:
    rate = 16000
    path = write(tmp_path / "a.wrong", bursts(rate * 2 + 7, rate, channels), rate, container, subtype)
    for source in (path, in_tar(path, tmp_path / "b.tar")):
        file = open_audio(source)
        assert isinstance(file, PlainFile) == is_plain
        file.close()
        info = read_info(source)
        assert (info.sample_rate_hz, info.channels, info.num_samples) == (rate, channels, 2 * rate + 7)
        assert info.codec == codec
        assert info.container == {"WAVEX": "WAV"}.get(container, container)
        assert differing(source, whole_decode(path, rate), rate, 30) == 0
        assert differing(source, whole_decode(path, TARGET), TARGET, 10) == 0


@pytest.mark.parametrize("subtype", [kind[1] for kind in KINDS if kind[0] == "WAV"])
def test_plain_samples_are_those_of_libsndfile_to_the_last_bit(tmp_path: Path, subtype: str) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (9999, 1))
    path = write(tmp_path / "a.wav", samples, 8000, "WAV", subtype)
    assert np.array_equal(read_window(path, 0, -1, 8000), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "PCM_U8"])
def test_every_code_of_eight_bits_has_the_value_of_libsndfile(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "a.wav", np.zeros((256, 1)), 8000, "WAV", subtype)
    content = bytearray(path.read_bytes())
    content[-256:] = bytes(range(256))
    path.write_bytes(content)
    ours, theirs = read_window(path, 0, -1, 8000), soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(ours, theirs)
    assert len(np.unique(ours)) >= 255  # mu-law has two zeros


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_any_rate_and_any_number_of_channels(tmp_path: Path, rate: int, channels: int) -> None:
    for container in ("WAV", "FLAC"):
        path = write(tmp_path / "a", bursts(rate // 2, rate, channels), rate, container, "PCM_16")
        assert differing(path, whole_decode(path, TARGET), TARGET, 10) == 0


# ------------------------------------------------------------------- exact seeking


MP3_MODES = [("CONSTANT", 0.9), ("AVERAGE", 0.8), ("VARIABLE", 0.5)]


@pytest.mark.parametrize(("mode", "level"), MP3_MODES)
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (24000, 2), (44100, 2)])
def test_300_of_300_windows_of_an_mp3_are_exact(
    tmp_path: Path, mode: str, level: float, rate: int, channels: int
) -> None:
    samples = bursts(MP3_FROM_START + 12 * rate, rate, channels)
    options = {"bitrate_mode": mode, "compression_level": level}
    path = write(tmp_path / "a.mp3", samples, rate, "MP3", "MPEG_LAYER_III", **options)
    whole = whole_decode(path, rate)
    assert differing(path, whole, rate, 300) == 0
    assert differing(in_tar(path, tmp_path / "a.tar"), whole, rate, 30) == 0


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (24000, 2), (48000, 1)])
def test_windows_of_an_ogg_are_exact(tmp_path: Path, subtype: str, rate: int, channels: int) -> None:
    path = write(tmp_path / "a.ogg", bursts(20 * rate + 13, rate, channels), rate, "OGG", subtype)
    whole = whole_decode(path, rate)
    assert differing(path, whole, rate, 150) == 0
    assert differing(in_tar(path, tmp_path / "a.tar"), whole, rate, 30) == 0


def test_a_file_that_is_read_backwards_is_the_same(tmp_path: Path) -> None:
    """The decoder keeps nothing of what it read before."""
    for container, subtype in [("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")]:
        path = write(tmp_path / subtype, bursts(5 * TARGET, TARGET, 1), TARGET, container, subtype)
        whole = whole_decode(path, TARGET)
        for start in range(len(whole) - 5000, 0, -5000):
            assert np.abs(read_window(path, start, 5000, TARGET) - whole[start : start + 5000]).max() < 1e-6


@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\x27\x10" + b"Info" * 1252])
def test_an_mp3_that_does_not_say_how_long_it_is_is_counted(tmp_path: Path, tag: bytes) -> None:
    """libsndfile takes a guess from the first frame: here three times too much."""
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    path = write(tmp_path / "a.mp3", bursts(TARGET * 20, TARGET, 1), TARGET, "MP3", "MPEG_LAYER_III", **options)
    content = path.read_bytes()
    second_frame = content.find(content[:2], content.find(b"Xing"))
    path.write_bytes(tag + content[second_frame:])
    held = len(soundfile.read(path)[0])
    assert soundfile.info(path).frames > 1.5 * held
    assert read_info(path).num_samples == held
    assert len(read_window(path, held - 100, 1000, TARGET)) == 100


@pytest.mark.parametrize("channels", [1, 2])
def test_a_flac_that_was_written_to_a_pipe_is_read_to_its_end(tmp_path: Path, channels: int) -> None:
    """Its header says that it has no samples, for the encoder could not go back."""
    path = write(tmp_path / "a.flac", bursts(TARGET * 5 + 77, TARGET, channels), TARGET, "FLAC", "PCM_16")
    whole = whole_decode(path, TARGET)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    for source in (path, in_tar(path, tmp_path / "a.tar")):
        assert read_info(source).num_samples == len(whole)
        assert differing(source, whole, TARGET, 30) == 0
        assert np.abs(read_window(source, 0, -1, TARGET) - whole).max() < 1e-6


# ------------------------------------------------------------------------ huge files


def riff_head(data_bytes: int, rate: int = TARGET) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    size = (data_bytes + 36) % (1 << 32)
    return struct.pack("<4sI4s", b"RIFF", size, b"WAVE") + form + struct.pack("<4sI", b"data", data_bytes % (1 << 32))


def rf64_head(data_bytes: int, rate: int = TARGET) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    long = struct.pack("<4sIQQQI", b"ds64", 28, data_bytes + 72, data_bytes, data_bytes // 2, 0)
    none = 0xFFFFFFFF
    return struct.pack("<4sI4s", b"RF64", none, b"WAVE") + long + form + struct.pack("<4sI", b"data", none)


def w64_head(data_bytes: int, rate: int = TARGET) -> bytes:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    form = b"fmt " + tail + struct.pack("<QHHIIHH", 40, 1, 1, rate, 2 * rate, 2, 16)
    riff = bytes.fromhex("726966662e91cf11a5d628db04c10000") + struct.pack("<Q", data_bytes + 104)
    return riff + b"wave" + tail + form + b"data" + tail + struct.pack("<Q", data_bytes + 24)


@pytest.mark.parametrize("make_head", [riff_head, rf64_head, w64_head])
def test_a_tone_beyond_4_gib_is_found(tmp_path: Path, make_head: Callable[[int], bytes]) -> None:
    """5 GiB that take no room on the disk: the header, and one second of a tone."""
    num_samples, place = 5 * 2**29, 4.5 * 2**29
    head, start = make_head(2 * num_samples), int(place)
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(TARGET) / TARGET)).astype("<i2")
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + 2 * start)
        file.write(tone.tobytes())
        file.truncate(len(head) + 2 * num_samples)
    assert os.stat(path).st_blocks * 512 < 1 << 20
    assert read_info(path).num_samples == num_samples
    assert np.array_equal(read_window(path, start, TARGET, TARGET), tone / np.float32(32768))
    assert not read_window(path, start - 100, 100, TARGET).any()
    there = resampled_length(start, TARGET, 16000)
    assert np.abs(read_window(path, there, 16000, 16000)).max() == pytest.approx(8000 / 32768, abs=0.01)
    assert len(read_window(path, num_samples - 10, 100, TARGET)) == 10


@pytest.mark.parametrize("claimed", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_header_that_was_never_finished_gives_all_samples(tmp_path: Path, claimed: int) -> None:
    samples = np.arange(3000, dtype="<i2")
    head = bytearray(riff_head(6000))
    head[40:44] = struct.pack("<I", claimed)
    (tmp_path / "a.wav").write_bytes(bytes(head) + samples.tobytes())
    assert np.array_equal(read_window(tmp_path / "a.wav", 0, -1, TARGET), samples / np.float32(32768))


# ------------------------------------------------------------------------ odd files


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(DataError, match=r"pipe\.wav: no regular file"):
        read_info(tmp_path / "pipe.wav")
    with pytest.raises(DataError, match=r"no regular file"):
        read_window(tmp_path / "pipe.wav", 0, 10, TARGET)


def test_a_name_that_is_no_text_is_read(tmp_path: Path) -> None:
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16")):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.full(100, 0.5), TARGET, format=container, subtype=subtype)
        name = os.fsdecode(b"caf\xe9\n'.wav")
        (tmp_path / name).write_bytes(buffer.getvalue())
        assert np.array_equal(read_window(tmp_path / name, 0, -1, TARGET), np.full(100, 0.5, np.float32))
        (tmp_path / name).unlink()


def test_a_flac_that_claims_more_than_its_bytes_can_hold_allocates_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", bursts(16000, 16000, 1), 16000, "FLAC", "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # 36 bits of total samples
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"promises 68719476735 samples, which \d+ bytes cannot hold"):
        read_window(path, 0, -1, TARGET)


def test_a_member_that_reaches_beyond_its_archive_is_an_error_and_not_its_neighbour(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", bursts(8000, 8000, 1), 8000, "WAV", "PCM_16")
    member = in_tar(path, tmp_path / "b.tar")
    assert member.size == path.stat().st_size
    cut = AudioSource(member.path, member.offset, 44 + 2 * 500, member.name)
    assert read_info(cut).num_samples == 500
    wrong = AudioSource(member.path, member.offset + 1, member.size, member.name)
    with pytest.raises(DataError, match=r"b\.tar/a\.wav: "):
        read_info(wrong)


def test_the_archive_of_a_member_is_the_tar_in_its_path(tmp_path: Path) -> None:
    assert source_of(tmp_path, "x/a.wav") == AudioSource(tmp_path / "x/a.wav")
    found = source_of(tmp_path, "x/b.tar/c/d.mp3", 512, 99)
    assert (found.path, found.offset, found.size) == (tmp_path / "x/b.tar", 512, 99)
    assert str(found) == str(tmp_path / "x/b.tar/c/d.mp3")
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "folder.tar/b.tar").touch()
    assert source_of(tmp_path, "folder.tar/b.tar/d.mp3", 512, 99).path == tmp_path / "folder.tar/b.tar"
    with pytest.raises(ValueError, match=r"names none"):
        source_of(tmp_path, "x/d.mp3", 512, 99)
