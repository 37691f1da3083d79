"""The 64 kinds of odd files that corpora are known to hold: each ends in a reason, or is fine.

All lie in one folder, which goes through listing, manifest and validation as any corpus does. The
table of outcomes is written to the file that AUDIORIG_ODD_FILES names.
"""

import os
import resource
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import FolderCorpus, ValidationConfig
from audiorig.data.isolation import Limits
from audiorig.data.manifest import build_manifest
from audiorig.data.validate import validate_corpus

RATE = 16000
LIMITS = Limits(base_sec=5, sec_per_mb=0.01, patience=1)  # 5 seconds each, 45 for that of 4 GiB
Make = Callable[[Path], object]


def tone(channels: int = 1, rate: int = RATE) -> np.ndarray:
    time_sec = np.arange(rate)[:, None] / rate
    noise = 0.01 * np.random.default_rng(0).standard_normal((rate, channels))
    return (0.3 * np.sin(2 * np.pi * 220 * time_sec) + noise).astype(np.float32)


def audio(samples: np.ndarray | None = None, rate: int = RATE, **options: str) -> Make:
    """A file that libsndfile writes."""
    return lambda path: soundfile.write(path, tone() if samples is None else samples, rate, **options)


def raw_bytes(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def changed(edit: Callable[[bytes], bytes], **options: str) -> Make:
    """A good file, whose bytes were changed."""

    def make(path: Path) -> None:
        soundfile.write(path, tone(), RATE, **{"format": "WAV", **options})
        path.write_bytes(edit(path.read_bytes()))

    return make


def field(offset: int, form: str, value: int) -> Make:
    """A good WAV, one field of whose header was changed."""
    packed = struct.pack(form, value)
    return changed(lambda raw: raw[:offset] + packed + raw[offset + len(packed) :])


def cut(share: float, **options: str) -> Make:
    return changed(lambda raw: raw[: int(share * len(raw))], **options)


def with_sample(value: float) -> Make:
    samples = tone()
    samples[1000] = value
    return audio(samples, subtype="FLOAT")


def flac_claiming(num_samples: int) -> Make:
    """The total number of samples is the last 36 bits of bytes 18 to 25 of STREAMINFO."""

    def edit(raw: bytes) -> bytes:
        (bits,) = struct.unpack(">Q", raw[18:26])
        return raw[:18] + struct.pack(">Q", bits >> 36 << 36 | num_samples) + raw[26:]

    return changed(edit, format="FLAC")


def wrapped(path: Path) -> None:
    """4 GiB and a second of samples; the 32-bit size counts only the second. The zeros take no disk."""
    size = 2 * RATE
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 8, RATE, 16 * RATE, 16, 16) + b"data" + struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(header + 1000 * np.ones(RATE, "<i2").tobytes())
        file.truncate(44 + (1 << 32) + size)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def locked(path: Path) -> None:
    audio()(path)
    path.chmod(0)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its address may be 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def renamed(path: Path) -> None:
    plain = path.with_name("plain")
    audio(format="WAV")(plain)
    plain.rename(path)


RANDOM = np.random.default_rng(0).bytes(20_000)
EMPTY_CHUNKS = b"RIFF\xff\xff\xff\x7fWAVE" + 1_000_000 * b"JUNK\0\0\0\0"
HALF_ZERO = changed(lambda raw: raw[: len(raw) // 2] + bytes(40) + raw[len(raw) // 2 + 40 :], format="FLAC")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * b"0" + b"\nsize 32044\n"
ID3 = b"ID3\x03\0\0\0\0\x07\x76" + bytes(1014)
NO = "unreadable_header"

# What it is: its name, how it is made, and the reasons that it must end in.
ODD: dict[str, tuple[str, Make, set[str]]] = {
    # no audio
    "zero bytes": ("001.wav", raw_bytes(b""), {NO}),
    "text": ("002.wav", raw_bytes(b"The quick brown fox\n" * 99), {NO}),
    "a web page": ("003.wav", raw_bytes(b"<!DOCTYPE html><html><body>404</body></html>"), {NO}),
    "a Git LFS pointer": ("004.wav", raw_bytes(LFS), {NO}),
    "a folder": ("005.wav", Path.mkdir, {"not_regular"}),
    "random bytes": ("006.wav", raw_bytes(RANDOM), {NO}),
    "a link to itself": ("007.wav", loop, {"link_loop"}),
    "a link to nothing": ("008.wav", dangling, {"missing"}),
    "no permission": ("009.wav", locked, {"permission"} if os.geteuid() else set()),
    "a pipe": ("010.wav", os.mkfifo, {"not_regular"}),
    "a socket": ("011.wav", unix_socket, {"not_regular"}),
    # cut
    "cut at byte 4": ("012.wav", changed(lambda raw: raw[:4]), {NO}),
    "cut at byte 12": ("013.wav", changed(lambda raw: raw[:12]), {NO}),
    "cut at byte 20": ("014.wav", changed(lambda raw: raw[:20]), {NO}),
    "cut at byte 36": ("015.wav", changed(lambda raw: raw[:36]), {NO}),
    "cut at byte 43": ("016.wav", changed(lambda raw: raw[:43]), {"zero_frames"}),
    "cut at byte 44": ("017.wav", changed(lambda raw: raw[:44]), {"zero_frames", "truncated"}),
    "cut at byte 45": ("018.wav", changed(lambda raw: raw[:45]), {"zero_frames", "truncated"}),
    "cut in the data": ("019.wav", cut(0.5), {"truncated"}),
    "FLAC cut": ("020.flac", cut(0.5, format="FLAC"), {"decode_error"}),
    "FLAC with a hole": ("021.flac", HALF_ZERO, {"decode_error"}),
    "MP3 cut": ("022.mp3", cut(0.5, format="MP3"), {"truncated"}),
    "Vorbis cut": ("023.ogg", cut(0.5, format="OGG"), {"zero_frames"}),
    "Opus cut": ("024.ogg", cut(0.5, format="OGG", subtype="OPUS"), {NO}),
    "RF64 cut": ("025.wav", cut(0.5, format="RF64"), {"truncated"}),
    "W64 cut": ("026.w64", cut(0.5, format="W64"), {"truncated"}),
    # headers that do not say the truth
    "data size 0": ("027.wav", field(40, "<I", 0), set()),
    "data size unknown": ("028.wav", field(40, "<I", 0xFFFFFFFF), set()),
    "2 GiB claimed": ("029.wav", field(40, "<I", 0x7FFFFFFE), {"truncated"}),
    "block align 0": ("030.wav", field(32, "<H", 0), set()),
    "rate 0": ("031.wav", field(24, "<I", 0), {NO}),
    "rate of 4 GHz": ("032.wav", field(24, "<I", 0xFFFFFFFF), {"rate_unusual", "too_short"}),
    "no channel": ("033.wav", field(22, "<H", 0), {NO}),
    "65535 channels": ("034.wav", field(22, "<H", 65535), {NO}),
    "a million empty chunks": ("035.wav", raw_bytes(EMPTY_CHUNKS), {NO}),
    "FLAC claiming 2^36 - 1 samples": ("036.flac", flac_claiming(2**36 - 1), {NO}),
    "FLAC claiming no samples": ("037.flac", flac_claiming(0), {NO}),
    "over 4 GiB with a wrapped size": ("038.wav", wrapped, {"size_wrap", "near_silent", "multichannel"}),
    # samples
    "NaN": ("039.wav", with_sample(float("nan")), {"non_finite"}),
    "infinity": ("040.wav", with_sample(float("inf")), {"non_finite"}),
    "float peak 3": ("041.wav", audio(10 * tone(), subtype="FLOAT"), {"clipping"}),
    "one sample of 1e38": ("042.wav", with_sample(1e38), {"dc_offset"}),
    "digital silence": ("043.wav", audio(0 * tone()), {"near_silent"}),
    # kinds that are fine
    "8 bit": ("044.wav", audio(subtype="PCM_U8"), set()),
    "24 bit": ("045.wav", audio(subtype="PCM_24"), set()),
    "32 bit": ("046.wav", audio(subtype="PCM_32"), set()),
    "float64": ("047.wav", audio(subtype="DOUBLE"), set()),
    "mu-law": ("048.wav", audio(subtype="ULAW"), set()),
    "IMA ADPCM": ("049.wav", audio(subtype="IMA_ADPCM"), set()),
    "MS ADPCM": ("050.wav", audio(subtype="MS_ADPCM"), set()),
    "8 kHz": ("051.wav", audio(tone(rate=8000), 8000), set()),
    "192 kHz": ("052.wav", audio(tone(rate=192000), 192000), set()),
    "6 channels": ("053.wav", audio(tone(6)), {"multichannel"}),
    "RF64": ("054.wav", audio(format="RF64"), set()),
    "W64": ("055.w64", audio(format="W64"), set()),
    "WAVEX": ("056.wav", audio(format="WAVEX"), set()),
    "AIFF named WAV": ("057.wav", audio(format="AIFF"), set()),
    "MP3 named WAV, with a tag": ("058.wav", changed(lambda raw: ID3 + raw, format="MP3"), set()),
    "WAV named FLAC": ("059.flac", audio(format="WAV"), set()),
    # names
    "a line break in the name": ("060\nx.wav", audio(), set()),
    "spaces and quotes": ("061 \"x\" 'y' $z.wav", audio(), set()),
    "a leading dash": ("-062.wav", audio(), set()),
    "decomposed unicode": ("063 e\u0301.wav", audio(), set()),
    "a name that is no UTF-8": (os.fsdecode(b"064\xff.wav"), renamed, {"bad_name"}),
}


def shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, float]:
    """What it is, its reasons and its measured duration, and the seconds that all of it took."""
    root = tmp_path_factory.mktemp("odd")
    for name, make, _ in ODD.values():
        make(Path(f"{root}/{name}"))
    started = time.monotonic()
    corpus = FolderCorpus(kind="folder", root=str(root), extensions=(".wav", ".flac", ".mp3", ".ogg", ".w64"))
    manifest = build_manifest(corpus, root)
    problems, stats, _ = validate_corpus(manifest, root, ValidationConfig(), limits=LIMITS)
    took = time.monotonic() - started
    reasons = problems.groupby("wav_path")["reason"].agg(lambda values: " ".join(sorted(values)))
    measured = stats.set_index("wav_path")["measured_duration_sec"]
    names = [shown(name) for name, _, _ in ODD.values()]
    table = pd.DataFrame(
        {
            "what": list(ODD),
            "reasons": [reasons.get(name, "") for name in names],
            "measured_duration_sec": [measured.get(name) for name in names],
            "is_listed": [name in set(manifest["wav_path"]) for name in names],
            "details": [" | ".join(problems["detail"][problems["wav_path"] == name]) for name in names],
        }
    )
    table.to_csv(os.environ.get("AUDIORIG_ODD_FILES", root / "outcomes.csv"), index=False)
    (root / "009.wav").chmod(0o600)
    (root / "038.wav").unlink()
    return table, took


def test_there_are_64() -> None:
    assert len(ODD) == len({name for name, _, _ in ODD.values()}) == 64


@pytest.mark.parametrize("what", ODD)
def test_each_odd_file_ends_in_its_reason(outcomes: tuple[pd.DataFrame, float], what: str) -> None:
    table, _ = outcomes
    row = table.set_index("what").loc[what]
    assert row["is_listed"]
    assert set(row["reasons"].split()) == ODD[what][2], row["details"]


def test_none_takes_long(outcomes: tuple[pd.DataFrame, float]) -> None:
    """One that takes longer than its limit would be a decode_error, twice after that time."""
    assert not outcomes[0]["details"].str.contains("in time|ended the decoder").any()
    assert outcomes[1] < 60


def test_memory_stays_bounded(outcomes: tuple[pd.DataFrame, float]) -> None:
    """Of children that have ended; this very process, which they were forked from, is part of the figure."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < own + 500_000  # KiB
