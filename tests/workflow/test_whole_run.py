"""From files to the report, and what runs again when something changes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
import yaml

from audiorig.files import read_json
from audiorig.train.checkpoints import FINGERPRINT, newest_whole

CONFIG = ("--configfile", "tiny.yaml")
AFTER_TRAINING = {"probe": 1, "reconstruct": 1, "metrics": 1, "report": 1, "compare": 1}


def without_all(jobs: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in jobs.items() if name != "all"}


def test_the_run_left_what_it_promised(finished) -> None:
    results = finished.folder / "results"
    checkpoint = torch.load(results / "tiny" / "final.ckpt", weights_only=True)
    assert set(checkpoint) == {"weights", "config", "provenance"}
    assert checkpoint["config"]["model"]["depth"] == 2
    assert len(checkpoint["provenance"]["package_digest"]) == 64
    rows = json.loads((results / "tiny" / "metrics.json").read_text())
    keys = {"task", "split", "system", "layer", "seed", "metric", "value", "low", "high", "n", "num_groups"}
    assert all(keys <= set(row) for row in rows)
    assert {row["task"] for row in rows} == {"language", "reconstruction", "pitch"}
    assert {row["w2v_target"] for row in rows} == {"bestrq"}
    accuracy = {row["system"]: row["value"] for row in rows if row["metric"] == "accuracy"}
    assert accuracy["log-mel"] == 1.0  # a language is a pitch here: if this fails, labels got mixed up
    assert (results / "report.html").stat().st_size > 1000


def test_broken_files_are_reported_and_left_out(finished) -> None:
    corpus = finished.folder / "results" / "corpora" / "tones"
    invalid = pd.read_parquet(corpus / "validation" / "invalid_files.parquet")
    reasons = {row.wav_path: row.reason for row in invalid.itertuples() if row.severity == "error"}
    assert reasons == {
        "empty.wav": "unreadable_header",
        "text.wav": "unreadable_header",
        "cut.wav": "unreadable_header",
        "folder.wav": "not_regular",
    }
    manifest = pd.read_parquet(corpus / "manifest.parquet")
    assert set(reasons) < set(manifest["wav_path"])
    split = pd.concat(pd.read_parquet(path) for path in (corpus / "splits" / "by-speaker").glob("*.parquet"))
    assert set(manifest["wav_path"]) - set(split["wav_path"]) == set(reasons)


def test_no_audio_is_written_below_results(finished) -> None:
    written = {path.suffix for path in (finished.folder / "results").rglob("*")}
    assert not written & {".wav", ".flac", ".mp3", ".ogg"}


def test_nothing_is_left_to_do(finished) -> None:
    assert finished.planned(*CONFIG) == {}


def test_another_learning_rate_trains_again(finished) -> None:
    jobs = finished.planned(*CONFIG, "--config", "tiny={train: {learning_rate: 0.0005}}")
    assert without_all(jobs) == {"resolve": 1, "train": 1, **AFTER_TRAINING}


def test_another_probe_setting_only_probes_again(finished) -> None:
    jobs = finished.planned(*CONFIG, "--config", "tiny={probe: {neighbours: 3}}")
    assert without_all(jobs) == {"resolve": 1, "plan_probe": 1, **AFTER_TRAINING}


def test_another_note_only_reports_again(finished) -> None:
    jobs = finished.planned(*CONFIG, "--config", "tiny={report: {title: Another}}")
    assert without_all(jobs) == {"resolve": 1, "report": 1, "compare": 1}


def test_a_docstring_reruns_nothing_and_the_report_says_so(finished) -> None:
    module = finished.folder / "src" / "audiorig" / "data" / "crops.py"
    original = module.read_text()
    before = json.loads((finished.folder / "results/tiny/final.ckpt.provenance.json").read_text())["package_digest"]
    try:
        module.write_text(original.replace('"""Training crops:', '"""Crops to train on:', 1))
        assert module.read_text() != original
        assert finished.planned(*CONFIG) == {}
        done = finished.snakemake(*CONFIG, "--forcerun", "report", "--", "results/tiny/report.html")
        assert done.returncode == 0, done.stdout
        page = (finished.folder / "results" / "tiny" / "report.html").read_text()
        after = json.loads((finished.folder / "results/tiny/report.html.provenance.json").read_text())["package_digest"]
        assert before != after
        assert before[:12] in page
        assert after[:12] in page
    finally:
        module.write_text(original)


def pitch_of(results: Path) -> list[str]:
    """Shards of the measured pitch of the tones."""
    return [str(path) for path in sorted((results / "corpora" / "tones" / "features").glob("*/shard-*-of-*.arrow"))]


def test_a_killed_training_ends_in_the_same_weights(finished, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same command again."""
    results = finished.folder / "results"
    folder = tmp_path / "results" / "tiny"
    split = results / "corpora" / "tones" / "splits" / "by-speaker"
    command = [sys.executable, "workflow/scripts/train.py", "--folder", str(folder), "--split", str(split)]
    command += ["--config", str(results / "tiny/config/train.yaml")]
    command += ["--corpus", str(results / "corpora/tones/corpus.yaml")]
    command += ["--statistics", str(results / "tiny/statistics.safetensors"), "--pitch", *pitch_of(results)]
    environment = {**os.environ, "PYTHONPATH": str(finished.folder / "src")}
    killed = subprocess.Popen(command, cwd=finished.folder, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints" / "step-10").exists() and time.monotonic() < deadline:
        assert killed.poll() is None, "the training ended by itself"
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (folder / "final.ckpt").exists()
    assert (folder / "owner.json").exists()
    done = subprocess.run(command, cwd=finished.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "taking over from process" in done.stderr
    assert "resuming from" in done.stderr
    ours = torch.load(folder / "final.ckpt", weights_only=True)["weights"]
    theirs = torch.load(results / "tiny" / "final.ckpt", weights_only=True)["weights"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_signal_saves_and_says_unfinished(finished, tmp_path: Path) -> None:
    results = finished.folder / "results"
    command = [sys.executable, "workflow/scripts/train.py", "--folder", str(tmp_path)]
    command += ["--split", str(results / "corpora" / "tones" / "splits" / "by-speaker")]
    command += ["--config", str(results / "tiny/config/train.yaml"), "--set", "train.max_steps=100000"]
    command += ["--corpus", str(results / "corpora/tones/corpus.yaml")]
    command += ["--statistics", str(results / "tiny/statistics.safetensors"), "--pitch", *pitch_of(results)]
    environment = {**os.environ, "PYTHONPATH": str(finished.folder / "src")}
    process = subprocess.Popen(command, cwd=finished.folder, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "step-10").exists() and time.monotonic() < deadline:
        assert process.poll() is None, "the training ended by itself"
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "stopped by SIGUSR1 at step" in messages
    assert "Traceback" not in messages
    assert not (tmp_path / "final.ckpt").exists()
    assert not (tmp_path / "owner.json").exists()


def test_a_misspelt_label_is_found_before_the_training(finished) -> None:
    done = finished.snakemake(
        *CONFIG,
        "--config",
        "tiny={seed: 7, probe: {tasks: {language: {label: langauge}}}}",
        "--",
        "results/tiny/final.ckpt",
    )
    assert done.returncode != 0
    assert "probe task on 'langauge': no column 'langauge'" in done.stdout
    assert "Training tiny" not in done.stdout


def test_ctrl_c_saves_first(finished) -> None:
    """The signal goes to every process of the terminal: the log must outlive the script."""
    config = {**yaml.safe_load((finished.folder / "tiny.yaml").read_text())}
    config["endless"] = {"extends": "tiny", "train": {"max_steps": 100000, "save_steps": 100000}}
    finished.configure("endless.yaml", config)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "endless.yaml", "--"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [*command, "results/endless/final.ckpt"],
        cwd=finished.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    folder, deadline = finished.folder / "results" / "endless", time.monotonic() + 120
    log = folder / "logs" / "train.log"
    while time.monotonic() < deadline and not (log.exists() and "loss=" in log.read_text(errors="replace")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=60)
    deadline = time.monotonic() + 30
    while (folder / "owner.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "stopped by SIGINT at step" in log.read_text(errors="replace")
    assert newest_whole(folder / "checkpoints", read_json(folder / "checkpoints" / FINGERPRINT)) is not None
