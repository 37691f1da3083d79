"""Pitch of whole files, cut to crops: every value belongs to the frame that the model sees."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import PitchConfig, TeacherConfig
from audiorig.data.audio import read_window, source_of_row
from audiorig.data.crops import CropDataset
from audiorig.data.feature_store import FeatureStore
from audiorig.data.manifest import read_table
from audiorig.experiments import features
from audiorig.experiments.features import fit_teacher, measure_pitch, pitch_of_file, teacher_features
from audiorig.experiments.wavemae_items import CachedPitch, CachedTeacher, LivePitch, LiveTeacher
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.teachers.reduction import Reduction
from audiorig.models.teachers.w2v_bert import W2VBertTeacher

RATE, HOP = 24000, 256
YIN = PitchConfig(extractor="yin")


def glide(folder: Path, seconds: float) -> pd.Series:
    """A tone that climbs an octave every 4 s, with its second harmonic, as a WAV of 48 kHz."""
    time = np.arange(round(seconds * 48000)) / 48000
    phase = 2 * np.pi * np.cumsum(100 * 2 ** ((time / 4) % 2)) / 48000
    soundfile.write(folder / "glide.wav", 0.3 * np.sin(phase) + 0.1 * np.sin(2 * phase), 48000)
    return pd.Series({"wav_path": "glide.wav", "duration_sec": seconds, "archive_offset": None, "archive_size": None})


def test_windows_of_a_long_file_give_the_pitch_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row, tracker = glide(tmp_path, 20.0), PitchTracker(YIN, RATE, HOP)
    hz, is_voiced = pitch_of_file(row, tmp_path, tracker, RATE, HOP)
    assert len(hz) == 1 + 20 * RATE // HOP
    monkeypatch.setattr(features, "WINDOW_FRAMES", 3 * 100)
    pieces_hz, pieces_voiced = pitch_of_file(row, tmp_path, tracker, RATE, HOP)
    assert np.array_equal(is_voiced, pieces_voiced)
    np.testing.assert_allclose(pieces_hz, hz, rtol=1e-4)
    expected = 100 * 2 ** ((np.arange(len(hz)) * HOP / RATE / 4) % 2)
    assert np.median(np.abs(1200 * np.log2(hz / expected))) < 5


def test_the_cut_of_a_crop_is_what_is_measured_on_it(tones, tone_split: Path, tmp_path: Path) -> None:
    """Cached and live pitch agree inside a crop, frame by frame; a shift of one frame would not."""
    table = pd.concat([read_table(tone_split / f"{side}.parquet") for side in ("train", "dev", "test")])
    table.sort_values("wav_path").to_parquet(tmp_path / "manifest.parquet")
    row = glide(tones.root, 6.0)  # beside the tones; the split below holds it alone
    frame = pd.DataFrame([{**row, "participant_id": "x", "recording_id": "x"}])
    frame.to_parquet(tmp_path / "manifest.parquet")
    frame.to_feather(tmp_path / "train.arrow", compression="uncompressed")
    tracker, shard = PitchTracker(YIN, RATE, HOP), tmp_path / "shard-0-of-1.arrow"
    measure_pitch(tmp_path / "manifest.parquet", tones.root, tracker, RATE, HOP, 0, 1, shard)
    cached, live = CachedPitch(FeatureStore([shard]), HOP), LivePitch(tracker)
    crops = CropDataset(tmp_path / "train.arrow", tones.root, 127 * HOP, RATE, seed=0, grid=HOP)
    starts = set()
    for item in range(len(crops)):
        crop, samples = crops[0, item]
        starts.add(crop.start)
        assert crop.start % HOP == 0
        ours, theirs = (source.of(crop.wav_path, crop.start, samples)[0] for source in (cached, live))
        inside = slice(4, -4)  # at the ends, the live one hears silence beyond the crop
        cents = 1200 * np.abs(np.log2(ours[inside] / theirs[inside]))
        assert np.median(cents) < 0.3
        shifted = 1200 * np.abs(np.log2(ours[3:-5] / theirs[inside]))
        assert np.median(shifted) > 2  # 3.2 cents a frame
    assert len(starts) > 1
    (tones.root / "glide.wav").unlink()


def test_a_file_that_cannot_be_read_has_no_pitch(tones, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame([{"wav_path": "gone.wav", "duration_sec": 1.0, "archive_offset": None, "archive_size": None}])
    frame.to_parquet(tmp_path / "manifest.parquet")
    shard = tmp_path / "shard-0-of-1.arrow"
    measure_pitch(tmp_path / "manifest.parquet", tones.root, PitchTracker(YIN, RATE, HOP), RATE, HOP, 0, 1, shard)
    assert "gone.wav" in caplog.text
    hz, is_voiced = CachedPitch(FeatureStore([shard]), HOP).of("gone.wav", 0, np.zeros(1000, np.float32))
    assert len(hz) == 1 + 1000 // HOP
    assert not is_voiced.any()


def test_the_teacher_live_and_cached_agree_on_a_whole_file(
    tones, tone_split: Path, w2v_bert_folder: Path, tmp_path: Path
) -> None:
    """Statistics, features and alignment through the stages; a crop that is the file has nothing around it."""
    settings = TeacherConfig(kind="w2v-bert", layer=2, components=4)
    statistics, shard = tmp_path / "statistics.safetensors", tmp_path / "shard-0-of-1.arrow"
    fit_teacher(tone_split, tones.root, w2v_bert_folder, settings, statistics)
    place = (tones.root, w2v_bert_folder, settings, statistics, 0, 1, shard)
    teacher_features(tone_split / "train.parquet", *place)
    grid = (4, HOP, RATE)
    cached = CachedTeacher(FeatureStore([shard]), *grid)
    live = LiveTeacher(W2VBertTeacher(w2v_bert_folder, 2), Reduction.load(statistics), *grid)
    everything = []
    for _, row in read_table(tone_split / "train.parquet").iterrows():
        samples = read_window(source_of_row(tones.root, row), 0, -1, RATE)
        ours, theirs = (source.of(str(row["wav_path"]), 0, samples) for source in (cached, live))
        assert ours.shape == ((1 + len(samples) // HOP) // 4, 4)
        np.testing.assert_allclose(ours, theirs, atol=0.05)  # 24 kHz to 16 kHz once, and in windows
        everything.append(ours)
    spread = np.concatenate(everything)
    assert np.abs(spread.mean(0)).max() < 0.3
    assert np.abs(spread.std(0) - 1).max() < 0.4
