"""Prediction from the command line: a line for each file and target, and no stop at a file that cannot be read."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audiorig.config import SeededConfig, SpeechTuneRun
from audiorig.data.targets import Target
from audiorig.models.answers import Decision
from audiorig.models.bundle import load_bundle, save_bundle
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.record import encoder_record
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.tuner import SpeechTuner
from audiorig.predict import main

SHAPE: dict[str, Any] = {
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [8, 8, 5],
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
TARGETS = (
    Target("reason", "class", "reason", classes=("hungry", "tired"), is_listed=True),
    Target("effort", "rating", "effort", steps=(1.0, 2.0, 4.0), threshold=2.0),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with an encoder, a bundle, two clips and a file that is none."""
    root = tmp_path_factory.mktemp("project")
    run = SpeechTuneRun.model_validate(
        {
            "experiment": "speechtune",
            "data": {"corpus": "demo-ratings", "split": "by-voice"},
            "encoder": {"family": "wav2vec2", "pretrained": "tiny"},
            "tuning": {"learn": "nothing"},
            "targets": {
                "reason": {"kind": "class", "classes": ["hungry", "tired"]},
                "effort": {"kind": "rating", "steps": [1, 2, 4], "threshold": 2},
            },
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        base = Path("pretrained/tiny")
        make_seeded(SeededConfig(seeded="wav2vec2", settings=SHAPE), base)
        model = SpeechTuner.assemble(load_for_tuning(run.encoder, base), run, TARGETS).eval()
        save_bundle(
            Path("results/mine/bundle"),
            model,
            run=run,
            encoder_record=encoder_record(run.encoder, base),
            split_sha256="",
            thresholds={target.name: Decision() for target in TARGETS},
            provenance={},
        )
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    soundfile.write(root / "a, b.wav", 0.1 * noise, 16000)
    soundfile.write(root / "c.flac", 0.1 * noise[::-1], 8000)
    (root / "text.wav").write_text("no audio")
    return root


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


BUNDLE = "results/mine/bundle"


def test_a_line_for_each_file_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([BUNDLE, "a, b.wav", "c.flac"]) == 0
    said = capsys.readouterr()
    header, *lines = said.out.splitlines()
    assert header.split() == ["file", "target", "answer", "probabilities"]
    assert [line.split("  ")[0] for line in lines] == ["a, b.wav", "a, b.wav", "c.flac", "c.flac"]
    column = header.index("target")
    assert [line[column:].split()[0] for line in lines] == ["reason", "effort", "reason", "effort"]
    expected = load_bundle(Path(BUNDLE)).predict_file(Path("c.flac"))
    share = expected["reason"].probabilities["hungry"]
    assert f"{expected['reason'].answer} " in lines[2] and f"hungry {share:.2f}" in lines[2]
    assert f"{expected['effort'].answer:.2f}" in lines[3] and lines[3].count("4 0.") == 1
    assert said.err == ""


def test_csv_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([BUNDLE, "a, b.wav", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    expected = load_bundle(Path(BUNDLE)).predict_file(Path("a, b.wav"))
    assert [(row["file"], row["target"]) for row in rows] == [("a, b.wav", "reason"), ("a, b.wav", "effort")]
    for row in rows:
        shares = {
            name: float(share) for name, _, share in (each.partition("=") for each in row["probabilities"].split(";"))
        }
        assert shares == pytest.approx(expected[row["target"]].probabilities, abs=1e-6)
    assert rows[0]["answer"] == expected["reason"].answer


def test_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write("short.wav", np.zeros(5, dtype=np.float32), 16000)
    assert main([BUNDLE, "gone.wav", "text.wav", "short.wav", "c.flac"]) == 1
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["c.flac", "c.flac"]
    errors = said.err.splitlines()
    assert len(errors) == 3 and all(line.startswith("error: ") for line in errors)
    for name, line in zip(("gone.wav", "text.wav", "short.wav"), errors, strict=True):
        assert name in line


def test_no_bundle_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results/mine", "c.flac"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: results/mine: no bundle: expected bundle.json")


def test_the_encoder_can_be_named(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle"
    subprocess.run(["cp", "-r", project / BUNDLE, bundle], check=True)
    clip = str(project / "c.flac")
    monkeypatch.chdir(tmp_path)
    assert main([str(bundle), clip]) == 1
    assert main([str(bundle), clip, "--encoder", str(project / "pretrained/tiny")]) == 0


@pytest.mark.slow  # it imports torch and transformers anew
def test_from_the_command_line(project: Path) -> None:
    """Nothing but the table on stdout, and no connection is asked for."""
    command = [sys.executable, "-m", "audiorig.predict", BUNDLE, "c.flac", "text.wav"]
    source = Path(__file__).resolve().parents[1] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.splitlines()[-1].startswith("error: text.wav") and "Traceback" not in done.stderr


def test_answers_do_not_depend_on_the_global_state(project: Path) -> None:
    state = torch.get_rng_state()
    first = load_bundle(Path(BUNDLE)).predict_file(Path("c.flac"))
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(99)
    assert load_bundle(Path(BUNDLE)).predict_file(Path("c.flac")) == first
