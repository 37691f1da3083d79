"""Results as plain tables, before any HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import BaseModel

from audiorig.config import Section
from audiorig.config.wavemae import WaveMAEModelConfig
from audiorig.evaluate.reconstruction import INTERPOLATION, LAST_PITCH, VISIBLE_MEAN
from audiorig.evaluate.systems import RANDOM
from audiorig.report.scores import (
    CONTROLS,
    ON_FRAMES,
    ON_LABELS,
    ON_PITCH,
    PITCH,
    RECONSTRUCTION,
    Beside,
    Metric,
    Scores,
    difference_text,
    duration,
    metric_of,
    metric_text,
    points_with_interval,
    with_interval,
)

MORE_METRICS = [metric for metric in ON_LABELS if metric != "accuracy"]
PART_TITLES = {
    "total": "whole loss",
    "main_recon": "main_recon",
    "shape": "shape of hidden patches",
    "level": "level of hidden patches",
    "main_percep": "main_percep",
    "aux_crepe": "aux_crepe",
    "aux_w2v": "aux_w2v",
}
NOT_LOSSES = ("step", "epoch", "grad_norm", "learning_rate", "loss", "train_", "latent_", "linear_probe_")
LAST_STEPS = 20  # one batch alone says little


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first column names the row.

    Attributes:
        numeric: columns that are set to the right.
        strong: rows that are set off.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()


def system_title(system: str) -> str:
    """How a page calls a system."""
    return "untrained encoder" if system == RANDOM else system


def task_title(task: str) -> str:
    """voice-from-one-clip becomes Voice from one clip."""
    text = task.replace("-", " ").replace("_", " ")
    return text[:1].upper() + text[1:]


def probe_table(scores: Scores, task: str, system: str) -> Table:
    """The encoder and its controls: accuracy with the paired difference, then the other metrics."""
    systems = [name for name in (system, *CONTROLS) if scores.get(task, name)]
    metrics = [metric for metric in MORE_METRICS if any(scores.get(task, name, metric) for name in systems)]
    rows = tuple(
        (
            system_title(name),
            with_interval(scores.get(task, name)),
            points_with_interval(scores.difference(task, system, name)),
            *(with_interval(scores.get(task, name, metric)) for metric in metrics),
        )
        for name in systems
    )
    headers = ("system", "accuracy", "encoder minus system, points", *(ON_LABELS[metric].title for metric in metrics))
    return Table(
        headers,
        rows,
        f"{what_was_resampled(scores, task)}{what_was_pretrained(scores, task, system)}",
        numeric=frozenset(range(1, len(headers))),
        strong=frozenset({0} if systems[:1] == [system] else ()),
    )


def what_was_pretrained(scores: Scores, task: str, system: str) -> str:
    """Whether the encoder has heard what it is tested on."""
    mine = scores.get(task, system)
    if mine is None or not mine.num_pretrained:
        return ""
    return (
        f" {mine.num_pretrained} of the test items are of the encoder's own training side, which it heard unlabelled."
    )


def what_was_resampled(scores: Scores, task: str) -> str:
    """What the intervals of a task rest on."""
    for (which, _, _), estimate in scores.estimates.items():
        if which == task:
            unit = "groups" if estimate.interval_over == "groups" else "clips, because there are too few groups"
            groups = f"{estimate.num_groups} group{'' if estimate.num_groups == 1 else 's'}"
            return f"{estimate.num_items} test items of {groups}; 95 % intervals: a bootstrap over {unit}."
    return ""


def reconstruction_table(scores: Scores, system: str) -> Table:
    """R2 of hidden frames by distance: the model, the anchors, the paired differences."""
    anchors = (INTERPOLATION, VISIBLE_MEAN)
    systems = (system, *anchors, *(f"{system} minus {name}" for name in anchors))
    by_system = {name: found for name in systems if (found := scores.by_distance(name))}
    distances = list(dict.fromkeys(distance for found in by_system.values() for distance in found))
    rows = tuple(
        (name, *(with_interval(found.get(distance), 2) for distance in distances)) for name, found in by_system.items()
    )
    return Table(
        ("frames to the nearest visible one", *distances),
        rows,
        what_was_resampled(scores, RECONSTRUCTION),
        numeric=frozenset(range(1, len(distances) + 1)),
        strong=frozenset({0} if system in by_system else ()),
    )


def frame_distance_table(scores: Scores, system: str) -> Table:
    """How far rebuilt spectra are from the true ones, where frames were hidden and where not."""
    return _measured_table(scores, RECONSTRUCTION, system, (INTERPOLATION, VISIBLE_MEAN), ON_FRAMES)


def pitch_table(scores: Scores, system: str) -> Table:
    """The pitch of hidden frames, beside repeating the last visible one."""
    return _measured_table(scores, PITCH, system, (LAST_PITCH,), ON_PITCH)


def _measured_table(
    scores: Scores, task: str, system: str, anchors: Sequence[str], known: Mapping[str, Metric]
) -> Table:
    """A row for the model and each anchor, then one for each paired difference; a column a metric."""
    differences = [f"{system} minus {anchor}" for anchor in anchors]
    metrics = {name: metric for name, metric in known.items() if scores.get(task, system, name)}
    rows = [
        (name, *(metric_text(scores.get(task, name, key), metric) for key, metric in metrics.items()))
        for name in (system, *anchors)
    ]
    rows += [
        (name, *(difference_text(scores.get(task, name, key), metric) for key, metric in metrics.items()))
        for name in differences
    ]
    rows = [row for row in rows if set(row[1:]) - {"–"}]
    units = [f"{metric.title}, {metric.unit}" if metric.unit else metric.title for metric in metrics.values()]
    less = [metric.title for metric in metrics.values() if metric.is_error]
    notes = [what_was_resampled(scores, task)]
    notes += ["Differences of shares are in points."] if any(not each.unit for each in metrics.values()) else []
    if less:
        notes.append("Less is better." if len(less) == len(metrics) else f"Less is better: {'; '.join(less)}.")
    return Table(
        ("system", *units),
        tuple(rows),
        " ".join(notes),
        numeric=frozenset(range(1, len(units) + 1)),
        strong=frozenset({0} if rows else ()),
    )


def loss_parts(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parts of the loss that were logged, on training batches or on dev, in the order of pages.

    The total is left out where one part alone makes it up.
    """
    logged = dict.fromkeys(key.removeprefix("eval_") for entry in history for key in entry)
    parts = [key for key in logged if not key.startswith(NOT_LOSSES)]
    if not {"main_percep", "aux_crepe", "aux_w2v"} & set(parts):
        parts = [part for part in parts if part != "total"]
    return [part for part in PART_TITLES if part in parts] + sorted(set(parts) - set(PART_TITLES))


def loss_weights(model: WaveMAEModelConfig) -> dict[str, float]:
    """Weight of each part in the loss; of ``shape`` and ``level`` within main_recon."""
    return {**model.weights.model_dump(), "shape": 1.0, "level": model.level_weight}


def loss_table(history: Sequence[Mapping[str, Any]], model: WaveMAEModelConfig) -> Table:
    """The parts of the loss: weight, last values, and what each adds to the loss on dev."""
    weights, rows, strong = loss_weights(model), [], set()
    for part in loss_parts(history):
        train = [entry[part] for entry in history if entry.get(part) is not None][-LAST_STEPS:]
        dev = [entry[f"eval_{part}"] for entry in history if entry.get(f"eval_{part}") is not None][-1:]
        weight, inside = weights.get(part), " in main_recon" if part in ("shape", "level") else ""
        rows.append(
            (
                part,
                f"{weight:g}{inside}" if weight is not None else "–",
                f"{sum(train) / len(train):.4f}" if train else "–",
                f"{dev[0]:.4f}" if dev else "–",
                f"{weight * dev[0]:.4f}" if dev and weight is not None else "–",
            )
        )
        if part == "total":
            strong.add(len(rows) - 1)
    last = max((int(entry["step"]) for entry in history if any(key.startswith("eval_") for key in entry)), default=None)
    caption = f"Training: mean of the last {LAST_STEPS} logged steps." + (f" Dev: step {last:,}." if last else "")
    headers = ("part", "weight", "training", "dev", "weight × dev")
    return Table(headers, tuple(rows), caption, numeric=frozenset(range(1, 5)), strong=frozenset(strong))


def beside_table(beside: Beside) -> Table:
    """This run minus another, score by score."""
    rows = []
    for (task, name), estimate in beside.differences.items():
        metric = metric_of(name)
        direction = {"above": "higher", "below": "lower", "uncertain": "not certain"}[estimate.direction]
        if metric.is_error:
            direction += "" if estimate.direction == "uncertain" else ", less is better"
        rows.append(
            (
                task_title(task),
                metric.title,
                f"{difference_text(estimate, metric)} {metric.unit or 'points'}",
                direction,
                f"{estimate.num_items:,}",
                f"{estimate.num_groups:,}",
            )
        )
    headers = ("task", "metric", f"this run minus {beside.name}", "it is", "test items", "groups")
    caption = "Both runs on the same items and the same draws (paired)."
    return Table(headers, tuple(rows), caption, numeric=frozenset({2, 4, 5}))


def validation_table(summary: Mapping[str, Any]) -> Table:
    """Files by what is wrong with them; only errors leave a file out."""
    effects = {"error": "left out", "warning": "kept", "note": "kept"}
    order = list(effects)
    rows = tuple(
        (row["reason"], row["severity"], effects.get(row["severity"], ""), f"{row['num_files']:,}")
        for row in sorted(summary.get("reasons", []), key=lambda row: (order.index(row["severity"]), row["reason"]))
    )
    return Table(("reason", "severity", "file is", "files"), rows, numeric=frozenset({3}))


def invalid_files_table(problems: pd.DataFrame, limit: int = 20) -> Table:
    """The first problems, file by file."""
    shown = problems.head(limit)
    rows = tuple(
        (str(row.wav_path), str(row.reason), str(row.severity), str(row.detail))
        for row in shown.itertuples(index=False)
    )
    caption = f"{len(shown)} of {len(problems)} problems." if len(problems) > limit else ""
    return Table(("file", "reason", "severity", "detail"), rows, caption)


def split_table(split: Mapping[str, Any]) -> Table:
    """The three sides: groups, files, hours, digest."""
    rows = tuple(
        (
            side,
            f"{content['num_groups']:,}",
            f"{content['num_files']:,}",
            f"{content['hours']:.2f}",
            str(content["sha256"])[:16],
        )
        for side, content in _sides(split).items()
    )
    return Table(("side", "groups", "files", "hours", "sha256"), rows, numeric=frozenset({1, 2, 3}))


def label_table(split: Mapping[str, Any]) -> Table:
    """Files of each label value, side by side."""
    sides = _sides(split)
    values = dict.fromkeys(
        (label, value) for side in sides.values() for label, counts in side["labels"].items() for value in counts
    )
    rows = tuple(
        (f"{label}: {value}", *(f"{content['labels'].get(label, {}).get(value, 0):,}" for content in sides.values()))
        for label, value in sorted(values)
    )
    return Table(("label", *sides), rows, "Files.", numeric=frozenset(range(1, len(sides) + 1)))


def _sides(split: Mapping[str, Any]) -> dict[str, Any]:
    sides = split.get("sides", {})
    return {name: sides[name] for name in ("train", "dev", "test") if name in sides}


def time_table(provenance: Mapping[str, Mapping[str, Any]]) -> Table:
    """How long each stage took."""
    rows = tuple(
        (stage, str(record.get("started", "")).replace("T", " ")[:19], duration(float(record["wall_sec"])))
        for stage, record in provenance.items()
    )
    return Table(("stage", "started (UTC)", "took"), rows, numeric=frozenset({2}))


def code_table(provenance: Mapping[str, Mapping[str, Any]], environment: Mapping[str, Any]) -> Table:
    """Which code made each stage, this page last."""
    records = {**provenance, "report (this page)": environment}
    rows = tuple(
        (
            stage,
            str(record.get("git_commit") or "not known")[:12],
            str(record.get("git_changed_files", "")),
            str(record.get("package_digest", ""))[:16],
        )
        for stage, record in records.items()
    )
    return Table(("stage", "git commit", "changed files", "package digest"), rows, numeric=frozenset({2}))


def version_table(environment: Mapping[str, Any]) -> Table:
    """Python and packages."""
    versions = {"python": environment.get("python", ""), **environment.get("versions", {})}
    return Table(("package", "version"), tuple((name, str(version)) for name, version in versions.items()))


def settings_table(settings: Section) -> Table:
    """Every setting with its value and its meaning, sections spelled out with dots."""
    return Table(("setting", "value", "meaning"), tuple(_settings_rows(settings, "")))


def _settings_rows(value: Any, path: str, meaning: str = "") -> list[tuple[str, str, str]]:
    prefix = f"{path}." if path else ""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        parts = [(name, getattr(value, name), fields[name].description or "") for name in fields]
    elif isinstance(value, Mapping) and any(isinstance(each, BaseModel) for each in value.values()):
        parts = [(name, each, "") for name, each in value.items()]
    else:
        return [(path, _as_text(value), meaning)]
    return [row for name, each, text in parts for row in _settings_rows(each, f"{prefix}{name}", text)]


def _as_text(value: Any) -> str:
    if value is None or value in ("", (), {}):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_as_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_as_text(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
