"""A tuned run whose answers are planted: a class of five, a feature and a rating, right as often as is asked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import DemoRatingsCorpus, InfantCryRun, ScoreConfig
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import Side, answer_rows, answer_table, targets_of, tested
from audiorig.evaluate.clip_scores import TargetScorer
from audiorig.evaluate.ladder import LadderCase, build_ladder
from audiorig.models.answers import Answer
from audiorig.report.inputs import RunInputs, luck_of, num_unreadable
from audiorig.report.scores import Scores

Row = dict[str, Any]
CLASSES = ("hungry", "tired", "discomfort", "belly_pain", "burping")
REASON = Target("reason", "class", "reason", CLASSES)
IS_LOUD = Target("is_loud", "binary", "is_loud", positive=("1",), negative=("0",))
EFFORT = Target("effort", "rating", "effort", steps=(1.0, 2.0, 3.0, 4.0, 5.0), threshold=4.0)
TARGETS = (REASON, IS_LOUD, EFFORT)
SYSTEM = "infantcry"
SETTINGS = ScoreConfig(bootstrap=100, shuffles=40)
RUN = {
    "experiment": SYSTEM,
    "data": {"corpus": "demo-cries", "split": "by-infant", "max_sec": 3.0},
    "encoder": {"family": "wav2vec2", "pretrained": "tiny-wav2vec2"},
    "targets": {
        "reason": {"kind": "class", "classes": list(CLASSES)},
        "is_loud": {"kind": "binary"},
        "effort": {"kind": "rating", "steps": [1, 2, 3, 4, 5], "threshold": 4},
    },
    "score": SETTINGS.model_dump(),
    "train": {"max_steps": 40, "selection": {"metric": "total", "keep_best": True, "patience": 2}},
    "report": {"title": "Why they cry"},
}
NUM_CLIPS, EACH = 120, 6  # clips in all, and of an infant


def run(**changes: Any) -> InfantCryRun:
    return InfantCryRun.model_validate({**RUN, **changes})


def truth(target: Target, num_clips: int = NUM_CLIPS) -> np.ndarray:
    """Unequal classes; every tenth feature and rating is missing."""
    generator = np.random.default_rng([7, len(target.name)])
    if target.kind == "class":
        return generator.choice(len(CLASSES), num_clips, p=[0.5, 0.2, 0.15, 0.1, 0.05]).astype(float)
    values = generator.integers(0, target.num_answers, num_clips).astype(float)
    values[::10] = np.nan
    return values


def planted(target: Target, true: np.ndarray, right: float, seed: int) -> Answer:
    """Answers of which a share is right and the others are luck."""
    generator = np.random.default_rng([seed, len(target.name)])
    blind = generator.integers(0, target.num_answers, len(true))
    answered = np.where(generator.random(len(true)) < right, np.nan_to_num(true), blind).astype(int)
    if target.kind == "rating":
        above = (answered[:, None] > np.arange(target.num_answers - 1)).astype(float)
        return Answer(answered.astype(float), above)
    if target.kind == "binary":
        return Answer(answered.astype(float), 0.2 + 0.6 * answered[:, None].astype(float))
    return Answer(answered.astype(float), np.eye(target.num_answers)[answered])


def predictions(
    right: float = 0.6,
    seed: int = 0,
    prefix: str = "infant",
    targets: tuple[Target, ...] = TARGETS,
    system: str = SYSTEM,
) -> pd.DataFrame:
    """The model, a control that is right in a third, and the commonest answer; dev is there to be left out."""
    groups = [f"{prefix}-{index // EACH:02d}" for index in range(NUM_CLIPS)]
    values = np.stack([truth(target) for target in targets], axis=1)
    parts = []
    for name in ("dev", "test"):
        side = Side(name, [f"{group}/{index:03d}.wav" for index, group in enumerate(groups)], groups, values)
        for number, target in enumerate(targets):
            constant = np.full(NUM_CLIPS, 0.0 if target.kind != "rating" else 2.0)
            answers = {
                system: planted(target, values[:, number], right if name == "test" else 0.0, seed),
                "majority": planted(target, constant, 1.0, 0),
                "log-mel": planted(target, values[:, number], 0.33, 99),
            }
            parts += [answer_rows(who, side, target, number, each) for who, each in answers.items()]
    return answer_table(parts, targets)


def rows(table: pd.DataFrame, targets: tuple[Target, ...] = TARGETS, system: str = SYSTEM, lost: int = 0) -> list[Row]:
    """Everything of metrics.json, as scoring makes it."""
    found = []
    for target in targets:
        of_system = {who: tested(table, who, target) for who in pd.unique(table["system"])}
        test, _ = of_system[system]
        scorer = TargetScorer(target, test["true"].to_numpy(float), list(test["group"]), SETTINGS, system)
        found += scorer.rows(
            {who: answer for who, (_, answer) in of_system.items()}, {system: {"num_unreadable": lost}}
        )
    return found


def ladder(cases: Mapping[str, tuple[float, str]], right: float = 0.6, seeds: tuple[int, ...] = (0,)) -> Row:
    """The run beside cases: name -> how often it is right, and the prefix of its infants (other ones: other clips)."""
    mine = LadderCase("cry", "", {seed: predictions(right, seed) for seed in seeds})
    others = [
        LadderCase(name, name.replace("-", " "), {seed: predictions(share, seed + 50, prefix) for seed in seeds})
        for name, (share, prefix) in cases.items()
    ]
    return build_ladder([mine, *others], 100)


def inside(num_map: int = 40) -> Row:
    """What examples.npz holds: two clips with attention, a map, changed weights."""
    generator = np.random.default_rng(3)
    arrays: Row = {"targets": np.array([each.name for each in TARGETS]), "num_examples": np.array(2)}
    for index in range(2):
        weights = generator.random(50) + 0.2
        arrays[f"name_{index}"] = np.array(f"infant-0{index}/clip.wav")
        arrays[f"group_{index}"] = np.array(f"infant-0{index}")
        arrays[f"seconds_{index}"] = np.array(2.5)
        arrays[f"true_{index}"] = np.array([index, 1.0, np.nan])
        arrays[f"predicted_{index}"] = np.array([0.0, 1.0, 2.7])
        arrays[f"envelope_{index}"] = np.stack([-generator.random(100), generator.random(100)]).astype(np.float32)
        arrays[f"attention_{index}"] = (weights / weights.sum()).astype(np.float32)
    arrays["map"] = generator.normal(size=(num_map, 2)).astype(np.float32)
    arrays["map_name"] = np.array([f"infant-{index % 5:02d}/{index}.wav" for index in range(num_map)])
    arrays["map_group"] = np.array([f"infant-{index % 5:02d}" for index in range(num_map)])
    arrays["map_true"] = np.stack([truth(each)[:num_map] for each in TARGETS], axis=1)
    parts = ["front", "block 0", "block 1", "behind"]
    return arrays | {
        "change_part": np.array(parts),
        "change_relative": np.array([0.01, 0.12, np.nan, 0.3]),
        "change_weights": np.array([10, 20, 20, 10]),
    }


def history(**outcome: Any) -> list[Row]:
    """Three evaluations, and what selection made of them."""
    entries: list[Row] = []
    for step in range(1, 31):
        entries.append({"step": step, "total": 3 / step, "cross_entropy": 2 / step, "coral": 1 / step})
        entries[-1] |= {"learning_rate": 1e-3, "grad_norm": 1.0, "replaced_clips": 0.0}
        if step % 10 == 0:
            uar = {f"eval_uar_{each.name}": 0.4 + step / 100 for each in TARGETS[:2]}
            entries.append({"step": step, "eval_total": 1.5, "eval_cross_entropy": 1.0, "eval_coral": 0.5, **uar})
            entries[-1]["eval_mae_effort"] = 1.2
    kept = {"step": 30, "best_step": 10, "best_value": 1.5, "weights_step": 10, "stopped_early_at": 30}
    return [*entries, {**kept, **outcome}]


def record(stage: str) -> Row:
    return {"stage": stage, "started": "2026-01-01T00:00:00+00:00", "wall_sec": 61.0, "package_digest": "a" * 64}


def inputs(table: pd.DataFrame | None = None, **parts: Any) -> RunInputs:
    """All of a page; ``parts`` take the place of what is planted."""
    table = predictions() if table is None else table
    scored = rows(table, targets_of(table), lost=parts.pop("lost", 0))
    side = {"num_files": 120, "num_groups": 20, "hours": 0.1, "labels": {"reason": {"hungry": 60}}, "sha256": "b" * 64}
    train = {**record("train"), "num_parameters": 496_000, "num_learning": 12_000}
    train["base"] = {"name": "wav2vec2-base", "hub_id": "facebook/wav2vec2-base", "revision": "0123456789abcdef"}
    given: Row = {
        "name": "cry",
        "run": run(),
        "history": history(),
        "scores": Scores(scored),
        "luck": luck_of(scored),
        "num_unreadable": num_unreadable(scored),
        "corpus": DemoRatingsCorpus(kind="demo-ratings", title="Cries", license="CC0"),
        "validation": {"num_files": 120, "num_excluded": 0, "hours": 0.3, "hours_excluded": 0.0, "reasons": []},
        "invalid": pd.DataFrame(columns=["wav_path", "reason", "severity", "detail", "value", "bound"]),
        "invalid_link": "../corpora/cries/validation/invalid_files.parquet",
        "split": {"group": "participant", "seed": 0, "warnings": [], "sides": {"train": side, "test": side}},
        "provenance": {"split": record("split"), "train": train, "score": record("score")},
        "environment": record("report"),
        "predictions": table,
        "inside": inside(),
    }
    return RunInputs(**{**given, **parts})
