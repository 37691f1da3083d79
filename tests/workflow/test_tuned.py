"""A tuned run from files to an answer: two seeds, a rung beside them, a bundle that hears a WAV."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.randomness import keyed_generator

RATE, VOICES, CLIPS = 16000, 12, 4


def write_tones(root: Path) -> None:
    """Twelve voices; a clip is low or high, which is to be told, and has a rating that is sometimes missing."""
    root.mkdir(parents=True)
    rows = []
    for voice in range(VOICES):
        for clip in range(CLIPS):
            generator = keyed_generator("tuned-tones", voice, clip)
            is_high = (voice + clip) % 2
            time = np.arange(int(RATE * generator.uniform(0.6, 1.0))) / RATE
            tone = np.sin(2 * np.pi * (1500 if is_high else 200) * (1 + 0.02 * voice) * time)
            name = f"voice{voice:02d}-{clip}.wav"
            soundfile.write(root / name, 0.2 * tone + 0.01 * generator.standard_normal(len(time)), RATE)
            rating = "" if clip == 3 else str(1 + 2 * is_high)
            rows.append((name, f"voice{voice:02d}", ("low", "high")[is_high], rating))
    with (root / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "participant_id", "pitch", "height"), *rows])


SETTINGS = {
    "build": ["tones"],
    "pretrained": {
        "small": {
            "seeded": "whisper",
            "settings": {
                "d_model": 16,
                "encoder_layers": 1,
                "encoder_attention_heads": 2,
                "decoder_attention_heads": 2,
                "encoder_ffn_dim": 32,
            },
        }
    },
    "corpora": {
        "tones": {
            "kind": "folder",
            "metadata": "clips.csv",
            "license": "none",
            "splits": {"by-voice": {"group": "participant", "shares": [0.5, 0.25, 0.25], "labels": ["pitch"]}},
        }
    },
    "tones": {
        "extends": "infantcry",
        "seeds": [0, 1],
        "data": {"corpus": "tones", "split": "by-voice", "split_per_seed": True, "max_sec": 1.0},
        "encoder": {"family": "whisper", "pretrained": "small"},
        "targets": {
            "reason": None,
            "pitch": {"kind": "class", "classes": ["low", "high"]},
            "height": {"kind": "rating", "steps": [1, 2, 3], "threshold": 2},
        },
        "score": {"bootstrap": 100, "shuffles": 20},
        "ladder": {
            "by-clip": None,
            "by-clip-augmented": None,
            "permuted": None,
            "frozen": {"settings": {"tuning": {"learn": "nothing", "lora": {"rank": 2}}}},
        },
        "train": {
            "max_steps": 30,
            "batch_size": 8,
            "learning_rate": 0.01,
            "eval_steps": 10,
            "save_steps": 10,
            "selection": {"metric": "uar_pitch"},
        },
    },
}


@pytest.mark.slow
def test_clips_become_a_page_and_a_bundle_that_answers(new_checkout, tmp_path: Path) -> None:
    write_tones(tmp_path / "tones")
    settings = json.loads(json.dumps(SETTINGS))
    settings["corpora"]["tones"]["root"] = str(tmp_path / "tones")
    checkout = new_checkout("tuned")
    checkout.configure("my.yaml", settings)
    done = checkout.snakemake("--configfile", "my.yaml", "--", "results/tones/report.html")
    assert done.returncode == 0, done.stdout[-3000:]

    folder = checkout.folder / "results" / "tones"
    corpus = checkout.folder / "results" / "corpora" / "tones"
    splits = [
        json.loads((corpus / "splits" / f"by-voice.seed-{seed}" / "split_summary.json").read_text()) for seed in (0, 1)
    ]
    assert [split["seed"] for split in splits] == [0, 1]
    assert splits[0]["sides"]["test"]["sha256"] != splits[1]["sides"]["test"]["sha256"]

    rows = json.loads((folder / "seed-0" / "metrics.json").read_text())
    mine = {row["metric"]: row["value"] for row in rows if (row["task"], row["system"]) == ("pitch", "infantcry")}
    assert mine["balanced_accuracy"] > 0.9  # a pitch of 200 or 1,500 Hz
    ladder = json.loads((folder / "ladder.json").read_text())
    assert {row["case"] for row in ladder["rows"]} == {"tones", "frozen", "majority"}
    page = (folder / "report.html").read_text()
    assert "unweighted recall" in page

    bundle, clip = folder / "seed-0" / "bundle", tmp_path / "tones" / "voice00-0.wav"
    asked = subprocess.run(
        [sys.executable, "-m", "audiorig.predict", str(bundle), str(clip)],
        cwd=checkout.folder,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert "low" in asked.stdout
    again = checkout.snakemake("--configfile", "my.yaml", "--", "results/tones/report.html")
    assert "Nothing to be done" in again.stdout, again.stdout[-2000:]
