"""Splits: which files are for training, dev and test, with no group on two sides."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.config import SIDES, SplitConfig
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.manifest import write_table
from audiorig.data.validate import excluded_paths, require_files
from audiorig.errors import ConfigError, DataError
from audiorig.files import file_digest, write_json, written_aside
from audiorig.randomness import keyed_generator

# What a file's date and the listing's troubles are is no part of a split: touching a file must not
# train a model anew.
PASSING = ["mtime_ns", "problem"]
COPY = "copy"  # column of splits with augmented copies: 0 for the clip itself
SUMMARY = "split_summary.json"
GROUPS = ("participant", "recording", "clip")

log = logging.getLogger(__name__)


def split_manifest(
    manifest: pd.DataFrame, problems: pd.DataFrame, settings: SplitConfig, name: str
) -> dict[str, pd.DataFrame]:
    """Divide the valid files of a manifest.

    Returns:
        A table for each of train, dev and test: manifest rows in manifest order, without the
        columns ``PASSING``, and with a column ``group_id``. Where the settings ask for augmented
        copies, each row comes once more for each, with their number in a column ``copy``: audio is
        not written, whoever reads such a row changes the clip (`data.clips`).

    Raises:
        ConfigError: if the groups are none of files.
        DataError: if a group is on two sides, a side has fewer groups than asked for, or a column
            is missing.
    """
    if settings.group not in GROUPS:
        raise ConfigError(
            f"split {name!r}: group is {settings.group!r}, which only traces of listeners have; expected "
            f"{' or '.join(GROUPS)} for a corpus of files"
        )
    left_out = excluded_paths(problems, settings.exclude_reasons)
    is_kept = ~manifest["wav_path"].isin(left_out)
    rows = manifest.drop(columns=PASSING, errors="ignore")[is_kept].reset_index(drop=True)
    require_files(rows, f"split {name!r}")
    require_columns(rows, settings, f"split {name!r}: the manifest")
    rows["group_id"] = group_ids(rows, settings.group)
    if settings.copies:
        rows = _with_copies(rows, settings, name)
    side = _official_sides(rows, settings, name) if settings.column else drawn_sides(rows, settings)
    sides = {which: rows[side == which].reset_index(drop=True) for which in SIDES}
    check_sides(sides, settings, name)
    return sides


def require_columns(rows: pd.DataFrame, settings: SplitConfig, where: str) -> None:
    """Stop with one sentence if the settings name a column that is not there."""
    for column in (settings.column, settings.stratify, *settings.labels):
        if column is not None and column not in rows:
            raise DataError(f"{where} has no column {column!r}; it has {', '.join(map(str, rows))}")


def group_ids(rows: pd.DataFrame, group: str) -> pd.Series:
    """What must stay together. Files of an unknown participant go by their recording."""
    match group:
        case "clip":
            return rows["wav_path"]
        case "recording":
            return rows["recording_id"]
    recording = "recording:" + rows["recording_id"]
    return rows["participant_id"].where(rows["participant_id"] != UNKNOWN, recording)


def _with_copies(rows: pd.DataFrame, settings: SplitConfig, name: str) -> pd.DataFrame:
    """Each row and its copies; with group: clip every copy is a group of its own, else it stays with its clip."""
    if COPY in rows:
        raise DataError(
            f"split {name!r}: the manifest has a column {COPY!r} already, so copies cannot be numbered; rename it with "
            "the corpus' `columns`"
        )
    number = np.tile(np.arange(settings.copies + 1), len(rows))
    rows = rows.loc[rows.index.repeat(settings.copies + 1)].reset_index(drop=True)
    if settings.group == "clip":
        rows["group_id"] = rows["group_id"].where(number == 0, rows["wav_path"] + "#" + number.astype(str))
    return rows.assign(**{COPY: number})


def _official_sides(rows: pd.DataFrame, settings: SplitConfig, name: str) -> pd.Series:
    side = rows[settings.column]
    if not (known := side.isin(SIDES)).all():
        raise DataError(
            f"split {name!r}: column {settings.column!r} holds {side[~known].iloc[0]!r} for "
            f"{rows['wav_path'][~known].iloc[0]}: expected train, dev or test"
        )
    return side


def drawn_sides(rows: pd.DataFrame, settings: SplitConfig) -> pd.Series:
    """The side of each row: deal seeded, shuffled groups out, stratum by stratum, to whichever side lacks most."""
    counts, side_of = [0, 0, 0], {}
    for dealt, group in enumerate(_shuffled_groups(rows, settings), start=1):
        lacks = [share * dealt - count for share, count in zip(settings.shares, counts, strict=True)]
        lacking = lacks.index(max(lacks))
        counts[lacking] += 1
        side_of[group] = SIDES[lacking]
    codes, groups = pd.factorize(rows["group_id"])
    return pd.Series(np.array([side_of[group] for group in groups])[codes], index=rows.index)


def _shuffled_groups(rows: pd.DataFrame, settings: SplitConfig) -> Iterator[str]:
    """All groups, stratum by stratum; a group of several belongs to the one that ``settings.stratum`` says."""
    if settings.stratify is None:
        groups_of = {"": rows["group_id"].drop_duplicates()}
    else:
        sizes = rows.groupby([settings.stratify, "group_id"], sort=True, observed=True, dropna=False).size()
        counts = sizes.reset_index(name="count").sort_values("count", ascending=False, kind="stable")
        if settings.stratum == "rarest":
            num_groups = counts.groupby(settings.stratify, dropna=False)["group_id"].transform("size")
            counts = counts.iloc[np.argsort(num_groups.to_numpy(), kind="stable")]
        strata = counts.drop_duplicates("group_id").groupby(settings.stratify, sort=True, dropna=False)
        groups_of = {str(stratum): part["group_id"] for stratum, part in strata}
    for stratum, groups in groups_of.items():
        shuffled = keyed_generator("split", settings.seed, stratum).permutation(len(groups))
        ordered = groups.sort_values().to_numpy()
        yield from ordered[shuffled]


def check_sides(sides: dict[str, pd.DataFrame], settings: SplitConfig, name: str) -> None:
    """Stop with one sentence if a group is on two sides, or a side has too few of them."""
    owner = pd.Series(dtype="str")
    total = sum(rows["group_id"].nunique() for rows in sides.values())
    for which, rows in sides.items():
        groups = pd.Index(rows["group_id"].unique())
        if len(both := groups.intersection(owner.index, sort=False)):
            raise DataError(f"split {name!r}: {settings.group} {both[0]!r} is both in {owner[both[0]]} and in {which}")
        owner = pd.concat([owner, pd.Series(which, index=groups)])
        if len(groups) < settings.min_groups:
            raise DataError(
                f"split {name!r}: {which} has {len(groups)} groups ({settings.group}), expected at least "
                f"{settings.min_groups}; with {total} groups in all, give it a larger share "
                f"(shares: [0.5, 0.25, 0.25]), or set splits.{name}.min_groups if that is meant"
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


def leaks(sides: dict[str, pd.DataFrame], settings: SplitConfig) -> list[str]:
    """A sentence for what lies on several sides on purpose."""
    if not settings.copies:
        return []
    sides_of = pd.concat([rows["wav_path"].drop_duplicates() for rows in sides.values()]).value_counts()
    count, total = int((sides_of > 1).sum()), len(sides_of)
    if not count:
        return []
    return [
        f"{count} of {total} clips have augmented copies of themselves on several sides, on purpose "
        f"(copies: {settings.copies}): scores on this split show what that does, and say nothing of new clips"
    ]


def summarize_split(sides: dict[str, pd.DataFrame], settings: SplitConfig, folder: Path) -> dict[str, Any]:
    """Counts, hours and labels of each side, and the digests of the files just written."""
    return {
        "group": settings.group,
        "seed": settings.seed,
        "official_column": settings.column,
        "warnings": missing_labels(sides, settings.labels),
        **({"copies": settings.copies, "leaks": leaks(sides, settings)} if settings.copies else {}),
        "sides": {
            which: {
                "num_files": len(rows),
                "num_groups": int(rows["group_id"].nunique()),
                "num_unknown": int((rows["participant_id"] == UNKNOWN).sum()),
                "hours": round(float(rows["duration_sec"].sum()) / 3600, 4),
                "labels": {label: _count(rows[label]) for label in settings.labels},
                "sha256": file_digest(folder / f"{which}.parquet"),
            }
            for which, rows in sides.items()
        },
    }


def _count(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}


def end_sec(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds from the beginning of the first file to the end of each."""
    return np.cumsum(rows["duration_sec"].to_numpy(np.float64, na_value=0.0))


def write_split(sides: dict[str, pd.DataFrame], settings: SplitConfig, folder: Path) -> dict[str, Any]:
    """Write each side and the summary, and say aloud what lies on several sides on purpose."""
    write_sides(sides, folder)
    summary = summarize_split(sides, settings, folder)
    write_json(folder / SUMMARY, summary)
    for sentence in summary.get("leaks", []):
        log.warning("%s", sentence)
    return summary


def write_sides(sides: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each side as parquet, for people, and as Arrow, which readers map."""
    for which, rows in sides.items():
        write_table(rows, folder / f"{which}.parquet")
        # Readers find the file at a point of the whole duration without adding up all durations.
        table = pa.Table.from_pandas(rows.assign(end_sec=end_sec(rows)), preserve_index=False)
        with written_aside(folder / f"{which}.arrow") as aside, pyarrow.ipc.new_file(aside, table.schema) as writer:
            writer.write_table(table)
