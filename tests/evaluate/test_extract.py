"""The embed command: what it writes, and that batches, windows and broken files leave no trace in it."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from audiorig.config import SeededConfig
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate import encoding
from audiorig.evaluate.embed import embed
from audiorig.evaluate.extract import Wanted, extract, find_clips
from audiorig.evaluate.pieces import Pieces
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.trained import config_digest, load_any, weights_digest

ROOT = Path(__file__).resolve().parents[2]
SHAPE = {"width": 12, "depth": 3, "kernel": 3, "wide_kernel": 7, "decoder_width": 8, "decoder_kernel": 3}


@pytest.fixture(scope="module")
def model() -> PatchEncoder:
    """An encoder whose response norms are at work."""
    torch.manual_seed(0)
    encoder = PatchEncoder(WaveMAEConfig(model=SHAPE)).eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.5)
            elif name.endswith("weight") and "blocks" in name:
                parameter.normal_(std=0.2)
    return encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sound files of several lengths, rates and kinds; names that do not sort by length."""
    generator = np.random.default_rng(0)
    root = tmp_path / "audio"
    (root / "deep" / "er").mkdir(parents=True)
    kinds = [("b.wav", 24000, 1.3), ("a.flac", 16000, 0.4), ("deep/c.wav", 44100, 2.2), ("deep/er/d.ogg", 48000, 0.9)]
    for name, rate, seconds in [*kinds, ("z.aiff", 24000, 0.7)]:
        soundfile.write(root / name, 0.1 * generator.standard_normal(round(seconds * rate)), rate)
    return root


def run(model: PatchEncoder, audio: Path, output: Path, **wanted) -> pd.DataFrame:
    clips, root = find_clips(audio, num_workers=1)
    extract(model, clips, root, output, Wanted(**wanted))
    return pd.read_parquet(output)


def matrix(table: pd.DataFrame) -> np.ndarray:
    return np.stack(table["embedding"])


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-5) -> bool:
    return a.shape == b.shape and float(np.abs(a - b).max()) <= tolerance * float(np.abs(b).max())


def test_a_row_per_file_in_order(model, folder, tmp_path) -> None:
    table = run(model, folder, tmp_path / "out.parquet")
    assert table["wav_path"].tolist() == ["a.flac", "b.wav", "deep/c.wav", "deep/er/d.ogg", "z.aiff"]
    assert table["duration_sec"].tolist() == pytest.approx([0.4, 1.3, 2.2, 0.9, 0.7])
    assert matrix(table).shape == (5, 12)
    assert matrix(table).dtype == np.float32
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.field("embedding").type.list_size == 12
    assert schema.metadata[b"audiorig.config_digest"].decode() == config_digest(model)
    assert schema.metadata[b"audiorig.weights_digest"].decode() == weights_digest(model)
    assert float(schema.metadata[b"audiorig.frame_hz"]) == 46.875
    said = {
        name: schema.metadata[f"audiorig.{name}".encode()].decode() for name in ("level", "layer", "sample_rate_hz")
    }
    assert said == {"level": "clip", "layer": "final", "sample_rate_hz": "24000"}
    assert not (tmp_path / "out.failed.csv").exists()


@pytest.mark.parametrize("layer", ["final", "all", "block-2"])
def test_clips_are_what_the_probes_see(model, folder, tmp_path, layer) -> None:
    table = run(model, folder, tmp_path / "out.parquet", layer=layer, pool="mean+std")
    clips, root = find_clips(folder, num_workers=1)
    expected = embed(model, Pieces(clips, root, 24000), 2, "x")[layer]
    assert close(matrix(table), expected)
    mean = run(model, folder, tmp_path / "mean.parquet", layer=layer)
    width = 12
    assert close(matrix(mean)[:, :width], expected[:, :width])


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_the_batch_size_changes_nothing(model, folder, tmp_path, level) -> None:
    tables = [run(model, folder, tmp_path / f"{size}.parquet", level=level, batch_size=size) for size in (1, 3, 16)]
    for other in tables[1:]:
        assert other["wav_path"].tolist() == tables[0]["wav_path"].tolist()
        assert close(matrix(other), matrix(tables[0]))


def test_frames_are_the_encoder_s_with_their_times(model, folder, tmp_path) -> None:
    table = run(model, folder, tmp_path / "out.parquet", level="frame", layer="block-1")
    one = table[table["wav_path"] == "b.wav"]
    samples, _ = soundfile.read(folder / "b.wav", dtype="float32")
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(samples)[None]).layers[0][0].numpy()
    assert close(matrix(one), expected)
    assert one["frame"].tolist() == list(range(len(expected)))
    assert one["time_sec"].to_numpy() == pytest.approx((np.arange(len(expected)) * 512 + 128) / 24000)
    assert table["wav_path"].drop_duplicates().tolist() == ["a.flac", "b.wav", "deep/c.wav", "deep/er/d.ogg", "z.aiff"]


def test_a_clip_is_the_mean_of_its_frames_also_in_windows_and_chunks(model, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(encoding, "CHUNK_WINDOWS", 2)  # a file's windows then lie in several chunks
    frames = run(model, folder, tmp_path / "frames.parquet", level="frame", max_sec=0.6)
    clips = run(model, folder, tmp_path / "clips.parquet", max_sec=0.6)
    assert pq.ParquetFile(tmp_path / "frames.parquet").num_row_groups > 3
    for row in clips.itertuples():
        own = frames[frames["wav_path"] == row.wav_path]
        assert own["frame"].tolist() == list(range(len(own)))
        assert close(matrix(own).mean(0), row.embedding)
    whole = run(model, folder, tmp_path / "whole.parquet", level="frame")
    assert frames["frame"].tolist() == whole["frame"].tolist()
    error = np.linalg.norm(matrix(frames) - matrix(whole)) / np.linalg.norm(matrix(whole))
    assert 0 < error < 0.05  # steady noise: see test_windows for what a seam can be


def test_files_that_cannot_be_read_are_listed_and_nothing_else_is_lost(model, folder, tmp_path) -> None:
    expected = run(model, folder, tmp_path / "expected.parquet")
    (folder / "aa.wav").write_bytes(b"RIFF no audio")
    soundfile.write(folder / "short.wav", np.ones(100) * 0.1, 24000)
    soundfile.write(folder / "nan.wav", np.full(9000, np.nan), 24000, subtype="FLOAT")
    soundfile.write(folder / "cut.wav", np.random.default_rng(0).standard_normal(48000) * 0.1, 24000)
    content = (folder / "cut.wav").read_bytes()
    os.symlink("/dev/null", folder / "outside.wav")
    table = run(model, folder, tmp_path / "out.parquet")
    assert close(matrix(table[table["wav_path"] != "cut.wav"]), matrix(expected))
    with (tmp_path / "out.failed.csv").open() as file:
        failed = {row["wav_path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(failed) == {"aa.wav", "nan.wav", "outside.wav", "short.wav"}
    assert failed["short.wav"] == "too short: 0.0042 s hold no frame of the encoder"
    assert failed["nan.wav"] == "samples that are NaN or infinite"
    assert all(str(folder) not in reason for reason in failed.values())
    # A file that shrinks after it was listed: its first frames stay, and the list says how many.
    clips, root = find_clips(folder, num_workers=1)
    (folder / "cut.wav").write_bytes(content[: len(content) // 2])
    done = extract(model, clips, root, tmp_path / "frames.parquet", Wanted(level="frame", max_sec=0.6))
    frames = pd.read_parquet(tmp_path / "frames.parquet")
    failure = next(failure for failure in done.failures if failure.wav_path == "cut.wav")
    assert failure.frames_written == (frames["wav_path"] == "cut.wav").sum() > 20
    again = run(model, folder / "b.wav", tmp_path / "out.parquet")
    assert len(again) == 1
    assert not (tmp_path / "out.failed.csv").exists()


def test_nothing_is_written_if_nothing_can_be_read(model, tmp_path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"no audio at all")
    with pytest.raises(DataError, match=r"none of 1 files could be read; a\.wav: "):
        run(model, tmp_path / "audio", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    assert (tmp_path / "out.failed.csv").exists()


def test_a_split_can_be_embedded(model, tone_split, tones, tmp_path) -> None:
    clips, root = find_clips(tone_split / "dev.parquet", tones.root)
    extract(model, clips, root, tmp_path / "out.parquet", Wanted())
    assert pd.read_parquet(tmp_path / "out.parquet")["wav_path"].tolist() == clips["wav_path"].tolist()
    assert len(clips) == len(read_table(tone_split / "dev.parquet"))


def test_wrong_wishes_are_said_in_a_sentence(model, folder, tone_split, tmp_path) -> None:
    with pytest.raises(DataError, match="--layer block-9: this model has final, all, block-1, block-2, block-3"):
        run(model, folder, tmp_path / "out.parquet", layer="block-9")
    with pytest.raises(DataError, match=r"--window-sec 0\.1: .*at least"):
        run(model, folder, tmp_path / "out.parquet", max_sec=0.1)
    with pytest.raises(DataError, match="no such file or folder"):
        find_clips(tmp_path / "nowhere")
    with pytest.raises(DataError, match="say with --root"):
        find_clips(tone_split / "dev.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no audio found; looked for names that end in \.wav, \.flac"):
        find_clips(tmp_path / "empty")


@pytest.mark.parametrize("layer", ["final", "all", "block-1"])
def test_a_wav2vec2_is_embedded_as_the_probes_see_it(folder, tmp_path, layer) -> None:
    settings = {
        **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
        **{"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5], "num_feat_extract_layers": 3},
        **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2},
    }
    make_seeded(SeededConfig(seeded="wav2vec2", settings=settings), tmp_path / "run" / "model")
    encoder = load_any(tmp_path / "run")
    table = run(encoder, folder, tmp_path / "out.parquet", layer=layer, pool="mean+std")
    clips, root = find_clips(folder, num_workers=1)
    assert close(matrix(table), embed(encoder, Pieces(clips, root, 16000), 2, "x")[layer], 1e-4)
    frames = run(encoder, folder, tmp_path / "frames.parquet", layer=layer, level="frame", max_sec=2.0)
    counts = frames.groupby("wav_path", observed=True).size()
    for clip in clips.itertuples():
        assert counts[clip.wav_path] == encoder.num_frames(int(clip.duration_sec * 16000 + 1e-6))
    assert float(pq.read_schema(tmp_path / "out.parquet").metadata[b"audiorig.frame_hz"]) == 50


@pytest.mark.slow
def test_the_command(folder, tmp_path) -> None:
    """The script, from a model folder to a table; errors are one line."""
    from audiorig.models import WaveMAE

    WaveMAE(WaveMAEConfig(model=SHAPE)).save_pretrained(tmp_path / "run" / "model")
    command = [sys.executable, str(ROOT / "workflow/scripts/embed.py"), "--output", str(tmp_path / "out.parquet")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    good = [*command, "--model", str(tmp_path / "run"), "--audio", str(folder), "--level", "frame"]
    subprocess.run(good, check=True, env=environment, capture_output=True)
    assert set(pd.read_parquet(tmp_path / "out.parquet")) == {"wav_path", "frame", "time_sec", "embedding"}
    bad = [*command, "--model", str(tmp_path / "none"), "--audio", str(folder)]
    done = subprocess.run(bad, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "results/RUN" in done.stderr
