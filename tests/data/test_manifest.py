"""The manifest lists every file once, with what its header says, the same bytes on every machine."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
import yaml

from audiorig.config import FolderCorpus
from audiorig.config_stages import load_corpus
from audiorig.data import entries, parallel, scan
from audiorig.data.headers import read_plain_header
from audiorig.data.manifest import (
    FIRST_COLUMNS,
    assemble_manifest,
    build_manifest,
    list_corpus,
    read_table,
    scan_corpus,
    write_table,
)
from audiorig.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO_NS = 1_500_000_000_000_000_000


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


def make_wavs(root: Path, numbers: Sequence[int]) -> Path:
    """Small WAVs in ten folders, all changed at one moment long ago; file n has 100 + n samples."""
    for number in numbers:
        path = root / f"s{number % 10}" / f"u{number:04d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(100 + number, np.int16), 16000)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return root


def bytes_of(manifest: pd.DataFrame, path: Path) -> bytes:
    write_table(manifest, path)
    return path.read_bytes()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the headers that were read, from here on."""
    paths: list[str] = []
    read = scan.read_entries

    def record(root: str, names: Sequence[str], options: entries.ScanOptions) -> entries.Columns:
        paths.extend(names)
        return read(root, names, options)

    monkeypatch.setattr(scan, "read_entries", record)
    return paths


# ------------------------------------------------------------------------ what a row says


def test_rows_are_sorted_and_say_what_the_header_says(three: Path) -> None:
    manifest = build_manifest(corpus(three), three)
    assert list(manifest.columns) == FIRST_COLUMNS
    assert manifest["wav_path"].tolist() == ["a.wav", "b/stereo.wav", "z.flac"]
    text, stereo, flac = manifest.to_dict("records")
    assert (stereo["duration_sec"], stereo["sample_rate"], stereo["channels"]) == (0.5, 16000, 2)
    assert (flac["duration_sec"], flac["sample_rate"], flac["channels"]) == (1.0, 24000, 1)
    assert (stereo["codec"], flac["codec"]) == ("pcm_s16", "flac")
    assert stereo["file_size_bytes"] == (three / "b" / "stereo.wav").stat().st_size == 44 + 8000 * 2 * 2
    assert stereo["mtime_ns"] == (three / "b" / "stereo.wav").stat().st_mtime_ns
    assert text["file_size_bytes"] == len("no audio")
    assert pd.isna(text["duration_sec"])
    assert pd.isna(text["codec"])
    for column in ("sha1", "problem", "archive_offset", "archive_size"):
        assert manifest[column].isna().all()


def test_metadata_columns_stand_behind_and_cannot_replace_what_the_header_says(three: Path) -> None:
    (three / "m.csv").write_text("path,mood,duration_sec,participant_id\nz.flac,glad,99,p1\n")
    manifest = build_manifest(corpus(three, metadata="m.csv"), three)
    assert list(manifest.columns) == [*FIRST_COLUMNS, "mood"]
    flac = manifest.set_index("wav_path").loc["z.flac"]
    assert (flac["duration_sec"], flac["mood"], flac["participant_id"]) == (1.0, "glad", "p1")


def test_files_that_only_the_metadata_knows_have_empty_fields_in_order(three: Path) -> None:
    (three / "m.csv").write_text("path,mood\nb/gone.wav,sad\nz.flac,glad\n")
    manifest = build_manifest(corpus(three, metadata="m.csv"), three).set_index("wav_path")
    assert manifest.index.tolist() == ["a.wav", "b/gone.wav", "b/stereo.wav", "z.flac"]
    assert manifest["sample_rate"].tolist() == [pd.NA, pd.NA, 16000, 24000]
    assert pd.isna(manifest.loc["b/gone.wav", "problem"])


def test_sha1_is_that_of_the_bytes(three: Path) -> None:
    manifest = build_manifest(corpus(three, sha1=True), three).set_index("wav_path")
    assert manifest.loc["z.flac", "sha1"] == hashlib.sha1((three / "z.flac").read_bytes()).hexdigest()


def test_a_table_reads_back_as_it_was_with_its_types(three: Path, tmp_path: Path) -> None:
    manifest = build_manifest(corpus(three), three)
    write_table(manifest, tmp_path / "manifest.parquet")
    found = read_table(tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(found, manifest, check_dtype=False)
    assert found.dtypes["duration_sec"] == "Float64"
    for column in ("sample_rate", "mtime_ns", "archive_offset", "archive_size"):
        assert found.dtypes[column] == "Int64"


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


# ------------------------------------------------------------------------ headers that were seen before


def test_a_header_that_was_seen_before_is_understood_as_when_it_is_parsed(tmp_path: Path) -> None:
    """Any two bytes changed, any size promised, any length of file: after the good one, and alone."""
    good = tmp_path / "good.wav"
    soundfile.write(good, np.zeros((500, 2), np.int16), 16000)
    whole = good.read_bytes()
    generator = np.random.default_rng(0)
    sizes = [0, 1, 3, 4, 1996, 2000, 2004, 0x7FFFEFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    path = tmp_path / "x.wav"
    for trial in range(600):
        data = bytearray(whole)
        if trial % 3 == 0:
            data[40:44] = int(generator.choice(sizes)).to_bytes(4, "little")
        else:
            for at in generator.integers(0, 44, 1 + trial % 2):
                data[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.integers(256)])
        path.write_bytes(data[: generator.choice([0, 20, 43, 44, 45, 1000, len(data), len(data)])])
        seen: entries.SeenHeaders = {}
        for name in (good, path):
            descriptor = os.open(name, os.O_RDONLY)
            found = entries._plain_header(descriptor, name.stat().st_size, seen)
            parsed = read_plain_header(descriptor, 0, name.stat().st_size)
            os.close(descriptor)
            expected = parsed and (parsed.num_frames, parsed.sample_rate_hz, parsed.channels, parsed.codec)
            assert found == expected, bytes(data[:44])
        assert len(seen) >= 1


# ------------------------------------------------------------------------ the same bytes


def test_same_corpus_elsewhere_gives_the_same_bytes(three: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(three, elsewhere)  # with the times
    first = bytes_of(build_manifest(corpus(three), three, num_workers=1), tmp_path / "one.parquet")
    assert first == bytes_of(build_manifest(corpus(elsewhere), elsewhere), tmp_path / "two.parquet")


def test_neither_order_nor_workers_nor_shards_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ALONE_SEC", 0)  # helpers are called in even for so little
    monkeypatch.setattr(parallel, "WORTH_SEC", 0)
    monkeypatch.setattr(parallel, "FIRST_BATCH", 3)
    numbers = np.arange(120)
    orders = [numbers, numbers[::-1], np.random.default_rng(0).permutation(numbers)]
    written = set()
    for index, order in enumerate(orders):
        root = make_wavs(tmp_path / str(index), order.tolist())
        for num_workers, num_shards in ((1, 1), (2, 1), (8, 1), (2, 7)):
            listing = list_corpus(corpus(root), root)
            shards = [listing.shard(shard, num_shards) for shard in range(num_shards)]
            scans = [scan_corpus(corpus(root), root, shard, num_workers) for shard in shards]
            written.add(bytes_of(assemble_manifest(corpus(root), root, scans), tmp_path / "manifest.parquet"))
    assert len(written) == 1
    manifest = read_table(tmp_path / "manifest.parquet")
    samples = (manifest["duration_sec"] * 16000).round().astype(int)
    assert samples.tolist() == [100 + int(path[-8:-4]) for path in manifest["wav_path"]]
    assert manifest["wav_path"].tolist() == sorted(manifest["wav_path"]) and len(manifest) == 120


# ------------------------------------------------------------------------ unchanged files


def rescan(root: Path, memory: Path, **more: Any) -> pd.DataFrame:
    return build_manifest(corpus(root, **more), root, 1, memory)


def test_what_has_not_changed_is_not_opened_again(tmp_path: Path, opened: list[str]) -> None:
    root, memory = make_wavs(tmp_path / "corpus", range(20)), tmp_path / "memory.arrow"
    first = rescan(root, memory)
    assert len(opened) == 20
    opened.clear()
    pd.testing.assert_frame_equal(rescan(root, memory), first)
    assert opened == []


def test_what_has_changed_in_size_or_time_is_new_or_is_gone_is_seen(tmp_path: Path, opened: list[str]) -> None:
    root, memory = make_wavs(tmp_path / "corpus", range(20)), tmp_path / "memory.arrow"
    rescan(root, memory)
    opened.clear()
    (root / "s0" / "u0000.wav").unlink()
    soundfile.write(root / "s1" / "u0001.wav", np.zeros(999, np.int16), 16000)
    os.utime(root / "s1" / "u0001.wav", ns=(LONG_AGO_NS, LONG_AGO_NS))  # another size at the same time
    soundfile.write(root / "s2" / "u0002.wav", np.zeros(102, np.int16), 8000)  # the same size at another time
    make_wavs(root, [20])
    again = rescan(root, memory)
    assert sorted(opened) == ["s0/u0020.wav", "s1/u0001.wav", "s2/u0002.wav"]
    pd.testing.assert_frame_equal(again, build_manifest(corpus(root), root))
    row = again.set_index("wav_path")
    assert (row.loc["s1/u0001.wav", "duration_sec"], row.loc["s2/u0002.wav", "sample_rate"]) == (999 / 16000, 8000)


def test_a_memory_of_another_kind_of_scan_or_a_damaged_one_is_not_used(tmp_path: Path, opened: list[str]) -> None:
    root, memory = make_wavs(tmp_path / "corpus", range(5)), tmp_path / "memory.arrow"
    rescan(root, memory)
    assert rescan(root, memory, sha1=True)["sha1"].notna().all()
    whole = memory.read_bytes()
    for damaged in (b"", b"ARROW1", whole[: len(whole) // 2], b"\0" * 1000):
        memory.write_bytes(damaged)
        opened.clear()
        assert len(rescan(root, memory, sha1=True)) == len(opened) == 5


def test_only_the_metadata_has_changed(tmp_path: Path, opened: list[str]) -> None:
    root, memory = make_wavs(tmp_path / "corpus", range(3)), tmp_path / "memory.arrow"
    (root / "m.csv").write_text("path,mood\ns0/u0000.wav,glad\n")
    rescan(root, memory, metadata="m.csv")
    opened.clear()
    (root / "m.csv").write_text("path,mood\ns0/u0000.wav,sad\n")
    assert rescan(root, memory, metadata="m.csv")["mood"].tolist() == ["sad", "", ""]
    assert opened == []


# ------------------------------------------------------------------------ helpers that die, links that wait


def test_a_file_that_ends_its_worker_costs_only_its_own_row() -> None:
    def read(items: Sequence[int]) -> list[int]:
        if 37 in items:
            os._exit(9)
        return list(items)

    batches = [list(range(start, start + 10)) for start in range(0, 100, 10)]
    results = [*parallel._in_processes(read, batches, 3, failed=lambda items: [-item for item in items])]
    assert [item for result in results for item in result] == [-item if item == 37 else item for item in range(100)]


def test_slow_storage_is_waited_for_in_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network every file costs a wait: 1,000 of them at 5 ms each would take 5 s."""
    monkeypatch.setattr(parallel, "FIRST_BATCH", 4)

    def read(items: Sequence[int]) -> list[int]:
        time.sleep(0.005 * len(items))
        return list(items)

    started = time.perf_counter()
    results = [*parallel.map_batches(read, range(1000), 2, failed=list, max_batch=8)]
    assert [item for result in results for item in result] == list(range(1000))
    assert time.perf_counter() - started < 5 / 8


# ------------------------------------------------------------------------ killed, and two at once


def start_script(settings: Path, output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, ROOT / "workflow/scripts/manifest.py", "--corpus", settings, "--output", output]
    command += ["--memory", output.parent / "memory.arrow"]
    return subprocess.Popen(
        [*map(str, command)], env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, stderr=subprocess.PIPE
    )


@pytest.fixture
def scripted(tmp_path: Path) -> tuple[Path, Path, bytes]:
    """Settings of a corpus of 400 files, where its manifest goes, and the bytes that a clean scan writes."""
    root = make_wavs(tmp_path / "corpus", range(400))
    settings, output = tmp_path / "results" / "mine" / "corpus.yaml", tmp_path / "results" / "mine" / "manifest.parquet"
    settings.parent.mkdir(parents=True)
    settings.write_text(yaml.safe_dump(corpus(root).model_dump(mode="json")))
    return settings, output, bytes_of(build_manifest(corpus(root), root), tmp_path / "clean.parquet")


def test_two_scans_at_once_end_in_the_same_bytes(scripted: tuple[Path, Path, bytes]) -> None:
    settings, output, clean = scripted
    scripts = [start_script(settings, output) for _ in range(2)]
    for script in scripts:
        _, said = script.communicate(timeout=60)
        assert script.returncode == 0, said.decode()
    assert output.read_bytes() == clean
    assert not [*output.parent.glob(".*")]


def kill_at(call: int, settings: Path, output: Path, patch: pytest.MonkeyPatch) -> bool:
    """Make the manifest in a process that kills itself at the given call of what touches the disk; was it killed?"""

    def work() -> None:
        count = 0

        def before(function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **more: Any) -> Any:
                nonlocal count
                count += 1
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **more)

            return counted

        for name in ("open", "read", "replace", "fsync", "unlink", "stat"):
            patch.setattr(os, name, before(getattr(os, name)))
        loaded, root = load_corpus(settings)
        write_table(build_manifest(loaded, root, 1, output.parent / "memory.arrow"), output)

    process = get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


def test_a_scan_killed_at_any_step_leaves_the_old_manifest_and_the_next_gives_clean_bytes(
    scripted: tuple[Path, Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, output, clean = scripted
    write_table(read_table(output.parents[2] / "clean.parquet").head(10), output)
    before = output.read_bytes()
    outcomes = []
    for call in (1, 200, 395, *range(400, 425)):
        if not kill_at(call, settings, output, monkeypatch):
            break
        outcomes.append(output.read_bytes())
        assert outcomes[-1] in (before, clean)
        (output.parent / "memory.arrow").unlink(missing_ok=True)
        output.write_bytes(before)
    assert len(outcomes) > 6
    assert before in outcomes
    assert not kill_at(0, settings, output, monkeypatch)
    assert output.read_bytes() == clean


@pytest.mark.slow
def test_a_scan_killed_at_random_leaves_the_old_manifest_and_the_next_gives_clean_bytes(
    scripted: tuple[Path, Path, bytes],
) -> None:
    settings, output, clean = scripted
    started = time.perf_counter()
    start_script(settings, output).communicate(timeout=60)
    duration = time.perf_counter() - started
    old = read_table(output).head(10)
    write_table(old, output)
    before = output.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(20):
        script = start_script(settings, output)
        time.sleep(duration * generator.uniform(0.3, 1.05))
        script.send_signal(signal.SIGKILL)
        script.communicate(timeout=60)
        assert output.read_bytes() in (before, clean)
        write_table(old, output)
    script = start_script(settings, output)
    script.communicate(timeout=60)
    assert script.returncode == 0
    assert output.read_bytes() == clean


def test_a_scan_is_a_table_of_one_shape(tmp_path: Path) -> None:
    """Also where every file is known, none is, or there is none: later code needs no case for it."""
    root = make_wavs(tmp_path / "corpus", range(3))
    whole = scan_corpus(corpus(root), root, list_corpus(corpus(root), root), 1)
    nothing = scan_corpus(corpus(root), root, list_corpus(corpus(root), root).shard(0, 100), 1)
    assert whole.schema == nothing.schema == scan.SCHEMA
    assert (len(whole), len(nothing)) == (3, 0)
    assert pa.concat_tables([whole, nothing]).equals(whole)
