"""A folder of audio joined with its table: nothing is lost, nothing is guessed."""

import os
import socket
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from audiorig.config import FolderCorpus
from audiorig.data.corpora import describe_clips
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.listing import Listing, list_entries, read_listing, write_listing
from audiorig.data.manifest import build_manifest, list_corpus, scan_corpus, write_table
from audiorig.errors import DataError


def make(root: Path, *names: str) -> None:
    """Empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def clips(root: Path, csv: str | None = None, **more: Any) -> pd.DataFrame:
    """The rows of a corpus, by path."""
    if csv is not None:
        (root / "metadata.csv").write_text(csv, encoding="utf-8")
        more["metadata"] = "metadata.csv"
    corpus = FolderCorpus(kind="folder", root=str(root), **more)
    scan = scan_corpus(corpus, root, list_corpus(corpus, root), 1)
    return describe_clips(corpus, root, scan).set_index("wav_path")


def find_audio(root: Path, extensions: tuple[str, ...] = (".wav",)) -> list[str]:
    return list_entries(root, extensions).paths


def problems(root: Path) -> dict[str, str]:
    """What is wrong with the entries of a folder, by path."""
    return dict(list_entries(root, (".wav",)).problems)


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
    make(tmp_path, "caf\\xe9.wav", "good.wav")  # one file is really called so
    os.mkdir(os.fsencode(tmp_path) + b"/d\xfc")
    for name in (b"caf\xe9.wav", b"d\xfc/in.wav"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
            pass
    assert find_audio(tmp_path) == ["caf\\xe9.wav", "caf\\xe9.wav?", "d\\xfc/in.wav", "good.wav"]
    assert problems(tmp_path) == {"caf\\xe9.wav?": "bad_name", "d\\xfc/in.wav": "bad_name"}
    corpus = FolderCorpus(kind="folder", root=str(tmp_path))
    manifest = build_manifest(corpus, tmp_path).set_index("wav_path")
    assert manifest["problem"].isna().tolist() == [True, False, False, True]


def test_a_folder_that_is_named_like_audio_is_listed_and_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "x.wav/inside.wav")
    assert find_audio(tmp_path) == ["x.wav", "x.wav/inside.wav"]
    assert problems(tmp_path) == {"x.wav": "not_regular"}


def test_links_to_files_below_root_are_files_and_folders_are_not_entered_twice(tmp_path: Path) -> None:
    make(tmp_path, "a/one.wav")
    (tmp_path / "linked.wav").symlink_to(tmp_path / "a" / "one.wav")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "absent.wav")
    assert find_audio(tmp_path) == ["a/one.wav", "dangling.wav", "linked.wav"]
    assert problems(tmp_path) == {}


def test_links_that_loop_or_leave_the_root_are_reported_and_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-of-others"
    make(root, "a/b/one.wav")
    make(outside, "two.wav", "notes.txt")
    (root / "a" / "b" / "up").symlink_to(root / "a")
    (root / "top").symlink_to(root)
    (root / "self.wav").symlink_to(root / "self.wav")
    (root / "folder").symlink_to(outside)
    (root / "file.wav").symlink_to(outside / "two.wav")
    (root / "relative.wav").symlink_to("../root-of-others/two.wav")
    (root / "notes").symlink_to(outside / "notes.txt")
    assert find_audio(root) == ["a/b/one.wav", "a/b/up", "file.wav", "folder", "relative.wav", "self.wav", "top"]
    assert problems(root) == {
        "a/b/up": "link_loop",
        "top": "link_loop",
        "self.wav": "link_loop",
        "folder": "outside_root",
        "file.wav": "outside_root",
        "relative.wav": "outside_root",
    }


def test_a_root_that_is_itself_a_link_is_a_root(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.wav")
    (tmp_path / "real" / "b.wav").symlink_to("a.wav")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert find_audio(tmp_path / "root") == ["a.wav", "b.wav"]
    assert problems(tmp_path / "root") == {}


def test_pipes_and_devices_are_reported_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "to-pipe.wav").symlink_to("pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.wav"))
        expected = dict.fromkeys(["pipe.wav", "s.wav", "to-pipe.wav"], "not_regular")
        assert problems(tmp_path) == expected
        manifest = build_manifest(FolderCorpus(kind="folder", root=str(tmp_path)), tmp_path)
        assert manifest.set_index("wav_path")["problem"].to_dict() == expected


def test_what_becomes_a_pipe_behind_the_listing_is_not_waited_for(tmp_path: Path) -> None:
    corpus = FolderCorpus(kind="folder", root=str(tmp_path))
    os.mkfifo(tmp_path / "pipe.wav")
    scan = scan_corpus(corpus, tmp_path, Listing(["pipe.wav", "vanished.wav"], {}), 1)
    assert scan["problem"].to_pylist() == ["not_regular", None]


def test_folders_and_files_that_may_not_be_read_are_reported_and_the_rest_is_listed() -> None:
    with tempfile.TemporaryDirectory() as folder:  # unlike tmp_path, nobody else is kept out of its parents
        root = Path(folder)
        root.chmod(0o755)
        make(root, "closed/one.wav", "open/two.wav", "open/shut.wav")
        (root / "closed").chmod(0)
        (root / "open" / "shut.wav").chmod(0)

        def look() -> None:
            if os.getuid() == 0:  # who may read everything
                os.setuid(65534)
            manifest = build_manifest(FolderCorpus(kind="folder", root=folder), root, 1).set_index("wav_path")
            assert manifest["problem"].dropna().to_dict() == {
                "closed": "unreadable_folder",
                "open/shut.wav": "permission",
            }
            assert manifest.index.tolist() == ["closed", "open/shut.wav", "open/two.wav"]

        process = get_context("fork").Process(target=look)
        process.start()
        process.join(20)
        (root / "closed").chmod(0o755)
        assert process.exitcode == 0


def test_a_root_that_cannot_be_listed_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: cannot be listed: No such file"):
        list_entries(tmp_path / "absent", (".wav",))


def test_a_listing_is_written_and_shared_out_without_a_loss(tmp_path: Path) -> None:
    paths = [f"a/{number:02d}\n{'é' * (number % 3)}.wav" for number in range(23)]
    listing = Listing(paths, {paths[3]: "link_loop", paths[20]: "bad_name"})
    write_listing(listing, tmp_path / "files.parquet")
    found = read_listing(tmp_path / "files.parquet")
    assert found == listing
    shards = [found.shard(index, 5) for index in range(5)]
    assert [path for shard in shards for path in shard.paths] == paths
    assert {len(shard.paths) for shard in shards} == {4, 5}
    assert [shard.problems for shard in shards] == [{paths[3]: "link_loop"}, {}, {}, {}, {paths[20]: "bad_name"}]


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
