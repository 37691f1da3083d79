"""What a run was made of, as tables: files, sides, settings, time and code."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel

from audiorig.config import Section
from audiorig.report.inputs import RunInputs
from audiorig.report.tables import Table
from audiorig.report.wording import duration

ORDER = ("experiment", "achieves", "seed", "seeds", "its own", "train", "probe", "report", "hub")


def run_facts(inputs: RunInputs, own: Mapping[str, str]) -> dict[str, str]:
    """The run in a few lines: what, on what, by which code.

    Args:
        own: what only runs of this experiment have.
    """
    run, train = inputs.run, inputs.training
    parameters = train.get("num_parameters")
    return {
        "experiment": run.experiment,
        "corpus": f"{run.data.corpus} ({inputs.corpus.title})" if inputs.corpus.title else run.data.corpus,
        "split": run.data.split,
        **own,
        "parameters": f"{parameters:,}" if parameters else "not known",
        "seed": str(run.seed),
        "git commit": str(train.get("git_commit") or "not known"),
        "trained": f"{train['started'].replace('T', ' ')[:16]} UTC" if train.get("started") else "not known",
    }


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
    """The three sides: groups, files, hours, digest; of listeners' traces, songs and subjects too."""
    sides = _sides(split)
    counts = {"songs": "num_songs", "subjects": "num_subjects"}
    own = {title: key for title, key in counts.items() if any(key in content for content in sides.values())}
    shown = {"groups": "num_groups", **own}
    files = "traces" if own else "files"
    rows = tuple(
        (
            side,
            *(f"{content[key]:,}" for key in shown.values()),
            f"{content['num_files']:,}",
            f"{content['hours']:.2f}",
            str(content["sha256"])[:16],
        )
        for side, content in sides.items()
    )
    return Table(("side", *shown, files, "hours", "sha256"), rows, numeric=frozenset(range(1, len(shown) + 3)))


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


def settings_table(settings: Section) -> Table:
    """Every setting with its value and its meaning, sections spelled out with dots."""
    return Table(("setting", "value", "meaning"), tuple(_settings_rows(settings, "")))


def _settings_rows(value: Any, path: str, meaning: str = "") -> list[tuple[str, str, str]]:
    prefix = f"{path}." if path else ""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        names = sorted(fields, key=_place) if not path else fields
        parts = [(name, getattr(value, name), fields[name].description or "") for name in names]
    elif isinstance(value, Mapping) and any(isinstance(each, BaseModel) for each in value.values()):
        parts = [(name, each, "") for name, each in value.items()]
    else:
        return [(path, _as_text(value), meaning)]
    return [row for name, each, text in parts for row in _settings_rows(each, f"{prefix}{name}", text)]


def _place(section: str) -> int:
    """What a run is, then its experiment's own sections, then those that every run has by stage."""
    return ORDER.index(section) if section in ORDER else ORDER.index("its own")


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
