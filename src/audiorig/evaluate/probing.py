"""Probes of an encoder's features, task by task: what is planned, and what is found.

An encoder is whatever fulfils ``models.contract.AudioEncoder``; it is seen with a split and the
audio, and nothing of its training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import SIDES, ProbeConfig, ProbeTask
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.baselines import spectral_features
from audiorig.evaluate.embed import embed_all
from audiorig.evaluate.folds import make_folds, task_rows
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.pieces import Pieces, item_names
from audiorig.evaluate.systems import BEFORE, RANDOM, Features, TaskScorer
from audiorig.models.contract import AudioEncoder


def plan_tasks(split: Path, settings: ProbeConfig, segments: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    """What each task would learn from and be tested on, in items.

    Args:
        segments: labelled stretches (see ``segments.join_segments``); None if the corpus has none.

    Raises:
        DataError: if a task cannot be run on this split; better now than after the training.
    """
    sides = {side: read_table(split / f"{side}.parquet") for side in SIDES}
    plan = []
    for name, task in settings.tasks.items():
        rows = task_rows(sides, task, segments, settings.seed)
        folds = make_folds(rows, task, settings.seed)
        counts = {side: len(getattr(folds[0], side)) for side in SIDES}
        learnt = [set(rows[task.label].iloc[fold.train].astype(str)) for fold in folds]
        labels = sorted(set.intersection(*learnt))
        unknown = sorted(set(rows[task.label].astype(str)) - set(labels))
        plan.append(
            {
                "task": name,
                "folds": len(folds),
                "clips": counts,  # of the first fold
                "labels": labels,
                "labels_without_a_score": unknown,
            }
        )
    return plan


@dataclass(frozen=True)
class View:
    """What some tasks listen to alike, so that they share their features."""

    items: str
    piece_sec: float | None
    random_channel: bool

    @classmethod
    def of(cls, task: ProbeTask) -> "View":
        return cls(task.items, task.piece_sec, task.random_channel)

    @property
    def are_stretches(self) -> bool:
        return self.items == "segments"


def probe_model(
    encoder: AudioEncoder,
    split: Path,
    root: Path,
    settings: ProbeConfig,
    system: str,
    *,
    before: AudioEncoder | None = None,
    segments: pd.DataFrame | None = None,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Score every task of the settings: rows of ``metrics.json``, and hits by item (see ``TaskScorer.items``).

    Args:
        system: what the rows call the encoder.
        before: the same encoder before it was adapted, if that is what is asked; it becomes the
            system ``BEFORE``, with its paired difference.
        segments: labelled stretches (see ``segments.join_segments``); None if the corpus has none.
    """
    if before is not None and before.sample_rate_hz != encoder.sample_rate_hz:
        raise DataError(
            f"the encoder hears {encoder.sample_rate_hz} Hz and the one before its adaptation "
            f"{before.sample_rate_hz} Hz: they are not one before and after"
        )
    sides = {side: read_table(split / f"{side}.parquet") for side in SIDES}
    encoders = {system: encoder}
    encoders |= {f"{RANDOM}, seed {seed}": encoder.untrained(seed) for seed in range(settings.random_encoders)}
    if before is not None:
        encoders[BEFORE] = before
    rows: list[dict[str, Any]] = []
    items = [pd.DataFrame(columns=["task", "system", "item", "group", "hit"])]
    for view, names in _tasks_by_view(settings.tasks).items():
        tables = {name: task_rows(sides, settings.tasks[name], segments, settings.seed) for name in names}
        pieces, place = _pieces_of(tables, view, root, encoder.sample_rate_hz, settings.seed)
        embedded = embed_all(encoders, pieces, settings.batch_size)
        spectral = spectral_features(pieces)
        for name in names:
            table, chosen = _rows_of_pieces(tables[name], pieces, place, view)
            found = {each: _select(layers, chosen) for each, layers in embedded.items()}
            adapted, original = found.pop(system), found.pop(BEFORE, None)
            features = Features(adapted, list(found.values()), _select(spectral, chosen), original)
            scorer = TaskScorer(name, settings.tasks[name], table, settings, system)
            rows += scorer.score(features)
            items.append(scorer.items())
    return rows, pd.concat(items[1:] or items, ignore_index=True)


def _pieces_of(
    tables: Mapping[str, pd.DataFrame], view: View, root: Path, rate_hz: int, seed: int
) -> tuple[Pieces, pd.Series]:
    """What any of the tasks listens to, each item once, and the names of the items of all pieces."""
    together = pd.concat(tables.values(), ignore_index=True)
    is_first = ~item_names(together, view.are_stretches).duplicated()
    order = ["wav_path", "start_sec", "end_sec"] if view.are_stretches else ["wav_path"]
    needed = together[is_first].sort_values(order, ignore_index=True)
    pieces = Pieces(needed, root, rate_hz, view.piece_sec, view.random_channel, seed, view.are_stretches)
    return pieces, item_names(pieces.table, view.are_stretches)


def _rows_of_pieces(
    rows: pd.DataFrame, pieces: Pieces, names: pd.Series, view: View
) -> tuple[pd.DataFrame, np.ndarray]:
    """A task's own rows, one for each of its pieces, and which pieces these are.

    Of two annotations of one stretch, tasks on different labels may need different ones.
    """
    own = rows.set_axis(item_names(rows, view.are_stretches).to_numpy(), axis=0)
    chosen = np.flatnonzero(names.isin(own.index))
    table = own.loc[names.iloc[chosen]].reset_index(drop=True)
    return table.assign(start=pieces.table["start"].to_numpy()[chosen]), chosen


def _select(features: Mapping[str, Floats], rows: np.ndarray) -> dict[str, Floats]:
    return {name: matrix[rows] for name, matrix in features.items()}


def _tasks_by_view(tasks: Mapping[str, ProbeTask]) -> dict[View, list[str]]:
    views: dict[View, list[str]] = {}
    for name, task in tasks.items():
        views.setdefault(View.of(task), []).append(name)
    return views
