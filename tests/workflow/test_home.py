"""Long recordings, from a team's folder to an adapted model: joined from real prompts, so that the truth is known."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
import torch

from audiorig.randomness import keyed_generator

HOMES, CLASSES = 12, {"en": "FEM", "es": "FEM", "fr": "FEM"}
COLUMNS = ("recording_filename", "segment_onset", "segment_offset", "speaker_type", "activity", "language")


def join_prompts(prompts: Path, root: Path) -> int:
    """Twelve homes of one recording each, in the layout of ChildProject; returns seconds of audio."""
    folder = root / "recordings" / "raw"
    folder.mkdir(parents=True)
    (root / "metadata").mkdir()
    with (prompts / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    recordings, segments, total = [], [], 0
    for home in range(HOMES):
        language = ("en", "fr", "es")[home % 3]
        clips = [row["path"] for row in rows if row["language"] == language][home // 3 :: HOMES // 3]
        generator = keyed_generator("joined-prompts", home)
        parts: list[np.ndarray] = []
        length = 0
        name = f"visit{home:02d}.{'flac' if home % 2 else 'wav'}"
        for clip in clips:
            pause = 0.003 * generator.standard_normal(int(generator.uniform(1, 2) * 16000))
            samples, rate = soundfile.read(prompts / clip, dtype="float64")
            assert rate == 16000
            for audio, labels in ((pause, ("", "quiet", "")), (samples, (CLASSES[language], "speech", language))):
                begin, length = length, length + len(audio)
                segments.append((name, begin * 1000 // 16000, length * 1000 // 16000, *labels))
                parts.append(audio)
        joined = np.concatenate(parts)
        total += len(joined) // 16000
        if home % 3 == 0:  # as recorders do it
            joined = np.repeat(soxr.resample(joined, 16000, 44100)[:, None], 2, 1)
        soundfile.write(folder / name, 0.5 * joined, 44100 if home % 3 == 0 else 16000, subtype="PCM_16")
        recordings.append((f"secretchild{home:02d}", name))
    for path, header, lines in (
        ("metadata/recordings.csv", ("child_id", "recording_filename"), recordings),
        ("annotations.csv", COLUMNS, segments),
    ):
        with (root / path).open("w", newline="") as file:
            csv.writer(file).writerows([header, *lines])
    return total


def settings(root: Path) -> dict:
    task = {"items": "segments", "max_items": 60}
    return {
        "build": ["joined"],
        "corpora": {
            "visits": {
                "kind": "home",
                "root": str(root),
                "annotations": "annotations.csv",
                "license": "CC-BY-SA-3.0",
                "splits": {"by-child": {"group": "participant", "shares": [0.5, 0.25, 0.25]}},
            }
        },
        "joined": {
            "extends": "homewav2vec2",
            "data": {"corpus": "visits", "split": "by-child", "crop_sec": 2.0, "dev_crops": 4, "log_crops": True},
            "model": {"base": "small", "num_negatives": 10},
            "train": {"max_steps": 6, "batch_size": 2, "eval_steps": 3, "save_steps": 3, "cpu_threads": 1},
            "probe": {
                "bootstrap": 100,
                "random_encoders": 1,
                "shuffles": 2,
                "tasks": {"voice-class": None, "activity": {"label": "activity", **task}, "language": None},
            },
        },
        "pretrained": {
            "small": {
                "seeded": "wav2vec2",
                "settings": {
                    "conv_dim": [8] * 7,
                    "hidden_size": 16,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "intermediate_size": 32,
                    "codevector_dim": 8,
                    "proj_codevector_dim": 8,
                    "num_codevectors_per_group": 8,
                    "num_conv_pos_embeddings": 16,
                    "num_conv_pos_embedding_groups": 2,
                },
            }
        },
    }


@pytest.fixture(scope="module")
def adapted(new_checkout, tmp_path_factory: pytest.TempPathFactory):
    """A run from joined prompts to its page."""
    if "AUDIORIG_DATA" not in os.environ:
        pytest.skip("AUDIORIG_DATA is not set: no recorded prompts to join")
    checkout = new_checkout("home")
    root = tmp_path_factory.mktemp("visits")
    assert join_prompts(Path(os.environ["AUDIORIG_DATA"]) / "prompts", root) > 600
    checkout.configure("joined.yaml", settings(root))
    done = checkout.snakemake("--configfile", "joined.yaml", "--", "results/joined/report.html")
    assert done.returncode == 0, done.stdout[-5000:]
    return checkout


@pytest.mark.realdata
def test_long_recordings_end_in_a_model_and_a_page(adapted) -> None:
    from transformers import Wav2Vec2ForPreTraining

    results = adapted.folder / "results"
    checkpoint = torch.load(results / "joined" / "final.ckpt", weights_only=True)
    model, found = Wav2Vec2ForPreTraining.from_pretrained(results / "joined" / "model", output_loading_info=True)
    assert not any(found.values())
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in checkpoint["weights"].items()
    }
    rows = json.loads((results / "joined" / "metrics.json").read_text())
    systems = {row["system"] for row in rows}
    assert {"homewav2vec2", "before adaptation", "homewav2vec2 minus before adaptation", "log-mel"} <= systems
    assert {row["task"] for row in rows} >= {"activity"}
    history = json.loads((results / "joined" / "history.json").read_text())
    last = [entry for entry in history if "coverage" in entry][-1]
    assert 0 < last["coverage"] < 1
    assert last["hours_heard"] == pytest.approx(6 * 2 * 2 / 3600)


@pytest.mark.realdata
def test_participants_come_from_the_table(adapted) -> None:
    manifest = pd.read_parquet(adapted.folder / "results/corpora/visits/manifest.parquet")
    assert sorted(manifest["participant_id"]) == [f"secretchild{home:02d}" for home in range(HOMES)]
    sides = [
        set(
            pd.read_parquet(adapted.folder / f"results/corpora/visits/splits/by-child/{side}.parquet")["participant_id"]
        )
        for side in ("train", "dev", "test")
    ]
    assert [len(side) for side in sides] == [6, 3, 3]


@pytest.mark.realdata
def test_no_audio_is_written_and_no_name_gets_out(adapted) -> None:
    results = adapted.folder / "results"
    assert not {path.suffix for path in results.rglob("*")} & {".wav", ".flac", ".mp3", ".ogg", ".w64"}
    outside = [results / "joined" / "report.html", *(results / "joined" / "model").iterdir()]
    outside += (results / "joined" / "tensorboard").iterdir()
    for path in outside:
        content = path.read_bytes()
        assert b"secretchild" not in content, path
        assert b"visit0" not in content, path
        assert str(adapted.folder).encode() not in content, path


def test_the_real_scale_run_has_a_plan_on_an_empty_tree(checkout, tmp_path: Path) -> None:
    done = checkout.snakemake("--dry-run", "results/homewav2vec2-base/final.ckpt", HOME_RECORDINGS=str(tmp_path))
    assert done.returncode == 0, done.stdout
    jobs = checkout.planned("results/homewav2vec2/report.html")
    assert jobs["seed_pretrained"] == jobs["segments"] == jobs["train"] == 1
    assert "reconstruct" not in jobs


def test_without_its_root_it_says_what_to_set(checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME_RECORDINGS", raising=False)
    done = checkout.snakemake("--dry-run", "results/homewav2vec2-base/final.ckpt")
    assert "the variable HOME_RECORDINGS is not set" in done.stdout
    assert "Traceback" not in done.stdout


def test_labelled_stretches_that_nobody_labelled_are_a_sentence(checkout, tmp_path: Path) -> None:
    mine = checkout.configure("mine.yaml", {"mine": {"extends": "homewav2vec2", "data": {"corpus": "home-recordings"}}})
    target = ("--configfile", mine, "--", "results/mine/final.ckpt")
    done = checkout.snakemake("--dry-run", *target, HOME_RECORDINGS=str(tmp_path))
    assert done.returncode != 0
    sentence = (
        "error: run 'mine': probe.tasks.voice-class asks for labelled stretches, but corpus 'home-recordings' has "
        "none; set corpora.home-recordings.annotations, or take the task away (voice-class: null)"
    )
    assert sentence in done.stdout.splitlines()
