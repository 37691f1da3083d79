"""Which pieces a probe learns from, which choose its penalty, and which judge it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.config import ProbeTask
from audiorig.errors import DataError
from audiorig.evaluate.segments import join_segments, without_contradictions
from audiorig.evaluate.selection import spread_evenly
from audiorig.randomness import keyed_generator

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Row numbers of one train, dev and test."""

    train: Indices
    dev: Indices
    test: Indices


def task_rows(
    sides: dict[str, pd.DataFrame], task: ProbeTask, segments: pd.DataFrame | None = None, seed: int = 0
) -> pd.DataFrame:
    """The rows that a task is about, files or stretches of them, with a column ``split_side``.

    Args:
        sides: rows of the split.
        segments: labelled stretches, for tasks that ask about these (see ``join_segments``).
        seed: of the draw where there are more than ``task.max_items`` on a side.

    Raises:
        DataError: if a column is missing or no row is left.
    """
    rows = pd.concat([table.assign(split_side=side) for side, table in sides.items()], ignore_index=True)
    if task.items == "segments":
        rows = join_segments(rows, segments, task)
    for column in (task.label, task.group, *task.where, *([task.column] if task.column else [])):
        if column not in rows:
            raise DataError(
                f"probe task on {task.label!r}: no column {column!r}; there are {', '.join(map(str, rows))}"
            )
    for column, values in task.where.items():
        rows = rows[rows[column].isin(values)]
    rows = rows[rows[task.label].notna() & (rows[task.label] != "")]
    if task.items == "segments":
        rows = without_contradictions(rows, task)
    if rows.empty:
        raise DataError(f"probe task on {task.label!r}: no row is left by where: {task.where}")
    if task.max_items:
        rows = pd.concat(
            [
                spread_evenly(of_side, task.label, task.group, task.max_items, seed, str(side), task.label)
                for side, of_side in rows.groupby("split_side", sort=True)
            ]
        ).sort_index()
    return rows.sort_values("wav_path", kind="stable", ignore_index=True)


def make_folds(table: pd.DataFrame, task: ProbeTask, seed: int) -> list[Fold]:
    """One fold, or one for each draw of shots, or one for each part that takes its turn.

    Rows whose label does not occur in train are on no side: no score can be given for them.
    Pieces of one clip, and stretches of one recording, are never on two sides.

    Raises:
        DataError: if a side is empty, train has fewer than two labels, or stretches of one
            recording would be on two sides.
    """
    match task.assign:
        case "split":
            side = table["split_side"].to_numpy()
            folds = [_fold(side == "train", side == "dev", side == "test")]
        case "values":
            value = table[task.column].to_numpy()
            learnt = np.isin(value, task.train_values)
            is_dev = learnt & _every_nth_clip(table, task, learnt, seed)
            folds = [_fold(learnt & ~is_dev, is_dev, np.isin(value, task.test_values))]
        case "shots":
            folds = [_draw_shots(table, task, seed, draw) for draw in range(task.draws)]
        case "rotate":
            folds = _rotate(table, task, seed)
    folds = [_without_unknown_labels(fold, table[task.label].to_numpy(dtype=str)) for fold in folds]
    for fold in folds:
        _refuse_shared_files(table, fold, task)
        if not (len(fold.train) and len(fold.dev) and len(fold.test)):
            raise DataError(
                f"probe task on {task.label!r}: {len(fold.train)} pieces to learn from, {len(fold.dev)} for dev, "
                f"{len(fold.test)} to test; none of these may be 0"
            )
        if table[task.label].iloc[fold.train].nunique() < 2:
            raise DataError(f"probe task on {task.label!r}: only one label to learn from")
    return folds


def _refuse_shared_files(table: pd.DataFrame, fold: Fold, task: ProbeTask) -> None:
    """A recording has stretches of many labels: dealt out by label, they would be heard twice."""
    files = [set(table["wav_path"].iloc[rows]) for rows in (fold.train, fold.dev, fold.test)]
    if shared := (files[0] & files[1]) | (files[1] & files[2]) | (files[0] & files[2]):
        raise DataError(
            f"probe task on {task.label!r}: {len(shared)} recordings, such as {min(shared)}, would be on two sides; "
            f"assign: {task.assign} divides stretches, not recordings: take assign: split, or rotate with a group "
            "that whole recordings belong to"
        )


def _without_unknown_labels(fold: Fold, labels: NDArray[np.str_]) -> Fold:
    """Leave out what cannot be answered: dev and test rows whose label training does not have."""
    known = np.unique(labels[fold.train])
    return Fold(fold.train, *(side[np.isin(labels[side], known)] for side in (fold.dev, fold.test)))


def _fold(is_train: NDArray[np.bool_], is_dev: NDArray[np.bool_], is_test: NDArray[np.bool_]) -> Fold:
    return Fold(np.flatnonzero(is_train), np.flatnonzero(is_dev), np.flatnonzero(is_test))


def _every_nth_clip(table: pd.DataFrame, task: ProbeTask, among: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """A quarter of each label's clips, drawn by key; at least one, but never the only one."""
    chosen: set[str] = set()
    for label, rows in table[among].groupby(task.label):
        clips = sorted(rows["wav_path"].unique())
        order = keyed_generator("probe-dev", seed, str(label)).permutation(len(clips))
        chosen |= {clips[index] for index in order[: max(min(1, len(clips) - 1), len(clips) // 4)]}
    return table["wav_path"].isin(chosen).to_numpy()


def _draw_shots(table: pd.DataFrame, task: ProbeTask, seed: int, draw: int) -> Fold:
    """``shots`` clips per label to learn from, as many for dev, all others to test."""
    train: set[str] = set()
    dev: set[str] = set()
    for label, rows in table.groupby(task.label):
        clips = sorted(rows["wav_path"].unique())
        order = keyed_generator("probe-shots", seed, draw, str(label)).permutation(len(clips))
        train |= {clips[index] for index in order[: task.shots]}
        dev |= {clips[index] for index in order[task.shots : 2 * task.shots]}
    is_train, is_dev = (table["wav_path"].isin(chosen).to_numpy() for chosen in (train, dev))
    return _fold(is_train, is_dev, ~is_train & ~is_dev)


def _rotate(table: pd.DataFrame, task: ProbeTask, seed: int) -> list[Fold]:
    """Each part of the groups is tested once; the next part is dev, all others are learnt from.

    Groups are dealt one by one, those with the same commonest label after each other: where a group
    has one label, every part gets its share of each.
    """
    groups = table[task.group].to_numpy(dtype=str)
    labels = pd.Series({group: _commonest(rows[task.label]) for group, rows in table.groupby(groups)})
    if len(labels) < task.folds:
        raise DataError(
            f"probe task on {task.label!r}: {len(labels)} groups of {task.group!r} cannot be dealt into "
            f"{task.folds} folds; set folds to {max(3, len(labels))} or take another group"
        )
    order: list[str] = []
    for label, same in labels.sort_index().groupby(labels):
        dealt = keyed_generator("probe-rotate", seed, str(label)).permutation(len(same))
        order += [str(same.index[index]) for index in dealt]
    part_of = {group: place % task.folds for place, group in enumerate(order)}
    part = np.array([part_of[group] for group in groups])
    turns = [(number, (number + 1) % task.folds) for number in range(task.folds)]
    return [_fold((part != test) & (part != dev), part == dev, part == test) for test, dev in turns]


def _commonest(labels: pd.Series) -> str:
    """Of equals, the first by name."""
    return str(labels.astype(str).value_counts().sort_index().idxmax())
