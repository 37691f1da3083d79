"""Validation: each kind of broken file gets its reason, good ones none, and nothing is touched."""

import errno
import io
import os
import struct
import tarfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import FolderCorpus, Reason, SplitConfig, ValidationConfig
from audiorig.data.checks import Clip, check_clip, check_file
from audiorig.data.manifest import build_manifest, write_table
from audiorig.data.reasons import MEANINGS
from audiorig.data.split import split_manifest
from audiorig.data.streams import BLOCK_VALUES
from audiorig.data.validate import excluded_paths, validate_corpus
from audiorig.errors import DataError

RATE = 16000
BOUNDS = ValidationConfig()


def ends_well(check: Callable[[], None], seconds: float = 5) -> bool:
    """Run a check in a process of its own, which can be ended if it waits for ever."""
    process = get_context("fork").Process(target=check)
    process.start()
    process.join(seconds)
    is_waiting = process.is_alive()
    process.kill()
    process.join()
    return not is_waiting and process.exitcode == 0


def sound(num_samples: int = RATE, channels: int = 1) -> np.ndarray:
    samples = 0.1 * np.random.default_rng(0).standard_normal((num_samples, channels))
    return np.clip(samples, -0.9, 0.9).astype(np.float32)


def write(path: Path, samples: np.ndarray | None = None, rate: int = RATE, **more: str) -> bytes:
    soundfile.write(path, sound() if samples is None else samples, rate, **more)
    return path.read_bytes()


def reasons(path: Path) -> set[str]:
    problems, _ = check_file(path.parent, path.name, BOUNDS)
    return {problem.reason for problem in problems}


def cut(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:num_bytes])


def float_with(path: Path, **values: float) -> None:
    samples = sound()
    samples[100] = values["value"]
    write(path, samples, subtype="FLOAT")


MADE: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), {"unreadable_header"}),
    "a text": (lambda path: path.write_text("The quick brown fox.\n" * 100), {"unreadable_header"}),
    "absent": (lambda path: None, {"missing"}),
    "broken link": (lambda path: path.symlink_to(path.with_name("gone")), {"missing"}),
    "a folder": (lambda path: path.mkdir(), {"not_regular"}),
    "no samples": (lambda path: write(path, sound(0)), {"zero_frames"}),
    "NaN": (lambda path: float_with(path, value=float("nan")), {"non_finite"}),
    "infinity": (lambda path: float_with(path, value=float("inf")), {"non_finite"}),
    "a quarter of a second": (lambda path: write(path, sound(RATE // 4)), {"too_short"}),
    "near silent": (lambda path: write(path, 1e-3 * sound()), {"near_silent"}),
    "digital silence": (lambda path: write(path, 0 * sound()), {"near_silent"}),
    "clipped": (lambda path: write(path, 20 * sound()), {"clipping"}),
    "an offset": (lambda path: write(path, sound() + 0.06), {"dc_offset"}),
    "a negative offset": (lambda path: write(path, sound() - 0.06), {"dc_offset"}),
    "four channels": (lambda path: write(path, sound(channels=4)), {"multichannel"}),
    "4 kHz": (lambda path: write(path, rate=4000), {"rate_unusual"}),
    "more than 192 kHz": (lambda path: write(path, sound(200000), rate=200000), {"rate_unusual"}),
}


@pytest.mark.parametrize("what", MADE)
def test_each_kind_of_file_gets_its_reason_and_no_other(tmp_path: Path, what: str) -> None:
    make, expected = MADE[what]
    make(tmp_path / "x.wav")
    assert reasons(tmp_path / "x.wav") == expected


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")

    def check() -> None:
        assert reasons(tmp_path / "x.wav") == {"not_regular"}

    assert ends_well(check)


LISTED = ("not_regular", "permission", "bad_name", "outside_root", "link_loop", "unreadable_folder")


def test_every_reason_is_made_by_some_test() -> None:
    made = set().union(*(expected for _, expected in MADE.values()), LISTED)
    own_tests = {"truncated", "decode_error", "codec_not_allowed", "size_wrap", "too_long"}
    assert set(MEANINGS) - made == own_tests


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(get_args(Reason))
    assert all(meaning.severity == "error" for meaning in MEANINGS.values() if not meaning.is_readable)


@pytest.mark.parametrize("problem", LISTED)
def test_what_listing_found_is_passed_on_and_nothing_is_opened(tmp_path: Path, problem: str) -> None:
    os.mkfifo(tmp_path / "x.wav")
    report = check_clip(tmp_path, BOUNDS, Clip("x.wav", problem=problem))
    assert [found.reason for found in report.problems] == [problem]
    assert report.stats is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path / "x.wav")
    (tmp_path / "x.wav").chmod(0)
    assert reasons(tmp_path / "x.wav") == {"permission"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, "permission"),
        (errno.ELOOP, "link_loop"),
        (errno.ENOENT, "missing"),
        (errno.EIO, "unreadable_header"),
    ],
)
def test_what_the_system_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    write(tmp_path / "x.wav")

    def refuse(path: object, *_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    problems, _ = check_file(tmp_path, "x.wav", BOUNDS)
    assert [(problem.reason, problem.detail) for problem in problems] == [(reason, os.strerror(code))]


def test_codecs_can_be_refused_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.ogg")
    write(tmp_path / "x.flac")
    bounds = ValidationConfig(allowed_codecs=("pcm_s16", "flac"))
    assert not check_file(tmp_path, "x.flac", bounds).problems
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    problems, stats = check_file(tmp_path, "x.ogg", bounds)
    assert [(problem.reason, problem.detail) for problem in problems] == [("codec_not_allowed", "vorbis")]
    assert stats is None


# ------------------------------------------------------------------------ good files


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.wav", {"subtype": "PCM_16"}),
        ("x.wav", {"subtype": "PCM_24"}),
        ("x.wav", {"subtype": "PCM_U8"}),
        ("x.wav", {"subtype": "FLOAT"}),
        ("x.wav", {"format": "WAVEX"}),
        ("x.wav", {"format": "RF64"}),
        ("x.flac", {}),
        ("x.ogg", {}),
        ("x.aiff", {}),
    ],
)
def test_good_files_of_many_formats_have_no_problem(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    write(tmp_path / name, **options)
    assert reasons(tmp_path / name) == set()


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


@pytest.mark.parametrize("odd", [0, 1])
def test_chunks_around_the_data_are_no_problem(tmp_path: Path, odd: int) -> None:
    raw = write(tmp_path / "x.wav")
    comment = chunk(b"LIST", b"INFO" + b"c" * (10 + odd))
    body = raw[12:36] + comment + raw[36:] + comment
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    assert reasons(tmp_path / "x.wav") == set()
    cut(tmp_path / "x.wav", 36 + len(comment) + 8 + RATE)  # half of the data
    assert reasons(tmp_path / "x.wav") == {"truncated"}


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFF000])
def test_a_size_that_a_recorder_did_not_know_is_no_problem(tmp_path: Path, size: int) -> None:
    """ffmpeg writes 0xFFFFFFFF into a pipe, SoX 0x7FFFF000 (its MS_UNSPEC), others 0x7FFFFFFF."""
    raw = write(tmp_path / "x.wav")
    (tmp_path / "x.wav").write_bytes(raw[:40] + struct.pack("<I", size) + raw[44:])
    assert reasons(tmp_path / "x.wav") == set()


# ------------------------------------------------------------------------ lossy files


def test_an_mp3_that_was_cut_is_truncated_though_its_header_says_otherwise(tmp_path: Path) -> None:
    """A reader that seeks after every block fills the second half with what it has read before."""
    raw = write(tmp_path / "x.mp3", sound(5 * RATE))
    assert reasons(tmp_path / "x.mp3") == set()
    cut(tmp_path / "x.mp3", len(raw) // 2)
    problems, stats = check_file(tmp_path, "x.mp3", BOUNDS)
    assert [problem.reason for problem in problems] == ["truncated"]
    assert stats is not None
    assert stats["declared_duration_sec"] == 5
    assert stats["measured_duration_sec"] == pytest.approx(2.5, abs=0.2)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_is_accepted(tmp_path: Path, subtype: str) -> None:
    tone = 0.1 * np.sin(np.arange(RATE) / 5)
    write(tmp_path / "x.ogg", tone, format="OGG", subtype=subtype)
    problems, stats = check_file(tmp_path, "x.ogg", BOUNDS)
    assert not problems
    assert stats is not None
    assert stats["rms_dbfs"] == pytest.approx(-23, abs=0.5)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.mp3"])
def test_a_member_of_an_archive_is_like_a_file(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for member in ("before.bin", name, "behind.bin"):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with tarfile.open(tmp_path / "shard.tar") as archive:
        offset = archive.getmember(name).offset_data
    alone = check_file(tmp_path, name, BOUNDS)
    member = check_clip(tmp_path, BOUNDS, Clip(f"shard.tar/{name}", 0, None, offset, len(content)))
    assert alone.stats is not None
    assert member.stats == {**alone.stats, "wav_path": f"shard.tar/{name}"}
    # An archive that was cut: only the part of the member that is there counts.
    cut(tmp_path / "shard.tar", offset + len(content) // 2)
    member = check_clip(tmp_path, BOUNDS, Clip(f"shard.tar/{name}", 0, None, offset, len(content)))
    assert {problem.reason for problem in member.problems} <= {"truncated", "decode_error"}
    assert member.problems


# ------------------------------------------------------------------------ files that were cut


@pytest.mark.parametrize("num_bytes", [1, 4, 11, 12, 16, 20, 30, 36, 40, 43, 44, 45])
def test_a_file_that_ends_in_its_header_is_left_out(tmp_path: Path, num_bytes: int) -> None:
    write(tmp_path / "x.wav")
    cut(tmp_path / "x.wav", num_bytes)
    found = reasons(tmp_path / "x.wav")
    assert found & {"unreadable_header", "zero_frames"}
    assert found <= {"unreadable_header", "zero_frames", "truncated"}
    assert ("truncated" in found) == (num_bytes >= 44)


@pytest.mark.parametrize("lost_bytes", [1, 2, 1000, RATE])
def test_a_file_that_ends_in_its_data_is_truncated_by_so_many_bytes(tmp_path: Path, lost_bytes: int) -> None:
    raw = write(tmp_path / "x.wav")
    cut(tmp_path / "x.wav", len(raw) - lost_bytes)
    problems, stats = check_file(tmp_path, "x.wav", BOUNDS)
    assert [(problem.reason, problem.value) for problem in problems] == [("truncated", lost_bytes)]
    assert stats is not None
    assert stats["measured_duration_sec"] == (RATE - (lost_bytes + 1) // 2) / RATE


def test_a_long_recording_that_was_cut_is_truncated(tmp_path: Path) -> None:
    """Beyond 4 GiB recorders write RF64, whose size stands in the ds64 chunk."""
    raw = write(tmp_path / "x.wav", format="RF64")
    cut(tmp_path / "x.wav", len(raw) // 2)
    assert reasons(tmp_path / "x.wav") == {"truncated"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_flac_that_was_cut_cannot_be_decoded(tmp_path: Path, share: float) -> None:
    raw = write(tmp_path / "x.flac")
    cut(tmp_path / "x.flac", int(share * len(raw)))
    found = reasons(tmp_path / "x.flac")
    assert found
    assert found <= {"decode_error", "truncated"}


def test_a_flac_with_a_hole_cannot_be_decoded(tmp_path: Path) -> None:
    raw = write(tmp_path / "x.flac")
    middle = len(raw) // 2
    (tmp_path / "x.flac").write_bytes(raw[:middle] + b"\0" * 300 + raw[middle + 300 :])
    assert reasons(tmp_path / "x.flac") == {"decode_error"}


def test_any_random_bytes_behind_a_header_end_in_a_reason(tmp_path: Path) -> None:
    raw = write(tmp_path / "x.wav", sound(200))
    generator = np.random.default_rng(0)
    for number in range(300):
        broken = bytearray(raw)
        for position in generator.integers(0, 44, 3):
            broken[position] = generator.integers(0, 256)
        (tmp_path / "x.wav").write_bytes(bytes(broken))
        assert reasons(tmp_path / "x.wav"), (number, bytes(broken[:44]))  # 200 samples are too short at least


# ------------------------------------------------------------------------ numbers


def test_levels_of_a_known_signal(tmp_path: Path) -> None:
    """A square wave of -6.02 dBFS with an offset: RMS is peak. Longer than one block."""
    num = BLOCK_VALUES + 2 * RATE
    samples = np.where(np.arange(num) % 2 == 0, 0.5, -0.5).astype(np.float32)
    write(tmp_path / "x.wav", samples, subtype="FLOAT")
    _, stats = check_file(tmp_path, "x.wav", BOUNDS)
    assert stats is not None
    assert stats["rms_dbfs"] == pytest.approx(20 * np.log10(0.5))
    assert stats["peak_dbfs"] == pytest.approx(20 * np.log10(0.5))
    assert stats["dc_offset"] == pytest.approx(0, abs=1e-9)
    assert stats["clipping_share"] == 0
    assert stats["measured_duration_sec"] == num / RATE
    samples[: num // 4] = 1.0
    write(tmp_path / "x.wav", samples, subtype="FLOAT")
    _, stats = check_file(tmp_path, "x.wav", BOUNDS)
    assert stats is not None
    assert stats["clipping_share"] == (num // 4) / num
    assert stats["peak_dbfs"] == 0


def test_full_scale_of_16_bits_counts_as_clipped_on_both_sides(tmp_path: Path) -> None:
    samples = np.array([32767, -32768, 32766, -32767, 30000, 0, 0, 0] * 4000, dtype=np.int16)
    write(tmp_path / "x.wav", samples)
    _, stats = check_file(tmp_path, "x.wav", BOUNDS)
    assert stats is not None
    assert stats["clipping_share"] == pytest.approx(3 / 8)  # 32766 is one step below


def test_bounds_are_those_that_were_given(tmp_path: Path) -> None:
    write(tmp_path / "x.wav")
    strict = ValidationConfig(min_duration_sec=2, near_silent_dbfs=-10, max_sample_rate_hz=8000)
    problems, _ = check_file(tmp_path, "x.wav", strict)
    assert {(problem.reason, problem.bound) for problem in problems} == {
        ("too_short", 2),
        ("near_silent", -10),
        ("rate_unusual", 8000),
    }


def test_a_file_beyond_the_longest_duration_is_too_long(tmp_path: Path) -> None:
    write(tmp_path / "x.wav", sound(3 * RATE))
    for longest, expected in ((2.5, [("too_long", 3.0, 2.5)]), (3.0, []), (None, [])):
        problems, _ = check_file(tmp_path, "x.wav", ValidationConfig(max_duration_sec=longest))
        assert [(problem.reason, problem.value, problem.bound) for problem in problems] == expected


# ------------------------------------------------------------------------ a whole corpus


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Nine good files, one that is only remarkable, and four that are to be left out."""
    root = tmp_path / "corpus"
    root.mkdir()
    for index in range(9):
        write(root / f"good-{index}.wav")
    write(root / "loud.wav", 20 * sound(channels=2))
    write(root / "short.wav", sound(100))
    write(root / "cut.wav")
    cut(root / "cut.wav", 2000)
    (root / "folder.wav").mkdir()
    (root / "link.wav").symlink_to(root / "gone.wav")
    return root


def validated(root: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict]:
    manifest = build_manifest(FolderCorpus(kind="folder", root=str(root)), root)
    return manifest, *validate_corpus(manifest, root, BOUNDS)


def test_only_errors_leave_a_file_out(mixed: Path) -> None:
    manifest, problems, _, summary = validated(mixed)
    assert excluded_paths(problems) == {"short.wav", "cut.wav", "folder.wav", "link.wav"}
    severity = problems[problems["wav_path"] == "loud.wav"].set_index("reason")["severity"].to_dict()
    assert severity == {"clipping": "warning", "multichannel": "note"}
    assert (summary["num_files"], summary["num_excluded"]) == (14, 4)
    assert summary["hours_excluded"] < summary["hours"]
    counted = {(row["severity"], row["reason"]): row["num_files"] for row in summary["reasons"]}
    assert (counted[("error", "not_regular")], counted[("error", "missing")]) == (1, 1)
    sides = split_manifest(manifest, problems, SplitConfig(shares=(0.4, 0.3, 0.3)), "x")
    kept = {path for rows in sides.values() for path in rows["wav_path"]}
    assert kept == {*(f"good-{index}.wav" for index in range(9)), "loud.wav"}


def test_the_corpus_is_only_read(mixed: Path) -> None:
    def state() -> dict[str, tuple[int, int, int, bytes]]:
        found = {}
        for path in [mixed, *sorted(mixed.rglob("*"))]:
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, content)
        return found

    before = state()
    validated(mixed)
    assert state() == before


def test_statistics_have_a_row_for_each_file_that_was_read(mixed: Path) -> None:
    _, _, stats, _ = validated(mixed)
    assert set(stats["wav_path"]) == {*(f"good-{index}.wav" for index in range(9)), "loud.wav", "short.wav", "cut.wav"}


def test_the_number_of_workers_changes_nothing(mixed: Path) -> None:
    manifest = build_manifest(FolderCorpus(kind="folder", root=str(mixed)), mixed)
    tables = []
    for number in (1, 2, 8):
        problems, stats, summary = validate_corpus(manifest, mixed, BOUNDS, num_workers=number)
        write_table(problems, mixed.parent / "problems.parquet")
        write_table(stats, mixed.parent / "stats.parquet")
        files = [(mixed.parent / name).read_bytes() for name in ("problems.parquet", "stats.parquet")]
        tables.append((files, summary))
    assert tables[0] == tables[1] == tables[2]


def test_a_split_can_choose_what_it_leaves_out(mixed: Path) -> None:
    _, problems, _, _ = validated(mixed)
    unreadable = {"folder.wav", "link.wav"}
    assert excluded_paths(problems, ()) == unreadable
    assert excluded_paths(problems, ("clipping",)) == unreadable | {"loud.wav"}
    assert excluded_paths(problems, ("truncated", "too_short")) == unreadable | {"cut.wav", "short.wav"}
    manifest, *_ = validated(mixed)
    settings = SplitConfig(shares=(0.4, 0.3, 0.3), exclude_reasons=("multichannel",))
    sides = split_manifest(manifest, problems, settings, "x")
    kept = {path for rows in sides.values() for path in rows["wav_path"]}
    assert "loud.wav" not in kept
    assert {"short.wav", "cut.wav"} <= kept


def test_an_unknown_reason_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"exclude_reasons(.|\n)*'near_silent', 'size_wrap'"):
        SplitConfig(exclude_reasons=("too_loud",))


def test_a_corpus_without_a_good_file_says_so_only_when_it_is_split(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    manifest, problems, stats, summary = validated(tmp_path)
    assert summary["num_excluded"] == 1
    write_table(problems, tmp_path / "invalid_files.parquet")
    write_table(stats, tmp_path / "audio_stats.parquet")
    with pytest.raises(DataError, match="validation left out every file"):
        split_manifest(manifest, problems, SplitConfig(), "x")


def test_a_corpus_without_a_problem_gives_an_empty_table(tones) -> None:
    manifest = build_manifest(FolderCorpus(kind="folder", root=str(tones.root)), tones.root)
    problems, stats, summary = validate_corpus(manifest, tones.root, BOUNDS)
    assert problems.empty
    assert list(problems.columns) == ["wav_path", "reason", "severity", "detail", "value", "bound"]
    assert summary["reasons"] == []
    assert len(stats) == summary["num_files"] == 36


def test_the_documentation_lists_every_reason_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [
        f"| `{reason}` | {meaning.severity} | {meaning.when} | {meaning.advice} |"
        for reason, meaning in MEANINGS.items()
    ]
    assert [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 5] == rows
