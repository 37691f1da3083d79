"""The script itself: a tracker's key in .env, weights to begin with, a device that is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audiorig.files import read_json

ROOT = Path(__file__).resolve().parents[2]
KEY = "5ecre7" + "0123456789abcdef" * 2 + "00"
SETTINGS = """
experiment: wavemae
seed: 3
data: {corpus: tones, split: by-speaker, crop_frames: 32}
model: {width: 8, depth: 2, decoder_width: 8, kernel: 3, wide_kernel: 3, decoder_kernel: 7}
pitch: {extractor: yin, source: live}
train: {max_steps: 4, batch_size: 2, eval_steps: 2, save_steps: 3, cpu_threads: 1, audio_steps: 0}
log: {wandb: {mode: offline}}
"""


@pytest.fixture
def script(tones, tone_split: Path, statistics: Path, tmp_path: Path):
    """Runs train.py in an empty folder with a .env, for one run's folder."""
    corpus = tmp_path / "tones" / "corpus.yaml"
    corpus.parent.mkdir()
    corpus.write_text(f"kind: folder\nroot: {tones.root}\nmetadata: metadata.csv\nprivate: true\n")
    (tmp_path / "train.yaml").write_text(SETTINGS)
    (tmp_path / ".env").write_text(f"WANDB_API_KEY={KEY}\n")
    (tmp_path / ".env").chmod(0o600)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    environment.pop("WANDB_API_KEY", None)

    def run(name: str, *options: str, split: Path = tone_split) -> tuple[Path, subprocess.CompletedProcess]:
        folder = tmp_path / "results" / name
        command = [sys.executable, str(ROOT / "workflow" / "scripts" / "train.py"), "--folder", str(folder)]
        command += ["--config", "train.yaml", "--corpus", "tones/corpus.yaml", "--split", str(split)]
        command += ["--statistics", str(statistics), *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return folder, done

    return run


@pytest.mark.slow
def test_a_key_and_names_stay_where_they_are(script, tones, tmp_path: Path) -> None:
    """The key is in .env alone, and no participant or path is told, also where settings name one."""
    pytest.importorskip("wandb")
    speaker = str(tones.table["participant_id"][0])
    where = f"train.probe={{every_steps: 0, where: {{participant_id: [{speaker}]}}}}"
    folder, done = script("run", "--set", where)
    assert done.returncode == 0, done.stderr
    (record,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    told = record.read_bytes()
    assert b"train/total" in told and b"by-speaker" in told
    for name in (speaker, str(tmp_path), str(tones.root), str(ROOT)):
        assert name.encode() not in told, name
    assert KEY not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != ".env":
            assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_another(script, tmp_path: Path) -> None:
    first, done = script("first", "--set", "log.wandb.mode=disabled")
    assert done.returncode == 0, done.stderr
    slow = ("--set", "train.learning_rate=1e-12", "--set", "log.wandb.mode=disabled")
    second, done = script("second", *slow, "--start", str(first / "final.ckpt"))
    assert done.returncode == 0, done.stderr
    assert "beginning with the weights of" in done.stderr
    weights = [torch.load(each / "final.ckpt", weights_only=True)["weights"] for each in (first, second)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-9, rtol=1e-6)
    record = read_json(second / "final.ckpt.provenance.json")
    assert len(record["start_weights_sha256"]) == 64
    assert str(tmp_path) not in str(record)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_does_not_fit_is_said_before_anything_is_read(script, tmp_path: Path) -> None:
    """The split is not there either, and nobody has come to miss it."""
    folder, done = script("run", "--set", "train.device=cuda", split=tmp_path / "nowhere")
    assert done.returncode == 1
    assert "train.device: cuda needs a GPU" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "checkpoints").exists()
