"""A folder of audio joined with its table: nothing is lost, nothing is guessed."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from audiorig.config import FolderCorpus
from audiorig.data.corpora.folder import UNKNOWN, find_audio, list_clips
from audiorig.data.manifest import build_manifest, write_table
from audiorig.errors import DataError


def make(root: Path, *names: str) -> None:
    """Empty files; this layer opens none of them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def clips(root: Path, csv: str | None = None, **more: Any) -> pd.DataFrame:
    """The rows of a corpus, by path."""
    if csv is not None:
        (root / "metadata.csv").write_text(csv, encoding="utf-8")
        more["metadata"] = "metadata.csv"
    return list_clips(FolderCorpus(kind="folder", root=str(root), **more), root).set_index("wav_path")


# ------------------------------------------------------------------------ listing


def test_names_are_matched_in_any_case_and_sorted(tmp_path: Path) -> None:
    make(tmp_path, "b.WAV", "a/c.Flac", "a.wav", "notes.txt", "a.wav.bak", "song.mp3", "._a.wav", ".hidden.wav")
    assert find_audio(tmp_path, (".wav", ".flac")) == ["a.wav", "a/c.Flac", "b.WAV"]
    assert find_audio(tmp_path, (".MP3",)) == ["song.mp3"]


def test_names_with_spaces_letters_of_any_script_and_line_breaks_are_kept(tmp_path: Path) -> None:
    names = ["with space.wav", "ñandú/日本 語.wav", "line\nbreak.wav", 'comma,quote".wav', " .wav", "-n.wav"]
    make(tmp_path, *names)
    found = find_audio(tmp_path, (".wav",))
    assert found == sorted(names)
    assert all((tmp_path / name).is_file() for name in found)


def test_a_name_that_is_no_utf_8_is_shown_with_its_odd_bytes(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.wav", "wb"):
        pass
    found = find_audio(tmp_path, (".wav",))
    assert found == ["caf\\xe9.wav"]
    found[0].encode()


def test_a_folder_that_is_named_like_audio_is_listed_and_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "x.wav/inside.wav")
    assert find_audio(tmp_path, (".wav",)) == ["x.wav", "x.wav/inside.wav"]


def test_links_to_folders_are_not_followed_so_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "a/one.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "linked.wav").symlink_to(tmp_path / "a" / "one.wav")
    (tmp_path / "self.wav").symlink_to(tmp_path / "self.wav")
    assert find_audio(tmp_path, (".wav",)) == ["a/one.wav", "linked.wav", "self.wav"]


# ------------------------------------------------------------------------ the table


def test_without_a_table_nobody_is_known_and_each_file_is_its_own_recording(tmp_path: Path) -> None:
    make(tmp_path, "a/one.wav", "b/one.wav")
    found = clips(tmp_path)
    assert found["participant_id"].tolist() == [UNKNOWN, UNKNOWN]
    assert found["recording_id"].to_dict() == {"a/one.wav": "a/one", "b/one.wav": "b/one"}


def test_rows_join_by_path_and_both_sides_are_kept(tmp_path: Path) -> None:
    make(tmp_path, "a/one.wav", "b/one.wav")
    found = clips(tmp_path, "path,participant_id,mood\nb/one.wav,p1,glad\ngone.wav,p2,sad\n")
    assert found["participant_id"].to_dict() == {"a/one.wav": UNKNOWN, "b/one.wav": "p1", "gone.wav": "p2"}
    assert found["mood"].to_dict() == {"a/one.wav": "", "b/one.wav": "glad", "gone.wav": "sad"}


def test_rows_join_by_id_wherever_the_file_lies(tmp_path: Path) -> None:
    make(tmp_path, "a/one.wav", "b/two.flac", "three.wav")
    found = clips(tmp_path, "clip,participant_id\none,p1\ntwo,p2\n", join="id", key="clip")
    assert found["participant_id"].to_dict() == {"a/one.wav": "p1", "b/two.flac": "p2", "three.wav": UNKNOWN}


@pytest.mark.parametrize("key", ["path", "file", "wav_path"])
def test_any_column_can_hold_the_paths(tmp_path: Path, key: str) -> None:
    make(tmp_path, "a.wav", "b.wav")
    found = clips(tmp_path, f"{key},participant_id\nb.wav,p1\n", key=key)
    assert found["participant_id"].to_dict() == {"a.wav": UNKNOWN, "b.wav": "p1"}


def test_columns_are_renamed_and_values_stay_text(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "b.wav")
    csv = "path,speaker,session,age\na.wav,007,s1,4.0\nb.wav,NA,s1,\n"
    found = clips(tmp_path, csv, columns={"speaker": "participant_id", "session": "recording_id"})
    assert found["participant_id"].tolist() == ["007", "NA"]  # a number loses its zeros, and NA is Namibia's code
    assert found["recording_id"].tolist() == ["s1", "s1"]
    assert found["age"].tolist() == ["4.0", ""]


def test_an_empty_participant_is_unknown_and_an_empty_recording_is_the_file(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "b.wav")
    found = clips(tmp_path, "path,participant_id,recording_id\na.wav,,\nb.wav,p,r\n")
    assert found.loc["a.wav"].tolist() == [UNKNOWN, "a"]
    assert found.loc["b.wav"].tolist() == ["p", "r"]


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    assert clips(tmp_path, "\ufeffpath,participant_id\r\na.wav,p1\r\n").loc["a.wav", "participant_id"] == "p1"


# ------------------------------------------------------------------------ what is wrong with a table


def test_a_file_that_stands_twice_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    with pytest.raises(DataError, match=r"metadata\.csv: path 'a\.wav' stands in more than one row"):
        clips(tmp_path, "path,mood\na.wav,glad\na.wav,sad\n")


def test_a_missing_key_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    with pytest.raises(DataError, match="no column 'path' among file, mood; set the corpus' `key`"):
        clips(tmp_path, "file,mood\na.wav,glad\n")


@pytest.mark.parametrize("content", [b"", b"path,x\na.wav,1\nb.wav,1,2\n", b"path\ncaf\xe9.wav\n"])
def test_an_unreadable_table_is_named(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"metadata\.csv: cannot read the metadata"):
        clips(tmp_path, metadata="metadata.csv")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    with pytest.raises(DataError, match=r"absent\.csv"):
        clips(tmp_path, metadata="absent.csv")


def test_a_row_without_a_path_is_a_row_or_a_sentence(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    try:
        found = clips(tmp_path, "path,participant_id\n,p1\na.wav,p2\n")
    except DataError:
        return
    assert found.loc["a.wav", "participant_id"] == "p2"


def test_a_row_with_too_many_fields_does_not_shift_the_columns(tmp_path: Path) -> None:
    """Each row ends in a comma more than the header: pandas then takes the first column for an index."""
    make(tmp_path, "a.wav")
    try:
        found = clips(tmp_path, "path,participant_id\na.wav,p1,\n")
    except DataError:
        return
    assert found["participant_id"].to_dict() == {"a.wav": "p1"}


def test_two_columns_of_one_name_are_a_sentence_or_one_column(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "m.csv").write_text("path,participant_id,speaker\na.wav,p1,s1\n")
    renamed = FolderCorpus(kind="folder", root=str(tmp_path), metadata="m.csv", columns={"speaker": "participant_id"})
    try:
        write_table(build_manifest(renamed, tmp_path), tmp_path / "manifest.parquet")
    except DataError as error:
        assert "participant_id" in str(error)


def test_a_renamed_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    with pytest.raises(DataError, match="speeker"):
        clips(tmp_path, "path,speaker\na.wav,s1\n", columns={"speeker": "participant_id"})


def test_an_id_of_two_files_is_named(tmp_path: Path) -> None:
    """One row of the table cannot say which of two files it means."""
    make(tmp_path, "a/one.wav", "b/one.wav")
    with pytest.raises(DataError, match="one"):
        clips(tmp_path, "id,participant_id\none,p1\n", join="id", key="id")


@pytest.mark.parametrize("written", ["./a/one.wav", "a//one.wav"])
def test_a_path_that_is_written_another_way_is_the_same_file(tmp_path: Path, written: str) -> None:
    """Else the file stands twice, once labelled and once unknown, and may come to two sides of a split."""
    make(tmp_path, "a/one.wav")
    found = clips(tmp_path, f"path,participant_id\n{written},p1\n")
    assert found["participant_id"].to_dict() == {"a/one.wav": "p1"}
