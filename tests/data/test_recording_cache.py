"""Copies of recordings: the same windows to 16-bit rounding, made once, whole or not at all."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import HomeCorpus, LongCropConfig, SplitConfig
from audiorig.data import recording_cache
from audiorig.data.audio import read_info, read_window
from audiorig.data.long_crops import LongCropDataset
from audiorig.data.manifest import build_manifest
from audiorig.data.recording_cache import cache_recording, cache_recordings, copies_of
from audiorig.data.split import write_split
from audiorig.errors import DataError, ReportedError
from audiorig.files import write_json

RATE = 16000
ROUNDING = 0.5 / 32768 + 2e-6  # of 16 bits, and of a resampling in blocks


def sound(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    generator = np.random.default_rng(rate + channels)
    time = np.arange(round(seconds * rate))[:, None] / rate
    tone = 0.3 * np.sin(2 * np.pi * (300 + 50 * np.arange(channels)) * time)
    return (tone + 0.05 * generator.standard_normal((len(time), channels))).astype(np.float32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    (folder / "p1").mkdir(parents=True)
    soundfile.write(folder / "p1/a.flac", sound(4.3, 44100, 2), 44100, subtype="PCM_16")
    soundfile.write(folder / "p1/a.wav", sound(3.1, 16000), 16000, subtype="PCM_24")
    soundfile.write(folder / "b.aiff", sound(2.7, 8000), 8000, subtype="PCM_16")
    return folder


def table(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"wav_path": paths})


ALL = table("b.aiff", "p1/a.flac", "p1/a.wav")


def test_a_window_of_a_copy_is_that_of_the_original(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(recording_cache, "BLOCK", 9973)  # so that blocks meet within the recordings
    copies = tmp_path / "copies" / "16000"
    index = cache_recordings(ALL, root, copies, RATE)
    assert index["wav_path"].tolist() == ALL["wav_path"].tolist()
    assert index["duration_sec"].tolist() == pytest.approx([2.7, 4.3, 3.1], abs=1e-4)
    assert index["is_new"].all()
    for path, num_samples in zip(index["wav_path"], index["num_samples"], strict=True):
        info = read_info(copies / path)
        assert (info.sample_rate_hz, info.channels, info.codec, info.container) == (RATE, 1, "pcm_s16", "WAV")
        assert info.num_samples == num_samples == len(read_window(root / path, 0, -1, RATE))
        for start, length in ((0, -1), (0, 800), (9973 - 400, 800), (17001, 5003), (num_samples - 300, 800)):
            original, copy = (read_window(folder / path, start, length, RATE) for folder in (root, copies))
            assert len(copy) == len(original) > 0
            assert np.abs(copy - original).max() < ROUNDING, (path, start)
    assert pd.read_parquet(copies / "index.parquet").equals(index.drop(columns="is_new"))
    assert sorted(path.name for path in copies.rglob("*") if path.is_file()) == [
        "a.flac", "a.wav", "b.aiff", "index.parquet",
    ]  # fmt: skip


def test_copies_take_the_place_of_the_root(root: Path, tmp_path: Path) -> None:
    """Names and lengths are those of the originals, so that whoever draws crops need not know."""
    corpus = HomeCorpus(kind="home", root=str(root))
    manifest = build_manifest(corpus, root)
    sides = {side: manifest.assign(group_id="p1") for side in ("train", "dev", "test")}
    write_split(sides, SplitConfig(), tmp_path / "split")
    cache_recordings(manifest, root, tmp_path / "copies", RATE)
    data = LongCropConfig(crop_sec=0.5)
    original, copied = (
        LongCropDataset(tmp_path / "split/train.arrow", folder, data, 0, side="train")
        for folder in (root, tmp_path / "copies")
    )
    assert len(copied) == len(original) > 10
    for item in range(len(original)):
        (crop, samples), (same_crop, same_samples) = original[3, item], copied[3, item]
        assert crop == same_crop
        assert np.abs(samples - same_samples).max() < ROUNDING


def test_what_was_copied_is_not_copied_again_unless_it_has_changed(root: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    cache_recordings(ALL, root, copies, RATE)
    before = {path: (copies / path).stat().st_ino for path in ALL["wav_path"]}
    os.utime(root / "b.aiff", ns=(10**18, 10**18))
    (copies / "p1/a.flac").write_bytes((copies / "p1/a.flac").read_bytes()[:-2])  # as a full disk would leave it
    index = cache_recordings(ALL, root, copies, RATE)
    assert index["is_new"].tolist() == [True, True, False]
    assert [(copies / path).stat().st_ino == inode for path, inode in before.items()] == [False, False, True]
    assert not cache_recordings(ALL, root, copies, RATE)["is_new"].any()
    assert cache_recordings(table("b.aiff"), root, copies, 8000)["is_new"].all()  # another rate


def test_stopped_in_the_middle_it_leaves_whole_copies_and_goes_on(root: Path, tmp_path: Path, monkeypatch) -> None:
    copies, write = tmp_path / "copies", soundfile.SoundFile.write

    def fail(self: soundfile.SoundFile, block: np.ndarray) -> None:
        write(self, block[:1000])
        if len(block) > 60000:  # the second recording
            raise KeyboardInterrupt

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        cache_recordings(table("p1/a.wav", "p1/a.flac", "b.aiff"), root, copies, RATE)
    assert not (copies / "index.parquet").exists()
    assert [path.name for path in copies.rglob("*") if path.is_file()] == ["a.wav"]
    monkeypatch.undo()
    index = cache_recordings(ALL, root, copies, RATE)
    assert len(read_window(copies / "p1/a.flac", 0, -1, RATE)) == index["num_samples"][1]


def test_what_cannot_be_read_has_no_copy_and_stops_nothing(root: Path, tmp_path: Path, caplog) -> None:
    (root / "text.wav").write_text("no audio")
    copies = tmp_path / "copies"
    index = cache_recordings(table("absent.wav", "p1/a.wav", "text.wav"), root, copies, RATE)
    assert index["num_samples"].tolist() == [0, 49600, 0]
    assert [bool(problem) for problem in index["problem"]] == [True, False, True]
    assert "text.wav" in caplog.text and "left without a copy" in caplog.text
    with pytest.raises(DataError, match=r"none of its 1 recordings could be copied; first: .*absent\.wav"):
        cache_recordings(table("absent.wav"), root, copies, RATE)


def test_a_full_disk_is_a_sentence(root: Path, tmp_path: Path, monkeypatch) -> None:
    def fail(self: soundfile.SoundFile, block: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(ReportedError, match=r"b\.aiff: cannot be written: No space left on device"):
        cache_recording("b.aiff", root, tmp_path / "copies", RATE)


def test_members_of_archives_are_refused(root: Path, tmp_path: Path) -> None:
    rows = table("b.aiff", "x.tar/a.wav").assign(archive_offset=pd.array([None, 512], "Int64"))
    with pytest.raises(DataError, match=r"x\.tar/a\.wav: lies in an archive"):
        cache_recordings(rows, root, tmp_path / "copies", RATE)


def test_from_4_gib_on_a_copy_is_an_rf64(root: Path, tmp_path: Path, monkeypatch) -> None:
    assert recording_cache.MAX_WAV_BYTES + 44 < 1 << 32
    monkeypatch.setattr(recording_cache, "MAX_WAV_BYTES", 2 * 49600 - 1)
    index = cache_recordings(table("p1/a.wav", "b.aiff"), root, tmp_path, RATE)
    infos = [read_info(tmp_path / path) for path in index["wav_path"]]
    assert [(info.container, info.num_samples) for info in infos] == [("RF64", 49600), ("WAV", 43200)]
    original, copy = (read_window(folder / "p1/a.wav", 49000, 600, RATE) for folder in (root, tmp_path))
    assert np.abs(copy - original).max() < ROUNDING


def test_memory_does_not_grow_with_the_recording(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(recording_cache, "BLOCK", 1 << 16)
    soundfile.write(root / "long.wav", np.zeros(RATE * 1200, np.int16), RATE)
    tracemalloc.start()
    try:
        cache_recording("long.wav", root, tmp_path / "copies", RATE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20  # the whole of it is 77 MB


@pytest.mark.slow
def test_two_workers_make_what_one_makes(root: Path, tmp_path: Path) -> None:
    for num_workers in (1, 2):
        cache_recordings(ALL, root, tmp_path / str(num_workers), RATE, num_workers)
    for path in ALL["wav_path"]:
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes()


def test_a_recording_without_a_copy_is_found_before_the_training(tmp_path: Path) -> None:
    record, split, folder = tmp_path / "16000.json", tmp_path / "split", tmp_path / "copies"
    for path in (split, folder):
        path.mkdir()
    write_json(record, {"folder": str(folder)})
    for side in ("train", "dev"):
        pd.DataFrame({"wav_path": [f"{side}.wav"]}).to_parquet(split / f"{side}.parquet")
        (folder / f"{side}.wav").touch()
    assert copies_of(record, split) == folder
    (folder / "dev.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 1 recordings of dev have no copy .*dev\.wav among them; run --forcerun"):
        copies_of(record, split)
