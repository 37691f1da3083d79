"""A run that fits on a screen: two tasks, two steps of loss, one clip of noise with three tones."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from audiorig.config import DemoCorpus, HomeDemoCorpus, HomeWav2Vec2Run, WaveMAERun
from audiorig.evaluate.rebuild import RebuiltClip
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores, beside_others

Row = dict[str, Any]
CHANGE = {"above": (0.2, 0.1, 0.3), "uncertain": (0.01, -0.05, 0.06), "below": (-0.2, -0.3, -0.1)}


def row(task: str, system: str, value: tuple[float, float, float], metric: str = "accuracy", **more: Any) -> Row:
    numbers = dict(zip(("value", "low", "high"), value, strict=True))
    given = {"n": 24, "num_groups": 6, "interval_over": "groups", "layer": None, "seed": None, "split": "test"}
    return {"task": task, "system": system, "metric": metric, **numbers, **given, **more}


def task_rows(task: str, system: str = "wavemae", **directions: str) -> list[Row]:
    """The encoder at .8 and its controls; keys of ``directions`` are controls with _ for spaces and -."""
    names = {"log_mel": "log-mel", "random_init": "random-init", "mfcc": "MFCC", "before": "before adaptation"}
    rows = [row(task, system, (0.8, 0.7, 0.9))]
    for key, direction in directions.items():
        value, low, high = CHANGE[direction]
        rows.append(row(task, names[key], (0.8 - value, 0.8 - high, 0.8 - low)))
        rows.append(row(task, f"{system} minus {names[key]}", (value, low, high)))
    for layer, dev in (("block-1", 0.6), ("final", 0.7), ("all", 0.75)):
        rows.append(row(task, f"{system}, {layer}", (0.8, 0.7, 0.9), layer=layer, dev_accuracy=dev))
    for control in ("shuffled labels", "majority"):
        rows += [row(task, control, (0.5, 0.4, 0.6), metric) for metric in ("accuracy", "balanced_accuracy")]
    return rows


def reconstruction_rows() -> list[Row]:
    rows = []
    for distance in DISTANCES:
        metric = f"r2 at {distance} frames"
        rows.append(row("reconstruction", "wavemae", (0.5, 0.4, 0.6), metric))
        for anchor, direction in (("linear interpolation", "above"), ("mean of visible frames", "below")):
            rows.append(row("reconstruction", anchor, (0.3, 0.2, 0.4), metric))
            rows.append(row("reconstruction", f"wavemae minus {anchor}", CHANGE[direction], metric))
    for metric in ("lsd_db hidden", "mel_db hidden"):
        rows.append(row("reconstruction", "wavemae", (7.5, 7.1, 7.9), metric))
        for anchor in ("linear interpolation", "mean of visible frames"):
            rows.append(row("reconstruction", anchor, (9.0, 8.5, 9.5), metric))
            rows.append(row("reconstruction", f"wavemae minus {anchor}", (-1.5, -1.9, -1.1), metric))
    return [*rows, row("reconstruction", "wavemae", (2.25, 2.0, 2.5), "lsd_db visible")]


def pitch_rows() -> list[Row]:
    rows = []
    values = {"rpa50": (0.6, 0.5, 0.7), "vuv_error": (0.1, 0.05, 0.15), "f0_rmse_cents": (123.4, 99.6, 150.2)}
    changes = {"rpa50": (0.2, 0.1, 0.3), "vuv_error": (-0.02, -0.06, 0.02), "f0_rmse_cents": (-50.0, -80.0, -20.0)}
    for metric, value in values.items():
        rows.append(row("pitch", "wavemae", value, metric))
        rows.append(row("pitch", "last visible pitch", value, metric))
        rows.append(row("pitch", "wavemae minus last visible pitch", changes[metric], metric))
    return rows


def history() -> list[Row]:
    """Two steps of every part of the loss, and what is watched at both."""
    entries: list[Row] = []
    for step, size, accuracy in ((1, 1.0, 0.41), (2, 0.9, 0.56)):
        parts = {"total": 1.3, "main_recon": 1.0, "shape": 0.9, "level": 0.5, "main_percep": 2.0, "aux_crepe": 3.0}
        sized = {name: size * value for name, value in {**parts, "aux_w2v": 1.0}.items()}
        entries.append({"step": step, **sized, "learning_rate": 1e-3, "grad_norm": 1.0, "epoch": 0.1})
        entries.append({"step": step, **{f"eval_{name}": 2 * value for name, value in sized.items()}})
        probe = {"accuracy": (accuracy, -0.1, 0.1), "gain": (accuracy - 0.41, -0.1 * (step - 1), 0.11 * (step - 1))}
        watched: Row = {"eval_latent_rank": 20.0 * size, "eval_latent_cosine": 0.2, "eval_linear_probe_majority": 0.25}
        for name, (value, below, above) in probe.items():
            edges = {"": value, "_low": value + below, "_high": value + above}
            watched |= {f"eval_linear_probe_{name}{edge}": number for edge, number in edges.items()}
        entries.append({"step": step, **watched, "eval_linear_probe_hits": "101", "eval_linear_probe_clips": "c" * 16})
    return entries


def sounds(duration_sec: float = 0.2) -> dict[str, NDArray[np.int16]]:
    """Three tones at 24 kHz, a third apart."""
    time = np.arange(round(24000 * duration_sec)) / 24000
    names = ("original", "reconstruction", "oracle_phase")
    return {n: (9000 * np.sin(2 * np.pi * 220 * (1 + k / 4) * time)).astype(np.int16) for k, n in enumerate(names)}


def against_rows(name: str = "other") -> list[Row]:
    given = {"with": name, "n": 24, "num_groups": 6}
    numbers = {"accuracy": (0.014, -0.02, 0.049), "r2 at 2-3 frames": (0.05, 0.02, 0.08)}
    tasks = {"accuracy": "language", "r2 at 2-3 frames": "reconstruction"}
    return [
        {"task": tasks[metric], "metric": metric, **dict(zip(("value", "low", "high"), each, strict=True)), **given}
        for metric, each in numbers.items()
    ]


def record(stage: str, digest: str = "a" * 64) -> Row:
    return {"stage": stage, "started": "2026-01-01T00:00:00+00:00", "wall_sec": 61.0, "package_digest": digest}


@pytest.fixture
def make_inputs() -> Callable[..., RunInputs]:
    """A small run; keyword arguments take the place of its parts."""
    tasks = {"language": {"label": "language"}, "voice": {"label": "voice", "assign": "shots"}}
    noise = np.random.Generator(np.random.Philox(key=0)).standard_normal((2, 40, 513)).astype(np.float32)
    side = {"num_files": 8, "num_groups": 4, "hours": 0.1, "labels": {"language": {"en": 8}}, "sha256": "b" * 64}
    inputs = RunInputs(
        name="tiny",
        run=WaveMAERun.model_validate(
            {
                "experiment": "wavemae",
                "probe": {"tasks": tasks},
                "train": {"max_steps": 2},
                "teacher": {"kind": "w2v-bert"},
            }
        ),
        history=history(),
        scores=Scores(
            [
                *task_rows("language", log_mel="above", random_init="uncertain"),
                *task_rows("voice", log_mel="below", random_init="above", mfcc="above"),
                *reconstruction_rows(),
                *pitch_rows(),
            ]
        ),
        examples=[RebuiltClip("en/clip.wav", noise[0], noise[1], np.arange(40) // 10 % 2 == 1, audio=sounds())],
        corpus=DemoCorpus(kind="demo", title="Tones", license="CC0"),
        validation={"num_files": 9, "num_excluded": 1, "hours": 0.3, "hours_excluded": 0.01, "reasons": []},
        invalid=pd.DataFrame(columns=["wav_path", "reason", "severity", "detail", "value", "bound"]),
        invalid_link="../corpora/demo/validation/invalid_files.parquet",
        split={"group": "participant", "seed": 0, "official_column": None, "warnings": [], "sides": {"train": side}},
        provenance={stage: record(stage) for stage in ("split", "train", "probe")},
        environment=record("report"),
        beside=beside_others(against_rows()),
    )
    return lambda **parts: replace(inputs, **parts)


def home_history(num_steps: int = 6) -> list[Row]:
    """Steps of continued pre-training: everything that is logged of it."""
    entries: list[Row] = []
    for step in range(1, num_steps + 1):
        losses = {"contrastive": 4.6 - 0.2 * step, "diversity": 0.5 - 0.01 * step, "feature_penalty": 0.05}
        codes = {"accuracy": 0.02 * step, "perplexity": 100.0 + 20 * step, "share_hidden": 0.49}
        heard = {"hours_heard": 0.1 * step, "distinct_hours": 0.08 * step, "coverage": 0.12 * step}
        drawn = {"redraws": 0.3, "silent_crops": 0.04, "temperature": 2.0 * 0.9**step, "overflows": 0}
        entries.append({"step": step, "total": 5.0, "grad_norm": 1.0, "learning_rate": 1e-4, "epoch": 0.1} | losses)
        entries[-1] |= {**codes, **heard, **drawn}
        if step % 2 == 0:
            entries.append({"step": step, **{f"eval_{name}": value for name, value in (losses | codes).items()}})
    return entries


def home_files() -> pd.DataFrame:
    """Four homes with one recording each, one of which no side has."""
    names = ("amber", "birch", "cedar", "delta")
    rows = [(f"{name}/{name}-day.wav", name, f"{name}-day", 600.0 * (1 + place)) for place, name in enumerate(names)]
    files = pd.DataFrame(rows, columns=["wav_path", "participant_id", "recording_id", "duration_sec"])
    return files.assign(side=["train", "train", "test", ""])


@pytest.fixture
def make_home_inputs() -> Callable[..., RunInputs]:
    """A small run of continued pre-training on a private corpus; keyword arguments take the place of its parts."""
    tasks = {name: {"label": name, "items": "segments"} for name in ("voice-class", "activity")}
    side = {"num_files": 2, "num_groups": 2, "hours": 0.5, "labels": {}, "sha256": "b" * 64}
    base = {"name": "tiny-wav2vec2", "seeded": True}
    train = {**record("train"), "base": base, "most_perplexity": 640, "num_parameters": 1_234_567}
    inputs = RunInputs(
        name="home",
        run=HomeWav2Vec2Run.model_validate(
            {"experiment": "homewav2vec2", "probe": {"tasks": tasks}, "train": {"max_steps": 6}}
        ),
        history=home_history(),
        scores=Scores(
            [
                *task_rows("voice-class", "homewav2vec2", before="above", log_mel="above", random_init="uncertain"),
                *task_rows("activity", "homewav2vec2", before="uncertain", log_mel="below"),
            ]
        ),
        corpus=HomeDemoCorpus(kind="home-demo", title="Generated homes", license="CC0"),
        validation={"num_files": 4, "num_excluded": 1, "hours": 1.7, "hours_excluded": 0.7, "reasons": []},
        invalid=pd.DataFrame(columns=["wav_path", "reason", "severity", "detail", "value", "bound"]),
        invalid_link="../corpora/home/validation/invalid_files.parquet",
        split={"group": "participant", "seed": 0, "warnings": [], "sides": {"train": side, "test": side}},
        provenance={"split": record("split"), "train": train, "probe": record("probe")},
        environment=record("report"),
        files=home_files(),
    )
    return lambda **parts: replace(inputs, **parts)


@pytest.fixture
def rows() -> Callable[..., list[Row]]:
    """The rows of one task."""
    return task_rows


@pytest.fixture(scope="session")
def planted() -> ModuleType:
    """Tuned runs whose answers are planted."""
    path = Path(__file__).with_name("planted_answers.py")
    spec = importlib.util.spec_from_file_location("planted_answers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
