"""Labelled stretches: every time and name is checked, and what is wrong is found by its row."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from audiorig.config import FolderCorpus, HomeCorpus, HomeDemoCorpus
from audiorig.data.segments import annotations_path, read_segments
from audiorig.errors import DataError

HEADER = "recording_filename,segment_onset,segment_offset,speaker_type\n"


def manifest(**durations: float | None) -> pd.DataFrame:
    """Recordings ``{name}.wav`` of so many seconds."""
    paths = [f"{name}.wav" for name in durations]
    return pd.DataFrame(
        {"wav_path": pd.array(paths, "string"), "duration_sec": pd.array(list(durations.values()), "Float64")}
    )


def segments(root: Path, text: str, recordings: pd.DataFrame) -> pd.DataFrame:
    (root / "labels.csv").write_text(text, encoding="utf-8")
    corpus = HomeCorpus(kind="home", root=str(root), annotations="labels.csv")
    return read_segments(corpus, root, recordings)


def test_stretches_are_in_seconds_and_in_order_with_their_labels_as_text(tmp_path: Path) -> None:
    text = (
        "segment_onset,speaker_type,recording_filename,segment_offset,count\n"
        "2500,FEM,b.wav,4000.5,1\n0,NA,b.wav,1000,2\n100,CHI,a.wav,900,\n"
    )
    found = segments(tmp_path, text, manifest(a=60, b=60))
    assert found.columns.tolist() == ["wav_path", "start_sec", "end_sec", "speaker_type", "count"]
    assert found.values.tolist() == [
        ["a.wav", 0.1, 0.9, "CHI", ""],
        ["b.wav", 0.0, 1.0, "", "2"],
        ["b.wav", 2.5, 4.0005, "FEM", "1"],
    ]
    in_order_of_the_manifest = segments(tmp_path, text, manifest(b=60, a=60))
    assert in_order_of_the_manifest["wav_path"].tolist() == ["b.wav", "b.wav", "a.wav"]


def test_names_are_ends_of_paths_from_recordings_raw_on_first(tmp_path: Path) -> None:
    recordings = pd.DataFrame(
        {"wav_path": ["recordings/converted/standard/a.wav", "recordings/raw/a.wav", "x/b.wav"], "duration_sec": 9.0}
    )
    found = segments(tmp_path, HEADER + "a.wav,0,1,CHI\nb.wav,0,1,CHI\n", recordings)
    assert found["wav_path"].tolist() == ["recordings/raw/a.wav", "x/b.wav"]
    with pytest.raises(DataError, match=r"'b\.wav' may be x/b\.wav or y/b\.wav; write more of its path"):
        twice = pd.DataFrame({"wav_path": ["x/b.wav", "y/b.wav"], "duration_sec": 9.0})
        segments(tmp_path, HEADER + "b.wav,0,1,CHI\n", twice)


def test_an_end_behind_the_recording_is_clipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = segments(tmp_path, HEADER + "a.wav,9000,12000,CHI\na.wav,1,10000,FEM\n", manifest(a=10))
    assert found[["start_sec", "end_sec"]].values.tolist() == [[0.001, 10.0], [9.0, 10.0]]
    assert "labels.csv: 1 stretches end behind their recording" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a.wav,0,500,\na.wav,10000,11000,\n",
            r"labels\.csv: row 3: segment_onset is 10000 ms, but a\.wav ends at 10000",
        ),
        ("a.wav,1.2,x,\n", r"row 2: segment_offset is 'x', expected milliseconds"),
        ("a.wav,0,1,\na.wav,,1,\n", r"row 3: segment_onset is '', expected milliseconds"),
        ("a.wav,0,inf,\n", r"row 2: segment_offset is 'inf', expected milliseconds"),
        ("a.wav,-5,500,\n", r"row 2: segment_onset is -5 and segment_offset 500; expected 0 or more"),
        ("a.wav,500,500,\n", r"row 2: segment_onset is 500 and segment_offset 500; .* an end behind the beginning"),
        (",0,500,\n", r"row 2 has no recording_filename"),
        ("b.wav,0,500,\n", r"row 2: no recording of the corpus is called 'b\.wav'"),
        ("../a.wav,0,500,\na.wav,0,1,\n", r"'\.\./a\.wav' leads out of the corpus"),
        ("a.wav,0,500,CHI,1,2\n", r"labels\.csv: cannot be read"),
    ],
)
def test_what_cannot_be_is_named_with_file_and_row(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        segments(tmp_path, HEADER + rows, manifest(a=10))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,segment_onset,segment_offset", "no column 'recording_filename' among path, segment_onset"),
        ("recording_filename,onset,segment_offset", "no column 'segment_onset'"),
        ("recording_filename,segment_onset,segment_offset,start_sec", "'start_sec' is a name that the project uses"),
    ],
)
def test_columns_that_are_missing_or_taken_are_named(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        segments(tmp_path, f"{header}\n", manifest(a=10))


def test_rows_of_recordings_that_are_not_here_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = HEADER + "a.wav,0,500,CHI\ngone.wav,0,500,CHI\nbroken.wav,0,500,CHI\n"
    with caplog.at_level(logging.WARNING):
        found = segments(tmp_path, text, manifest(a=10, broken=None))
    assert found["wav_path"].tolist() == ["a.wav"]
    assert "1 of 3 rows are about recordings that are not here" in caplog.text
    assert "1 rows are about recordings that cannot be read" in caplog.text


def test_a_table_without_rows_is_a_table_without_stretches(tmp_path: Path) -> None:
    found = segments(tmp_path, HEADER, manifest(a=10))
    assert (len(found), found.columns.tolist()) == (0, ["wav_path", "start_sec", "end_sec", "speaker_type"])


def test_where_annotations_lie(tmp_path: Path) -> None:
    assert annotations_path(HomeDemoCorpus(kind="home-demo"), tmp_path) == tmp_path / "annotations.csv"
    with pytest.raises(DataError, match="set the corpus' `annotations` to a CSV"):
        annotations_path(HomeCorpus(kind="home", root=str(tmp_path)), tmp_path)
    with pytest.raises(DataError, match="only corpora of the kinds home and home-demo"):
        annotations_path(FolderCorpus(kind="folder", root=str(tmp_path)), tmp_path)
    absent = HomeCorpus(kind="home", root=str(tmp_path), annotations="absent.csv")
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        read_segments(absent, tmp_path, manifest(a=10))
