"""Long recordings of homes: whose they are, from ChildProject's table, from names, or not at all."""

import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import HomeCorpus, HomeDemoCorpus, SplitConfig, ValidationConfig
from audiorig.config_stages import cache_folder, corpus_root
from audiorig.data.audio import read_window
from audiorig.data.checks import check_file
from audiorig.data.corpora import audio_extensions, describe_clips
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.manifest import build_manifest, list_corpus, scan_corpus
from audiorig.data.split import group_ids
from audiorig.errors import ConfigError, DataError

RATE = 16000


def home(root: Path, **more: Any) -> HomeCorpus:
    return HomeCorpus(kind="home", root=str(root), **more)


def make(root: Path, *names: str) -> None:
    """Empty files: whose they are does not depend on what they hold."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def wav(num_samples: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", 2 * num_samples) + bytes(2 * num_samples)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def table(root: Path, text: str, name: str = "metadata/recordings.csv") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def clips(root: Path, **more: Any) -> pd.DataFrame:
    corpus = home(root, **more)
    scan = scan_corpus(corpus, root, list_corpus(corpus, root), 1)
    return describe_clips(corpus, root, scan).set_index("wav_path").sort_index()


def participants(root: Path, **more: Any) -> dict[str, str]:
    return clips(root, **more)["participant_id"].to_dict()


# ------------------------------------------------------------------------ from names


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^(?P<participant>[^/]+)/", {"P1/day1.wav": "P1", "P2/day1.FLAC": "P2", "loose_P3.wav": UNKNOWN}),
        (r"_(?P<participant>P\d+)", {"P1/day1.wav": UNKNOWN, "P2/day1.FLAC": UNKNOWN, "loose_P3.wav": "P3"}),
        (r"(?P<participant>P\d*)", {"P1/day1.wav": "P1", "P2/day1.FLAC": "P2", "loose_P3.wav": "P3"}),
        (r"loose|(?P<participant>P1)", {"P1/day1.wav": "P1", "P2/day1.FLAC": UNKNOWN, "loose_P3.wav": UNKNOWN}),
        (None, {"P1/day1.wav": UNKNOWN, "P2/day1.FLAC": UNKNOWN, "loose_P3.wav": UNKNOWN}),
    ],
)
def test_a_participant_is_what_the_pattern_finds_in_the_path(
    tmp_path: Path, pattern: str | None, expected: dict[str, str]
) -> None:
    make(tmp_path, *expected)
    assert participants(tmp_path, participant_pattern=pattern) == expected


def test_the_path_of_the_root_names_nobody(tmp_path: Path) -> None:
    root = tmp_path / "P9"
    make(root, "a.wav")
    assert participants(root, participant_pattern=r"(?P<participant>P\d)") == {"a.wav": UNKNOWN}


def test_unknown_participants_are_told_of_and_stay_groups_of_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "a.wav", "b.wav", "P1/c.wav")
    with caplog.at_level(logging.WARNING):
        found = clips(tmp_path, participant_pattern=r"^(?P<participant>[^/]+)/").reset_index()
    assert "2 of 3 recordings are of an unknown participant" in caplog.text
    assert sorted(group_ids(found, "participant")) == ["P1", "recording:a", "recording:b"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<participant>P", r"participant_pattern is '\(\?P<participant>P': no regular expression: missing \)"),
        (r"P(\d+)", r"participant_pattern is 'P\(\\\\d\+\)': expected a group \(\?P<participant>\.\.\.\)"),
        ("(?P<child>P)", "expected a group"),
    ],
)
def test_a_pattern_that_finds_nobody_is_refused_before_anything_is_listed(
    tmp_path: Path, pattern: str, message: str
) -> None:
    make(tmp_path, "a.wav")
    corpus = home(tmp_path, participant_pattern=pattern)
    with pytest.raises(ConfigError, match=message):
        corpus_root("visits", corpus)
    with pytest.raises(ConfigError, match=message):
        clips(tmp_path, participant_pattern=pattern)


# ------------------------------------------------------------------------ from ChildProject's table


def test_participants_and_labels_come_from_the_table(tmp_path: Path) -> None:
    make(tmp_path, "recordings/raw/c1/day1.wav", "recordings/raw/day2.wav", "recordings/raw/new.wav")
    table(
        tmp_path,
        "experiment,child_id,recording_filename,recording_device_type\n"
        "study,C1,c1/day1.wav,olympus\nstudy,C2,day2.wav,NA\nstudy,C3,NA,lena\nstudy,C3,,usb\n",
    )
    found = clips(tmp_path)
    assert found["participant_id"].to_dict() == {
        "recordings/raw/c1/day1.wav": "C1",
        "recordings/raw/day2.wav": "C2",
        "recordings/raw/new.wav": UNKNOWN,
    }
    assert found["recording_device_type"].tolist() == ["olympus", "", ""]
    assert found["recording_id"].tolist() == ["recordings/raw/c1/day1", "recordings/raw/day2", "recordings/raw/new"]


def test_the_table_goes_before_the_pattern_and_the_pattern_fills_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "P1/a.wav", "P2/b.wav", "P3/c.wav")
    table(tmp_path, "child_id,recording_filename\nC1,P1/a.wav\nNA,b.wav\n")
    with caplog.at_level(logging.WARNING):
        found = participants(tmp_path, participant_pattern=r"^(?P<participant>P\d)/")
    assert found == {"P1/a.wav": "C1", "P2/b.wav": "P2", "P3/c.wav": "P3"}
    assert "1 recordings have another child_id" in caplog.text
    assert participants(tmp_path, recordings="", participant_pattern=r"^(?P<participant>P\d)/")["P1/a.wav"] == "P1"


def test_a_recording_that_only_the_table_knows_is_missing(tmp_path: Path) -> None:
    (tmp_path / "recordings/raw").mkdir(parents=True)
    (tmp_path / "recordings/raw/a.wav").write_bytes(wav(RATE))
    table(tmp_path, "child_id,recording_filename\nC1,a.wav\nC2,b.wav\n")
    manifest = build_manifest(home(tmp_path), tmp_path).set_index("wav_path")
    assert manifest["participant_id"].to_dict() == {"recordings/raw/a.wav": "C1", "recordings/raw/b.wav": "C2"}
    assert manifest["duration_sec"].isna().tolist() == [False, True]
    report = check_file(tmp_path, "recordings/raw/b.wav", ValidationConfig())
    assert [problem.reason for problem in report.problems] == ["missing"]


def test_a_table_of_an_empty_folder_gives_missing_recordings_and_no_table_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio found; check root and extensions"):
        build_manifest(home(tmp_path), tmp_path)
    table(tmp_path, "child_id,recording_filename\nC1,a.wav\n")
    assert build_manifest(home(tmp_path), tmp_path)[["wav_path", "participant_id"]].values.tolist() == [
        ["recordings/raw/a.wav", "C1"]
    ]


def test_converted_copies_and_hidden_folders_hold_no_second_recording(tmp_path: Path) -> None:
    for name in (
        "raw/c1/a.wav",
        "converted/standard/c1/a.wav",
        "converted/vetted/c1/a.wav",
        "converted/standard/b.wav",
    ):
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recordings" / name).write_bytes(wav(100))
    make(tmp_path, ".git/annex/objects/x1/a.wav", "recordings/.old/a.wav")
    table(tmp_path, "child_id,recording_filename\nC1,c1/a.wav\n")
    assert participants(tmp_path) == {
        "recordings/raw/c1/a.wav": "C1",
        "recordings/converted/standard/b.wav": UNKNOWN,  # of nothing else: no copy
    }


def test_of_a_data_set_that_was_fetched_in_part_the_copy_that_is_here_is_meant(tmp_path: Path) -> None:
    make(tmp_path, "recordings/converted/standard/a.wav", "recordings/raw/nothing.txt")
    (tmp_path / "recordings/converted/standard/a.wav").write_bytes(wav(RATE))
    (tmp_path / "recordings/raw/a.wav").symlink_to("../../.git/annex/objects/none")  # as DataLad leaves it
    table(tmp_path, "child_id,recording_filename\nC1,a.wav\n")
    assert participants(tmp_path) == {"recordings/converted/standard/a.wav": "C1"}


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("child,recording_filename\nC,a.wav\n", ["a.wav"], "no column 'child_id' among child, recording_filename"),
        ("child_id,recording_filename\nC,a.wav\nD,a.wav\n", ["a.wav"], "'a.wav' stands in more than one row"),
        ("child_id,recording_filename\nC,a.wav\nD,x/a.wav\n", ["x/a.wav"], "two of its rows mean x/a.wav"),
        ("child_id,recording_filename\nC,a.wav\n", ["x/a.wav", "y/a.wav"], "'a.wav' may be x/a.wav or y/a.wav"),
        ("child_id,recording_filename\nC,../a.wav\n", ["a.wav"], r"'\.\./a\.wav' leads out of the corpus"),
        ("child_id,recording_filename\nC,/data/a.wav\n", ["a.wav"], "leads out of the corpus"),
        ("child_id,recording_filename\nC,b.wav\n", ["a.wav"], "none of its 1 recordings is here, e.g. 'b.wav'"),
        ("child_id,recording_filename,group_id\nC,a.wav,1\n", ["a.wav"], "'group_id' is a name that the project uses"),
        ("child_id,recording_filename\nC,a.wav,7\n", ["a.wav"], r"recordings\.csv: cannot be read"),
    ],
)
def test_a_table_that_cannot_be_meant_is_named(tmp_path: Path, text: str, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(wav(100))
    table(tmp_path, text)
    with pytest.raises(DataError, match=message):
        clips(tmp_path)


def test_the_end_of_a_name_is_no_name(tmp_path: Path) -> None:
    """``a.wav`` means no ``extra.wav``, though that ends so."""
    make(tmp_path, "extra-a.wav", "x/a.wav")
    table(tmp_path, "child_id,recording_filename\nC1,a.wav\n")
    assert participants(tmp_path) == {"extra-a.wav": UNKNOWN, "x/a.wav": "C1"}


# ------------------------------------------------------------------------ what is listed


def test_nothing_outside_root_becomes_a_recording(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "a.wav")
    make(outside, "b.wav")
    (root / "linked.wav").symlink_to(outside / "b.wav")
    (root / "folder").symlink_to(outside)
    manifest = build_manifest(home(root), root).set_index("wav_path")
    assert manifest["problem"].dropna().to_dict() == {"linked.wav": "outside_root", "folder": "outside_root"}
    assert manifest["duration_sec"].isna().all()


def test_only_allowed_extensions_are_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "b.FLAC", "c.mp3", "d.w64", "e.aif", "f.its")
    assert sorted(participants(tmp_path)) == ["a.wav", "b.FLAC", "d.w64", "e.aif"]
    assert sorted(participants(tmp_path, extensions=(".mp3",))) == ["c.mp3"]
    assert audio_extensions(HomeDemoCorpus(kind="home-demo")) == (".wav", ".flac")


def rf64_head(data_bytes: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    long = struct.pack("<4sIQQQI", b"ds64", 28, data_bytes + 72, data_bytes, data_bytes // 2, 0)
    none = 0xFFFFFFFF
    return struct.pack("<4sI4s", b"RF64", none, b"WAVE") + long + form + struct.pack("<4sI", b"data", none)


def w64_head(data_bytes: int) -> bytes:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    form = b"fmt " + tail + struct.pack("<QHHIIHH", 40, 1, 1, RATE, 2 * RATE, 2, 16)
    riff = bytes.fromhex("726966662e91cf11a5d628db04c10000") + struct.pack("<Q", data_bytes + 104)
    return riff + b"wave" + tail + form + b"data" + tail + struct.pack("<Q", data_bytes + 24)


@pytest.mark.parametrize(("make_head", "extension"), [(rf64_head, ".wav"), (rf64_head, ".rf64"), (w64_head, ".w64")])
def test_a_recording_over_4_gib_is_listed_described_and_read_at_its_end(
    tmp_path: Path, make_head: Callable[[int], bytes], extension: str
) -> None:
    """5 GiB, 46 hours, that take no room on the disk but for the last second."""
    num_samples = 5 * 2**29
    path, head = tmp_path / f"P1{extension}", make_head(2 * num_samples)
    last = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype("<i2")
    with path.open("wb") as file:
        file.write(head)
        file.seek(len(head) + 2 * (num_samples - RATE))
        file.write(last.tobytes())
    assert os.stat(path).st_size > 5 << 30 and os.stat(path).st_blocks * 512 < 1 << 20
    corpus = home(tmp_path, participant_pattern=r"(?P<participant>P\d)")
    (row,) = build_manifest(corpus, tmp_path).to_dict("records")
    assert (row["participant_id"], row["duration_sec"], row["codec"]) == ("P1", num_samples / RATE, "pcm_s16")
    assert np.array_equal(read_window(path, num_samples - RATE, 2 * RATE, RATE), last / np.float32(32768))


# ------------------------------------------------------------------------ where things lie


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_RECORDINGS", str(tmp_path))
    assert corpus_root("visits", HomeCorpus(kind="home", root="${HOME_RECORDINGS}")) == tmp_path
    assert corpus_root("home", HomeDemoCorpus(kind="home-demo")) == Path("data/home")
    monkeypatch.delenv("HOME_RECORDINGS")
    with pytest.raises(ConfigError, match="the variable HOME_RECORDINGS is not set"):
        corpus_root("visits", HomeCorpus(kind="home", root="${HOME_RECORDINGS}"))


def test_copies_lie_outside_results_and_outside_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audio").mkdir()
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    root = tmp_path / "audio"
    assert cache_folder("visits", home(root), 16000) == Path("cache/visits/16000")
    assert cache_folder("visits", home(root, cache_root="$SCRATCH/c"), 8000) == tmp_path / "scratch/c/visits/8000"
    with pytest.raises(ConfigError, match=r"which lies below results"):
        cache_folder("visits", home(root, cache_root="results/cache"), 16000)
    with pytest.raises(ConfigError, match=r"below the corpus' root .*set corpora\.visits\.cache_root"):
        cache_folder("visits", home(root, cache_root=str(root / "copies")), 16000)
    with pytest.raises(ConfigError, match=r"NOWHERE is not set; export NOWHERE=/where/there/is/room"):
        cache_folder("visits", home(root, cache_root="$NOWHERE/c"), 16000)


def test_the_settings_that_are_delivered_are_those_of_their_kinds() -> None:
    from audiorig.config_files import Settings

    settings = Settings({}, Path(__file__).parents[3] / "config")
    generated, own = settings.corpus("home"), settings.corpus("home-recordings")
    assert isinstance(generated, HomeDemoCorpus) and generated.private
    assert isinstance(own, HomeCorpus) and own.private
    assert generated.splits["by-participant"] == SplitConfig(column="side", labels=("language",))
    assert own.splits["by-participant"].group == "participant"
