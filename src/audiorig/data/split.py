"""Splits: which files are for training, dev and test, with no group on two sides."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from audiorig.config import SplitConfig
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.manifest import write_table
from audiorig.data.validate import excluded_paths, require_files
from audiorig.errors import DataError
from audiorig.files import file_digest, write_json, written_aside
from audiorig.randomness import keyed_generator

SIDES = ("train", "dev", "test")


def split_manifest(
    manifest: pd.DataFrame, problems: pd.DataFrame, settings: SplitConfig, name: str
) -> dict[str, pd.DataFrame]:
    """Divide the valid files of a manifest.

    Returns:
        A table for each of train, dev and test: manifest rows in manifest order, and a column
        ``group_id``.

    Raises:
        DataError: if a group is on two sides, a side has fewer groups than asked for, or a column
            is missing.
    """
    rows = manifest[~manifest["wav_path"].isin(excluded_paths(problems))].reset_index(drop=True)
    require_files(rows, f"split {name!r}")
    for column in (settings.column, settings.stratify, *settings.labels):
        if column is not None and column not in rows:
            raise DataError(
                f"split {name!r}: the manifest has no column {column!r}; it has {', '.join(map(str, rows))}"
            )
    rows["group_id"] = group_ids(rows, settings.group)
    side = _official_sides(rows, settings, name) if settings.column else _drawn_sides(rows, settings)
    sides = {which: rows[side == which].reset_index(drop=True) for which in SIDES}
    _check_sides(sides, settings, name)
    return sides


def group_ids(rows: pd.DataFrame, group: str) -> pd.Series:
    """What must stay together. Files of an unknown participant go by their recording."""
    match group:
        case "clip":
            return rows["wav_path"]
        case "recording":
            return rows["recording_id"]
    recording = "recording:" + rows["recording_id"]
    return rows["participant_id"].where(rows["participant_id"] != UNKNOWN, recording)


def _official_sides(rows: pd.DataFrame, settings: SplitConfig, name: str) -> pd.Series:
    side = rows[settings.column]
    if not (known := side.isin(SIDES)).all():
        raise DataError(
            f"split {name!r}: column {settings.column!r} holds {side[~known].iloc[0]!r} for "
            f"{rows['wav_path'][~known].iloc[0]}: expected train, dev or test"
        )
    return side


def _drawn_sides(rows: pd.DataFrame, settings: SplitConfig) -> pd.Series:
    """Deal seeded, shuffled groups out, stratum by stratum, to whichever side lacks most."""
    strata = rows[settings.stratify] if settings.stratify else pd.Series("", index=rows.index)
    stratum_of = strata.groupby(rows["group_id"]).agg(lambda values: values.mode().iloc[0])
    order: list[str] = []
    for stratum in sorted(stratum_of.unique()):
        groups = sorted(stratum_of.index[stratum_of == stratum])
        order += [str(group) for group in keyed_generator("split", settings.seed, str(stratum)).permutation(groups)]
    counts, side_of = [0, 0, 0], {}
    for dealt, group in enumerate(order, start=1):
        lacking = max(range(3), key=lambda side: settings.shares[side] * dealt - counts[side])
        counts[lacking] += 1
        side_of[group] = SIDES[lacking]
    return rows["group_id"].map(side_of)


def _check_sides(sides: dict[str, pd.DataFrame], settings: SplitConfig, name: str) -> None:
    owner: dict[str, str] = {}
    for which, rows in sides.items():
        groups = rows["group_id"].unique()
        for group in groups:
            if group in owner:
                raise DataError(f"split {name!r}: {settings.group} {group!r} is both in {owner[group]} and in {which}")
            owner[group] = which
        if len(groups) < settings.min_groups:
            raise DataError(
                f"split {name!r}: {which} has {len(groups)} groups ({settings.group}), expected at least "
                f"{settings.min_groups}; change shares, or set splits.{name}.min_groups if that is meant"
            )


def missing_labels(sides: dict[str, pd.DataFrame], labels: tuple[str, ...]) -> list[str]:
    """A sentence for each label value that one side lacks: no score can be given for it."""
    sentences = []
    for label in labels:
        everywhere = set().union(*(rows[label].unique() for rows in sides.values()))
        for which, rows in sides.items():
            for value in sorted(everywhere - set(rows[label].unique())):
                sentences.append(f"{label} {value!r} does not occur in {which}")
    return sentences


def summarize_split(sides: dict[str, pd.DataFrame], settings: SplitConfig, folder: Path) -> dict[str, Any]:
    """Counts, hours and labels of each side, and the digests of the files just written."""
    return {
        "group": settings.group,
        "seed": settings.seed,
        "official_column": settings.column,
        "warnings": missing_labels(sides, settings.labels),
        "sides": {
            which: {
                "num_files": len(rows),
                "num_groups": int(rows["group_id"].nunique()),
                "hours": round(float(rows["duration_sec"].sum()) / 3600, 4),
                "labels": {label: _count(rows[label]) for label in settings.labels},
                "sha256": file_digest(folder / f"{which}.parquet"),
            }
            for which, rows in sides.items()
        },
    }


def _count(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}


def write_split(sides: dict[str, pd.DataFrame], settings: SplitConfig, folder: Path) -> dict[str, Any]:
    """Write each side as parquet, for people, and as Arrow, which readers map; then the summary."""
    for which, rows in sides.items():
        write_table(rows, folder / f"{which}.parquet")
        table = pa.Table.from_pandas(rows, preserve_index=False)
        with written_aside(folder / f"{which}.arrow") as aside, pyarrow.ipc.new_file(aside, table.schema) as writer:
            writer.write_table(table)
    summary = summarize_split(sides, settings, folder)
    write_json(folder / "split_summary.json", summary)
    return summary
