"""A run that fits on a screen: two tasks, three frames of loss, one clip of noise."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import DemoCorpus, Run
from audiorig.evaluate.reconstruction import DISTANCES, RebuiltClip
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores

Row = dict[str, Any]
CHANGE = {"above": (0.2, 0.1, 0.3), "uncertain": (0.01, -0.05, 0.06), "below": (-0.2, -0.3, -0.1)}


def row(task: str, system: str, value: tuple[float, float, float], metric: str = "accuracy", **more: Any) -> Row:
    numbers = dict(zip(("value", "low", "high"), value, strict=True))
    given = {"n": 24, "num_groups": 6, "interval_over": "groups", "layer": None, "seed": None, "split": "test"}
    return {"task": task, "system": system, "metric": metric, **numbers, **given, **more}


def task_rows(task: str, **directions: str) -> list[Row]:
    """The encoder at .8 and its controls; keys of ``directions`` are controls with _ for spaces and -."""
    names = {"log_mel": "log-mel", "random_init": "random-init", "mfcc": "MFCC"}
    rows = [row(task, "wavemae", (0.8, 0.7, 0.9))]
    for key, direction in directions.items():
        value, low, high = CHANGE[direction]
        rows.append(row(task, names[key], (0.8 - value, 0.8 - high, 0.8 - low)))
        rows.append(row(task, f"wavemae minus {names[key]}", (value, low, high)))
    for layer, dev in (("block-1", 0.6), ("final", 0.7), ("all", 0.75)):
        rows.append(row(task, f"wavemae, {layer}", (0.8, 0.7, 0.9), layer=layer, dev_accuracy=dev))
    for system in ("shuffled labels", "majority"):
        rows += [row(task, system, (0.5, 0.4, 0.6), metric) for metric in ("accuracy", "balanced_accuracy")]
    return rows


def reconstruction_rows() -> list[Row]:
    rows = []
    for distance in DISTANCES:
        metric = f"r2 at {distance} frames"
        rows.append(row("reconstruction", "wavemae", (0.5, 0.4, 0.6), metric))
        for anchor, direction in (("linear interpolation", "above"), ("mean of visible frames", "below")):
            rows.append(row("reconstruction", anchor, (0.3, 0.2, 0.4), metric))
            rows.append(row("reconstruction", f"wavemae minus {anchor}", CHANGE[direction], metric))
    return rows


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
        run=Run.model_validate({"experiment": "wavemae", "probe": {"tasks": tasks}, "train": {"max_steps": 2}}),
        history=[
            {"step": 1, "main_recon": 1.0, "shape": 0.9, "level": 0.1, "learning_rate": 0.0},
            {"step": 2, "main_recon": 0.9, "shape": 0.8, "level": 0.1, "learning_rate": 1e-3},
            {"step": 2, "eval_main_recon": 0.95, "eval_shape": 0.85, "eval_level": 0.1},
        ],
        scores=Scores(
            [
                *task_rows("language", log_mel="above", random_init="uncertain"),
                *task_rows("voice", log_mel="below", random_init="above", mfcc="above"),
                *reconstruction_rows(),
            ]
        ),
        examples=[RebuiltClip("en/clip.wav", noise[0], noise[1], np.arange(40) // 10 % 2 == 1)],
        corpus=DemoCorpus(kind="demo", title="Tones", license="CC0"),
        validation={"num_files": 9, "num_excluded": 1, "hours": 0.3, "hours_excluded": 0.01, "reasons": []},
        invalid=pd.DataFrame(columns=["wav_path", "reason", "severity", "detail", "value", "bound"]),
        invalid_link="../corpora/demo/validation/invalid_files.parquet",
        split={"group": "participant", "seed": 0, "official_column": None, "warnings": [], "sides": {"train": side}},
        provenance={stage: record(stage) for stage in ("split", "train", "probe")},
        environment=record("report"),
    )
    return lambda **parts: replace(inputs, **parts)


@pytest.fixture
def rows() -> Callable[..., list[Row]]:
    """The rows of one task."""
    return task_rows
