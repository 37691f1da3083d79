"""kill -9 at random times, again and again: nothing that was saved is lost, the end is the same."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from audiorig.files import read_json
from audiorig.train import checkpoints

ROOT = Path(__file__).resolve().parents[2]
NUM_KILLS = 15
SETTINGS = """
experiment: wavemae
seed: 3
data: {corpus: tones, split: by-speaker, crop_frames: 32}
model: {width: 8, depth: 2, decoder_width: 8, kernel: 3, wide_kernel: 3, decoder_kernel: 7}
pitch: {extractor: yin, source: live}
train: {max_steps: 1500, batch_size: 2, eval_steps: 500, save_steps: 3, cpu_threads: 1, audio_steps: 0}
"""


@pytest.fixture
def command(tones, tone_split: Path, tmp_path: Path) -> list[str]:
    """The training script, but for --folder."""
    corpus = tmp_path / "tones" / "corpus.yaml"
    corpus.parent.mkdir()
    corpus.write_text(f"kind: folder\nroot: {tones.root}\nmetadata: metadata.csv\n")
    (tmp_path / "train.yaml").write_text(SETTINGS)
    script = [sys.executable, str(ROOT / "workflow" / "scripts" / "spectrum_statistics.py")]
    inputs = ["--config", str(tmp_path / "train.yaml"), "--corpus", str(corpus), "--split", str(tone_split)]
    statistics = tmp_path / "statistics.safetensors"
    run([*script, *inputs, "--output", str(statistics)])
    return [
        sys.executable,
        str(ROOT / "workflow" / "scripts" / "train.py"),
        *inputs,
        "--statistics",
        str(statistics),
        "--folder",
    ]


def run(command: list[str]) -> None:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def kill_while_training(command: list[str], delay_sec: float) -> str:
    """Start the script, wait for the first step, then for a while, then kill; returns what it said."""
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True, bufsize=1)
    said = ""
    for line in process.stderr:
        said += line
        if "resuming from" in line or "starting from step 0" in line:
            break
    time.sleep(delay_sec)
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    process.wait()
    return said


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_weights(command: list[str], tmp_path: Path) -> None:
    unbroken, folder = tmp_path / "unbroken", tmp_path / "killed"
    run([*command, str(unbroken)])
    generator, newest = np.random.default_rng(0), 0
    for _ in range(NUM_KILLS):
        said = kill_while_training([*command, str(folder)], float(generator.uniform(0.1, 1.5)))
        started_at = re.search(r"resuming from \S*step-(\d+)", said)
        assert int(started_at[1] if started_at else 0) == newest, "a checkpoint that was whole has been lost"
        root = folder / "checkpoints"
        whole = checkpoints.newest_whole(root, read_json(root / checkpoints.FINGERPRINT))
        assert whole is None or checkpoints.step_of(whole) >= newest
        newest = checkpoints.step_of(whole) if whole else 0
    assert 0 < newest < 1500, "the kills came too early or too late to test anything"
    run([*command, str(folder)])
    ours, theirs = (torch.load(path / "final.ckpt", weights_only=True)["weights"] for path in (folder, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
