"""A WaveMAE small enough to train 40 steps in a second or two."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiorig.config import WaveMAERun
from audiorig.data.feature_store import compute_shard
from audiorig.data.manifest import read_table
from audiorig.data.split import SIDES
from audiorig.experiments import Inputs, build
from audiorig.experiments.features import measure_pitch
from audiorig.experiments.statistics import split_statistics
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.teachers.reduction import Reduction
from audiorig.randomness import keyed_generator
from audiorig.train.experiment import Experiment

SETTINGS = {
    "experiment": "wavemae",
    "seed": 3,
    "data": {"corpus": "tones", "split": "by-speaker", "crop_frames": 32},
    "model": {"width": 8, "depth": 2, "decoder_width": 8, "kernel": 3, "wide_kernel": 3, "decoder_kernel": 7},
    "pitch": {"num_shards": 2},
    "teacher": {"codebooks": 2, "codes": 16},
    "train": {"max_steps": 40, "audio_steps": 0, "batch_size": 2, "eval_steps": 7, "save_steps": 10, "cpu_threads": 1},
}


def tiny_run(**train: object) -> WaveMAERun:
    """Settings of the tiny run, with other training settings."""
    return WaveMAERun.model_validate({**SETTINGS, "train": {**SETTINGS["train"], **train}})


def with_labels(split: Path, folder: Path, change: Callable[[str, pd.DataFrame], pd.DataFrame]) -> Path:
    """A copy of a split whose languages are changed by side."""
    folder.mkdir()
    for side in SIDES:
        table = pd.read_parquet(split / f"{side}.parquet")
        change(side, table).to_parquet(folder / f"{side}.parquet")
    return folder


@pytest.fixture(scope="session")
def statistics(tones, tone_split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statistics") / "statistics.safetensors"
    run = tiny_run()
    split_statistics(tone_split, tones.root, run.data, run.spectrogram).save(path)
    return path


@pytest.fixture(scope="session")
def pitch(tones, tone_split: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Measured pitch of all tones, in two shards."""
    folder, run = tmp_path_factory.mktemp("pitch"), tiny_run()
    tracker = PitchTracker(run.pitch, 24000, 256)
    rows = pd.concat([read_table(tone_split / f"{side}.parquet") for side in ("train", "dev", "test")])
    rows.sort_values("wav_path").to_parquet(folder / "manifest.parquet")
    shards = tuple(folder / f"shard-{shard}-of-2.arrow" for shard in range(2))
    for shard, path in enumerate(shards):
        measure_pitch(folder / "manifest.parquet", tones.root, tracker, 24000, 256, shard, 2, path)
    return shards


@pytest.fixture(scope="session")
def teacher(tone_split: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Made-up features of a teacher, eight numbers fifty times a second, in one shard."""
    rows = pd.concat([read_table(tone_split / f"{side}.parquet") for side in ("train", "dev", "test")])
    folder = tmp_path_factory.mktemp("teacher")

    def compute(row: pd.Series) -> dict[str, np.ndarray]:
        generator = keyed_generator("teacher", row["wav_path"])
        return {"features": generator.standard_normal((int(50 * row["duration_sec"]), 8)).astype(np.float16)}

    compute_shard(rows.sort_values("wav_path"), compute, folder / "shard-0-of-1.arrow", folder / "parts")
    return (folder / "shard-0-of-1.arrow",)


@pytest.fixture(scope="session")
def reduction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of those features: as they are."""
    path, ones = tmp_path_factory.mktemp("reduction") / "statistics.safetensors", np.ones(8, np.float32)
    Reduction(0 * ones, ones, np.empty((0, 8), np.float32), np.empty(0, np.float32), 1.0).save(path)
    return path


@pytest.fixture
def make_experiment(
    tones,
    tone_split: Path,
    statistics: Path,
    pitch: tuple[Path, ...],
    teacher: tuple[Path, ...],
    reduction: Path,
    tmp_path: Path,
) -> Callable[[WaveMAERun], Experiment]:
    """A fresh experiment with all losses on, as a new process would build it."""

    def make(run: WaveMAERun) -> Experiment:
        features = (teacher, reduction) if run.teacher.kind == "w2v-bert" else ((), None)
        return build(run, Inputs(tone_split, tones.root, statistics, tmp_path, pitch, *features))

    return make
