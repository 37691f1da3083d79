"""The manifest lists every file once, with what its header says, the same bytes on every machine."""

import hashlib
import os
import shutil
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import FolderCorpus
from audiorig.data.manifest import FIRST_COLUMNS, build_manifest, describe_file, read_table, write_table
from audiorig.errors import DataError


def ends_well(check: Callable[[], None], seconds: float = 5) -> bool:
    """Run a check in a process of its own, which can be ended if it waits for ever."""
    process = get_context("fork").Process(target=check)
    process.start()
    process.join(seconds)
    is_waiting = process.is_alive()
    process.kill()
    process.join()
    return not is_waiting and process.exitcode == 0


def corpus(root: Path, **more: Any) -> FolderCorpus:
    return FolderCorpus(kind="folder", root=str(root), **more)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A stereo WAV of half a second at 16 kHz, a FLAC of a second at 24 kHz, and a text."""
    root = tmp_path / "corpus"
    (root / "b").mkdir(parents=True)
    generator = np.random.default_rng(0)
    soundfile.write(root / "b" / "stereo.wav", 0.1 * generator.standard_normal((8000, 2)), 16000)
    soundfile.write(root / "z.flac", 0.1 * generator.standard_normal(24000), 24000)
    (root / "a.wav").write_text("no audio")
    return root


def test_rows_are_sorted_and_say_what_the_header_says(three: Path) -> None:
    manifest = build_manifest(corpus(three), three)
    assert list(manifest.columns) == FIRST_COLUMNS
    assert manifest["wav_path"].tolist() == ["a.wav", "b/stereo.wav", "z.flac"]
    text, stereo, flac = manifest.to_dict("records")
    assert (stereo["duration_sec"], stereo["sample_rate"], stereo["channels"]) == (0.5, 16000, 2)
    assert (flac["duration_sec"], flac["sample_rate"], flac["channels"]) == (1.0, 24000, 1)
    assert stereo["file_size_bytes"] == (three / "b" / "stereo.wav").stat().st_size == 44 + 8000 * 2 * 2
    assert text["file_size_bytes"] == len("no audio")
    assert pd.isna(text["duration_sec"])
    assert manifest["sha1"].isna().all()


def test_metadata_columns_stand_behind_and_cannot_replace_what_the_header_says(three: Path) -> None:
    (three / "m.csv").write_text("path,mood,duration_sec,participant_id\nz.flac,glad,99,p1\n")
    manifest = build_manifest(corpus(three, metadata="m.csv"), three)
    assert list(manifest.columns) == [*FIRST_COLUMNS, "mood"]
    flac = manifest.set_index("wav_path").loc["z.flac"]
    assert (flac["duration_sec"], flac["mood"], flac["participant_id"]) == (1.0, "glad", "p1")


def test_sha1_is_that_of_the_bytes(three: Path) -> None:
    manifest = build_manifest(corpus(three, sha1=True), three).set_index("wav_path")
    assert manifest.loc["z.flac", "sha1"] == hashlib.sha1((three / "z.flac").read_bytes()).hexdigest()


def test_same_corpus_elsewhere_gives_the_same_bytes(three: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(three, elsewhere)
    write_table(build_manifest(corpus(three), three, num_threads=1), tmp_path / "one.parquet")
    write_table(build_manifest(corpus(elsewhere), elsewhere, num_threads=4), tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_table_reads_back_as_it_was_with_its_types(three: Path, tmp_path: Path) -> None:
    manifest = build_manifest(corpus(three), three)
    write_table(manifest, tmp_path / "manifest.parquet")
    found = read_table(tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(found, manifest, check_dtype=False)
    assert found.dtypes["duration_sec"] == "Float64"
    assert found.dtypes["sample_rate"] == "Int64"


def test_a_corpus_without_audio_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="no audio found; check root and extensions"):
        build_manifest(corpus(tmp_path), tmp_path)


def test_a_corpus_without_one_good_file_still_gives_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    manifest = build_manifest(corpus(tmp_path), tmp_path)
    assert manifest["file_size_bytes"].tolist() == [0]
    assert manifest["duration_sec"].isna().all()
    write_table(manifest, tmp_path / "manifest.parquet")


@pytest.mark.parametrize("kind", ["pipe", "folder", "absent", "broken link", "looping link"])
def test_what_is_no_file_has_empty_fields_and_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.wav"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "broken link":
            path.symlink_to(tmp_path / "absent.wav")
        case "looping link":
            path.symlink_to(path)

    def check() -> None:
        assert set(describe_file(path, with_sha1=True).values()) == {None}

    assert ends_well(check)
