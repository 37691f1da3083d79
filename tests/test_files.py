"""A file is complete or absent: whatever stops the writer, the old content stays."""

import hashlib
import os
from pathlib import Path

import pytest

from audiorig.files import file_digest, flush_to_disk, read_json, write_json, write_text, written_aside


@pytest.mark.parametrize("is_old_there", [True, False])
def test_an_error_in_the_middle_leaves_what_was_there(tmp_path: Path, is_old_there: bool) -> None:
    path = tmp_path / "scores.json"
    if is_old_there:
        path.write_text("old")
    with pytest.raises(RuntimeError), written_aside(path) as aside:
        aside.write_text("half of the ne")
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == (["scores.json"] if is_old_there else [])
    assert not is_old_there or path.read_text() == "old"


def test_a_process_that_dies_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text("old")
    if (child := os.fork()) == 0:
        with written_aside(path) as aside:
            aside.write_text("half of the ne")
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert path.read_text() == "old"
    left = [entry.name for entry in tmp_path.iterdir() if entry != path]
    assert len(left) == 1
    assert left[0].startswith(".")
    assert left[0].endswith(".aside")


def test_the_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "scores.json"
    with written_aside(path) as aside:
        aside.write_text("ne")
        assert not path.exists()
        assert aside.parent == path.parent  # a rename between file systems is no rename
        with aside.open("a") as file:
            file.write("w")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_the_bytes_reach_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (happened.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *paths: (happened.append("rename"), replace(*paths)))
    write_text(tmp_path / "a.txt", "x")
    assert happened[:2] == ["fsync", "rename"]


def test_text_is_utf_8_and_json_is_sorted(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ñ日本")
    assert (tmp_path / "a.txt").read_bytes() == "ñ日本".encode()
    write_json(tmp_path / "a.json", {"b": [1, 2.5, None], "a": "ñ"})
    write_json(tmp_path / "b.json", {"a": "ñ", "b": [1, 2.5, None]})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": "ñ", "b": [1, 2.5, None]}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_without_a_meaning_is_refused_and_the_old_file_stays(tmp_path: Path, number: float) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, [1])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, [number])
    assert read_json(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(path, "sha1") == hashlib.sha1(b"abc").hexdigest() == "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_folders_can_be_flushed_too(tmp_path: Path) -> None:
    flush_to_disk(tmp_path)
    with pytest.raises(FileNotFoundError):
        flush_to_disk(tmp_path / "absent")
