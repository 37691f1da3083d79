"""A WaveMAE small enough to train 40 steps in a second or two."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiorig.config import WaveMAERun
from audiorig.experiments import build
from audiorig.experiments.statistics import split_statistics
from audiorig.train.experiment import Experiment

SETTINGS = {
    "experiment": "wavemae",
    "seed": 3,
    "data": {"corpus": "tones", "split": "by-speaker", "crop_frames": 32},
    "model": {"width": 8, "depth": 2, "decoder_width": 8, "kernel": 3, "wide_kernel": 3, "decoder_kernel": 7},
    "train": {"max_steps": 40, "batch_size": 2, "eval_steps": 7, "save_steps": 10, "cpu_threads": 1},
}


def tiny_run(**train: object) -> WaveMAERun:
    """Settings of the tiny run, with other training settings."""
    return WaveMAERun.model_validate({**SETTINGS, "train": {**SETTINGS["train"], **train}})


@pytest.fixture(scope="session")
def statistics(tones, tone_split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statistics") / "statistics.safetensors"
    run = tiny_run()
    split_statistics(tone_split, tones.root, run.data, run.spectrogram).save(path)
    return path


@pytest.fixture
def make_experiment(tones, tone_split: Path, statistics: Path) -> Callable[[WaveMAERun], Experiment]:
    """A fresh experiment, as a new process would build it."""
    return lambda run: build(run, tone_split, tones.root, statistics)
