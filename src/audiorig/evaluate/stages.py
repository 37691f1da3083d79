"""The two judgements of a checkpoint: probes of its features, and what it rebuilds.

Both see a model folder, a split and the audio, and nothing of the training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from audiorig.config import ProbeConfig, ProbeTask
from audiorig.data.audio import read_window, source_of_row
from audiorig.data.manifest import read_table
from audiorig.data.split import SIDES
from audiorig.errors import DataError
from audiorig.evaluate.baselines import spectral_features
from audiorig.evaluate.embed import embed
from audiorig.evaluate.folds import make_folds, task_rows
from audiorig.evaluate.pieces import Pieces
from audiorig.evaluate.rebuild import Bools, Frames, RebuiltClip, TestClip, audible, rebuild_clips
from audiorig.evaluate.reconstruction import error_table, pitch_rows, reconstruction_rows
from audiorig.evaluate.systems import RANDOM, Features, TaskScorer
from audiorig.models import WaveMAE
from audiorig.randomness import keyed_generator, random_state_fence

PitchLookup = Callable[[str, int, Frames], tuple[Frames, Bools] | None]


def load_model(folder: Path) -> WaveMAE:
    """A trained model, ready to be asked."""
    return WaveMAE.from_pretrained(folder).eval()


def untrained_like(model: WaveMAE, seed: int) -> WaveMAE:
    """An encoder of the same shape and standardisation that has learnt nothing."""
    with random_state_fence():
        torch.manual_seed(seed)
        fresh = WaveMAE(model.config).eval()
    for name in ("bin_mean", "bin_std", "is_scored"):
        getattr(fresh, name).copy_(getattr(model, name))
    return fresh


def plan_tasks(split: Path, settings: ProbeConfig) -> list[dict[str, Any]]:
    """What each task would learn from and be tested on, in clips.

    Raises:
        DataError: if a task cannot be run on this split; better now than after the training.
    """
    sides = {side: read_table(split / f"{side}.parquet") for side in SIDES}
    plan = []
    for name, task in settings.tasks.items():
        rows = task_rows(sides, task)
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


def probe_model(
    model: WaveMAE, split: Path, root: Path, settings: ProbeConfig, system: str
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Score every task of the settings: rows of ``metrics.json``, and hits by item (see ``TaskScorer.items``).

    Tasks that listen to the same pieces share their features.
    """
    sides = {side: read_table(split / f"{side}.parquet") for side in SIDES}
    encoders = {system: model}
    encoders |= {f"{RANDOM}, seed {seed}": untrained_like(model, seed) for seed in range(settings.random_encoders)}
    rows: list[dict[str, Any]] = []
    items = [pd.DataFrame(columns=["task", "system", "item", "group", "hit"])]
    for names in _tasks_by_view(settings.tasks).values():
        task = settings.tasks[names[0]]
        tables = {name: task_rows(sides, settings.tasks[name]) for name in names}
        needed = pd.concat(tables.values()).drop_duplicates("wav_path").sort_values("wav_path", ignore_index=True)
        rate = model.config.sample_rate_hz
        pieces = Pieces(needed, root, rate, task.piece_sec, task.random_channel, settings.seed)
        embedded = [embed(encoder, pieces, settings.batch_size, name) for name, encoder in encoders.items()]
        spectral = spectral_features(pieces)
        for name in names:
            chosen = np.flatnonzero(pieces.table["wav_path"].isin(tables[name]["wav_path"]))
            trained, *untrained = (_select(each, chosen) for each in embedded)
            features = Features(trained, untrained, _select(spectral, chosen))
            table = pieces.table.iloc[chosen].reset_index(drop=True)
            scorer = TaskScorer(name, settings.tasks[name], table, settings, system)
            rows += scorer.score(features)
            items.append(scorer.items())
    return rows, pd.concat(items[1:] or items, ignore_index=True)


@dataclass(frozen=True)
class Rebuilding:
    """What ``reconstruct_model`` finds: rows of ``metrics.json``, clips to look at, errors by clip."""

    rows: list[dict[str, Any]]
    examples: list[RebuiltClip]
    items: pd.DataFrame


def reconstruct_model(
    model: WaveMAE, split: Path, root: Path, settings: ProbeConfig, crop_samples: int, system: str, pitch: PitchLookup
) -> Rebuilding:
    """How hidden frames of the test side are rebuilt.

    Args:
        pitch: Hz and voicing of a stretch (path, first sample, samples), or None where it is not known.
    """
    clips = [
        clip
        for row in _drawn_rows(split, settings)
        if (clip := _test_clip(model, root, row, crop_samples, pitch)) is not None
    ]
    if not clips:
        shortest = 2 * model.shape.stride * model.stft.hop / model.config.sample_rate_hz
        raise DataError(f"{split / 'test.parquet'}: no clip is longer than {shortest:.2f} s")
    groups = [clip.group for clip in clips]
    built = rebuild_clips(model, clips, settings.seed)
    place = (system, settings.bootstrap, settings.seed)
    rows = reconstruction_rows(built, groups, model, *place) + pitch_rows(built, groups, *place)
    examples = [audible(model, built[index], clips[index].waveform) for index in _spread(len(built), settings.examples)]
    return Rebuilding(rows, examples, error_table(built, groups, model.is_scored.numpy()))


def _drawn_rows(split: Path, settings: ProbeConfig) -> list[pd.Series]:
    test = read_table(split / "test.parquet")
    order = keyed_generator("reconstruction-clips", settings.seed).permutation(len(test))
    return [row for _, row in test.iloc[np.sort(order[: settings.reconstruction_clips])].iterrows()]


def _test_clip(model: WaveMAE, root: Path, row: pd.Series, crop_samples: int, pitch: PitchLookup) -> TestClip | None:
    """The middle of a file, from a frame on; None if it is too short to hide anything of it."""
    rate, hop = model.config.sample_rate_hz, model.stft.hop
    start = max(0, int(row["duration_sec"] * rate) - crop_samples) // 2 // hop * hop
    waveform = read_window(source_of_row(root, row), start, crop_samples, rate)
    if len(waveform) < 2 * model.shape.stride * hop:
        return None
    name = str(row["wav_path"])
    return TestClip(name, str(row["group_id"]), waveform, pitch(name, start, waveform))


def _spread(num_items: int, num_chosen: int) -> list[int]:
    """Indices spread evenly over a sorted list, so that examples differ."""
    return sorted({int(position) for position in np.linspace(0, num_items - 1, min(num_chosen, num_items))})


def _select(features: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: matrix[rows] for name, matrix in features.items()}


def _tasks_by_view(tasks: dict[str, ProbeTask]) -> dict[tuple[float | None, bool], list[str]]:
    views: dict[tuple[float | None, bool], list[str]] = {}
    for name, task in tasks.items():
        views.setdefault((task.piece_sec, task.random_channel), []).append(name)
    return views
