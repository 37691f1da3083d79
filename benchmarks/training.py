"""Training end to end: the trainer with its loader and log, against a bare loop over one batch in memory.

A corpus of WAVs is made in a temporary folder, with its split, statistics and pitch; the experiment
is built as a run builds it, with all parts of the loss. Both contenders train the same model, in
turns; the best round of each counts. Set-up and the first steps of a round are not timed.

    PYTHONPATH=src python benchmarks/training.py --size mini --rounds 5
"""

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from audiorig.config import SplitConfig, WaveMAERun
from audiorig.data.manifest import write_table
from audiorig.data.split import split_manifest, write_split
from audiorig.experiments import Inputs, build
from audiorig.experiments.features import measure_pitch
from audiorig.experiments.statistics import split_statistics
from audiorig.models.pitch.track import PitchTracker
from audiorig.train.compilation import compile_blocks
from audiorig.train.experiment import Experiment
from audiorig.train.trainer import RigTrainer

RATE, FILE_SEC, NUM_FILES = 24000, 20, 48
WARM_STEPS = 3


def make_inputs(folder: Path, run: WaveMAERun) -> Inputs:
    """Gliding voices in noise as 16-bit WAVs, and everything that a run needs of them."""
    generator, time_sec = np.random.default_rng(0), np.arange(FILE_SEC * RATE) / RATE
    for index in range(NUM_FILES):
        pitch_hz = generator.uniform(90, 250) * (1 + 0.3 * np.sin(time_sec * generator.uniform(1, 4)))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
        voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
        loudness = np.abs(np.sin(time_sec * generator.uniform(3, 8))) ** 2
        samples = 0.1 * voice * loudness + 0.003 * generator.standard_normal(len(time_sec))
        soundfile.write(folder / f"{index:03d}.wav", samples, RATE, "PCM_16")
    names = [f"{index:03d}.wav" for index in range(NUM_FILES)]
    rows = pd.DataFrame({"wav_path": names, "duration_sec": float(FILE_SEC), "problem": None})
    rows = rows.assign(recording_id=names, participant_id=names)
    settings, split = SplitConfig(group="recording", stratify=None, shares=(0.8, 0.1, 0.1)), folder / "split"
    split.mkdir()
    no_trouble = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
    write_split(split_manifest(rows, no_trouble, settings, "by-file"), settings, split)
    split_statistics(split, folder, run.data, run.spectrogram).save(folder / "statistics.safetensors")
    write_table(rows, folder / "manifest.parquet")
    hop = run.spectrogram.hop
    tracker, shard = PitchTracker(run.pitch, RATE, hop), folder / "shard-0-of-1.arrow"
    measure_pitch(folder / "manifest.parquet", folder, tracker, RATE, hop, 0, 1, shard)
    return Inputs(split, folder, folder, folder / "statistics.safetensors", (shard,))


class Watch(TrainerCallback):
    """The time from the end of the warm-up to the end of the last step."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps, self.began, self.seconds = num_steps, 0.0, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **other: Any) -> None:
        if state.global_step in (WARM_STEPS, WARM_STEPS + self.num_steps):
            wait_for_device()
            self.began, self.seconds = time.perf_counter(), time.perf_counter() - self.began


class WatchedTrainer(RigTrainer):
    """Counts the seconds in which it waits for the loader."""

    waited = 0.0

    def get_batch_samples(self, *others: Any) -> Any:
        began = time.perf_counter()
        found = super().get_batch_samples(*others)
        if self.state.global_step >= WARM_STEPS:
            self.waited += time.perf_counter() - began
        return found


def wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def make_trainer(experiment: Experiment, run: WaveMAERun, folder: Path, watch: Watch) -> WatchedTrainer:
    trainer = WatchedTrainer(experiment, run.train, folder, run.seed, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)
    trainer._save_checkpoint = lambda *others: None  # type: ignore[method-assign]
    return trainer


def train(experiment: Experiment, run: WaveMAERun, folder: Path, num_steps: int) -> tuple[float, float]:
    """Seconds of the steps, and those in which the loader was waited for."""
    watch = Watch(num_steps)
    trainer = make_trainer(experiment, run, folder, watch)
    trainer.train()
    return watch.seconds, trainer.waited


class BareLoop:
    """One batch in memory again and again: forward, backward, clip, step."""

    def __init__(self, experiment: Experiment, run: WaveMAERun, folder: Path) -> None:
        trainer = make_trainer(experiment, run, folder, Watch(0))
        self.model, self.optimizer = trainer.model, trainer.create_optimizer()
        self.context, self.clip_norm = trainer.accelerator.autocast, run.train.clip_norm
        items = [experiment.train_dataset[0, item] for item in range(run.train.batch_size)]
        self.batch = trainer._prepare_inputs(experiment.collate(items))

    def forward_backward(self) -> None:
        with self.context():
            loss = self.model(**self.batch).loss
        loss.backward()

    def step(self) -> None:
        self.forward_backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def seconds(self, num_steps: int) -> float:
        self.model.train()
        for _ in range(WARM_STEPS):
            self.step()
        wait_for_device()
        began = time.perf_counter()
        for _ in range(num_steps):
            self.step()
        wait_for_device()
        return time.perf_counter() - began

    def flop(self) -> int:
        """Operations of a step in matrix products, from their shapes.

        Not in convolutions: the counter takes the backward pass of a depthwise one for a full one,
        and what they really do is less than a hundredth of the rest.
        """
        with FlopCounterMode(display=False) as counter:
            self.forward_backward()
        self.optimizer.zero_grad()
        counts = counter.get_flop_counts()["Global"]
        return sum(count for operator, count in counts.items() if "convolution" not in str(operator))

    def table(self) -> str:
        """The operators of three steps, by their own time."""
        is_cuda = torch.cuda.is_available()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
        with profile(activities=activities) as profiler:
            for _ in range(3):
                self.step()
        order = "self_cuda_time_total" if is_cuda else "self_cpu_time_total"
        return profiler.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=40)


def product_ceiling(device: torch.device, precision: str) -> float:
    """FLOP/s of one large matrix product, the best of ten."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = math.inf
    for _ in range(10):
        wait_for_device()
        began = time.perf_counter()
        left @ right
        wait_for_device()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def measure(options: argparse.Namespace, folder: Path) -> None:
    num_steps = WARM_STEPS + options.steps
    section = {"max_steps": num_steps, "eval_steps": 10**6, "save_steps": 10**6, "cpu_threads": options.threads}
    section |= {"batch_size": options.batch, "precision": options.precision, "num_workers": options.workers}
    run = WaveMAERun.model_validate(
        {
            "experiment": "wavemae",
            "model": {"size": options.size},
            "pitch": {"extractor": "yin", "num_shards": 1},
            "train": {**section, "audio_steps": 0},
        }
    )
    experiment = build(run, make_inputs(folder, run))
    loop = BareLoop(experiment, run, folder)
    device = next(loop.model.parameters()).device
    flop = loop.flop()
    if options.profile:
        loop.seconds(1)
        print(loop.table())
    if options.compile:
        began = time.perf_counter()
        compile_blocks(experiment.model)
        loop.step()
        print(f"compiled in {time.perf_counter() - began:.0f} s")
    bare, whole, stall = math.inf, math.inf, 0.0
    for _ in range(options.rounds):
        bare = min(bare, loop.seconds(options.steps))
        took, waited = train(experiment, run, folder, options.steps)
        if took < whole:
            whole, stall = took, waited / took
    audio_sec = experiment.item_sec * options.batch * options.steps
    precision = "bf16" if loop.context.__self__.mixed_precision == "bf16" else "fp32"
    kind = type(loop.optimizer).__name__ + (", fused" if loop.optimizer.defaults.get("fused") else "")
    print(f"{options.size}, {options.batch} crops of {experiment.item_sec:.2f} s, {device.type}, {precision}, {kind}")
    for name, seconds in (("one batch in memory", bare), ("trainer and loader", whole)):
        print(f"{name:20s} {1e3 * seconds / options.steps:8.1f} ms a step {audio_sec / seconds:9.0f} s of audio / s")
    ceiling = product_ceiling(device, precision)
    print(f"{flop / 1e9:.1f} GFLOP a step; one large product reaches {ceiling / 1e9:.0f} GFLOP/s")
    print(f"RATIO trainer_of_one_batch {bare / whole:.3f}")
    print(f"RATIO data_stall {stall:.4f}")
    print(f"RATIO flop_of_product_ceiling {flop * options.steps / bare / ceiling:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="mini", choices=("mini", "small", "base"))
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--steps", type=int, default=15, help="timed steps of a round of each contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes that read; 0: two threads read ahead")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print the operators of a step first")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.cuda.is_available = lambda: False  # the trainer takes a GPU wherever it sees one
    elif not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no GPU")
    torch.set_num_threads(options.threads)
    transformers_logging.set_verbosity_warning()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
