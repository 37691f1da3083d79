"""A WaveMAE small enough to train 40 steps in a second or two."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from audiorig.config import SIDES, WaveMAERun
from audiorig.data.feature_store import compute_shard
from audiorig.data.manifest import read_table
from audiorig.experiments import Inputs, build
from audiorig.experiments.features import measure_pitch
from audiorig.experiments.statistics import split_statistics
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.teachers.reduction import Reduction
from audiorig.randomness import keyed_generator
from audiorig.train import ranks
from audiorig.train.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
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
        return build(run, Inputs(tone_split, tones.root, tmp_path, statistics, pitch, *features))

    return make


@dataclass(frozen=True)
class Launched:
    """A torchrun with its ranks and their workers, which all carry a mark."""

    mark: str
    process: subprocess.Popen

    def pids(self) -> list[int]:
        """Whatever carries the mark and lives: also what is nobody's child any more."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_marked = self.mark.encode() in (folder / "environ").read_bytes()
                if is_marked and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(folder.name))
        return found

    def left_after(self, seconds: float) -> list[int]:
        """What is still there after so long, or at once if nothing is."""
        deadline = time.monotonic() + seconds
        while (left := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def end(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start a program as several ranks by torchrun, as the rule's `launch` does it."""
    started: list[Launched] = []

    def start(arguments: list[str], num_ranks: int = 2) -> Launched:
        mark = uuid.uuid4().hex
        changes = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-m", "torch.distributed.run", "--no-python", "--standalone"]
        command += ["--nproc_per_node", str(num_ranks), "--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]
        with (tmp_path / f"launch-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, sys.executable, *arguments],
                env={**os.environ, **changes, "TEST_MARK": mark},
                stdout=log,
                stderr=log,
            )
        started.append(Launched(f"TEST_MARK={mark}", process))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def fork_ranks(tmp_path: Path) -> Callable[..., list[int]]:
    """Run a function as the ranks of one training, in forks of this process: it has imported all they need."""
    if torch.cuda.is_initialized():
        pytest.skip("CUDA is in use: no process can be forked")

    def run(function: Callable[[], None], num_ranks: int = 2, timeout_sec: float = 100) -> list[int]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        pids = []
        for rank in range(num_ranks):
            pid = os.fork()
            if pid == 0:
                log = os.open(tmp_path / f"rank-{rank}.log", os.O_WRONLY | os.O_CREAT)
                os.dup2(log, 1), os.dup2(log, 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                logging.getLogger().handlers.clear()  # pytest's
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
                os.environ |= {"WORLD_SIZE": str(num_ranks), "LOCAL_WORLD_SIZE": str(num_ranks)}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                ranks.run(function)  # which never returns
            pids.append(pid)
        return _codes(pids, timeout_sec)

    return run


def _codes(pids: list[int], timeout_sec: float) -> list[int]:
    """Exit codes of children; those that still run after the time are killed: -9."""
    codes: dict[int, int] = {}
    deadline = time.monotonic() + timeout_sec
    while len(codes) < len(pids):
        for pid in set(pids) - set(codes):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            found, status = os.waitpid(pid, 0 if time.monotonic() > deadline else os.WNOHANG)
            if found:
                codes[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return [codes[pid] for pid in pids]
