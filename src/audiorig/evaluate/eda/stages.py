"""Baselines asked and traces scored: they are seen with a split, coefficients and traces, and nothing of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import Audio2EdaRun
from audiorig.data.eda.scale import TraceScale
from audiorig.data.manifest import read_table
from audiorig.evaluate.eda.baselines import mean_of_others
from audiorig.evaluate.eda.files import Files
from audiorig.evaluate.eda.fitted import Baselines, fit_baselines
from audiorig.evaluate.eda.nulls import Null, exchange, permuted_null, shifted_null
from audiorig.evaluate.eda.scores import DatasetScores, Predict, measure, null_items
from audiorig.evaluate.eda.table import (
    LOUDNESS_RIDGE,
    NETWORK,
    PERMUTED,
    RIDGE,
    SHIFTED,
    SONG_MEAN,
    SUBJECT_MEAN,
    TRUE,
    HeardSong,
    HeardSongs,
    Predictions,
    prediction_rows,
)
from audiorig.evaluate.intervals import Floats

OF_SONG = (RIDGE, LOUDNESS_RIDGE)  # what predicts otherwise of another song


def predict_baselines(run: Audio2EdaRun, files: Files) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What the baselines say of the test side's traces.

    Returns:
        baselines/predictions.parquet, and by dataset what they rest on: training songs, penalties,
        how many traces had to be told the template for want of anything of their own.
    """
    fitted = fit_baselines(run, files)
    rows: list[dict[str, object]] = []
    notes: dict[str, dict[str, Any]] = {}
    for song in HeardSongs(files.songs(run, "test", files.scale(run))):
        baselines = fitted[song.dataset]
        about = notes.setdefault(song.dataset, _about(baselines))
        about["num_unseen"] += sum(name not in baselines.curves.subjects for name in song.participant_ids)
        about["num_alone"] += mean_of_others(song, np.zeros(song.num_steps))[1]
        for system, predicted in baselines.predict(song).items():
            rows += prediction_rows(song, system, predicted)
    return pd.DataFrame(rows, columns=["trace_id", "system", "predicted"]), notes


def _about(baselines: Baselines) -> dict[str, Any]:
    return {
        "fitted_to": list(baselines.fitted_to),
        "num_songs": baselines.num_songs,
        "num_subjects": len(baselines.curves.subjects),
        "penalty": {name: ridge.penalty for name, ridge in baselines.ridges.items()},
        "dev_pearson": {name: list(ridge.dev_pearson) for name, ridge in baselines.ridges.items()},
        "num_unseen": 0,
        "num_alone": 0,
    }


@dataclass(frozen=True)
class Scored:
    """What scoring finds: scores.json, items.parquet, predictions.parquet, nulls.json, and notes for the record."""

    rows: list[dict[str, Any]]
    items: pd.DataFrame
    predictions: pd.DataFrame
    nulls: dict[str, Any]
    notes: dict[str, Any]


def score_predictions(
    run: Audio2EdaRun, files: Files, network: dict[str, Floats], baselines: Predictions, scale: TraceScale
) -> Scored:
    """Score a network's predictions beside the baselines' on the test side, dataset by dataset.

    Args:
        network: song id -> (M,).
        scale: of the traces, the network's.

    Raises:
        DataError: if the baselines are of another split.
    """
    songs = [replace(song, coefficients=np.zeros((0, 0))) for song in HeardSongs(files.songs(run, "test", scale))]
    seen = set(read_table(files.split / "train.parquet")["participant_id"].astype(str))
    systems: dict[str, Predict] = {NETWORK: lambda song: network[song.song_id]}
    systems |= {name: partial(baselines.of_song, name) for name in baselines.systems}
    of_song = {NETWORK: network} | {
        name: {song.song_id: _of_all(baselines.of_song(name, song), song) for song in songs}
        for name in OF_SONG
        if name in baselines.systems
    }
    items = [measure(songs, systems, run.score, run.frame_rate_hz)]
    rows: list[dict[str, Any]] = []
    drawn: dict[str, Any] = {}
    for dataset in sorted({song.dataset for song in songs}):
        chosen = [song for song in songs if song.dataset == dataset]
        nulls = {name: _nulls(chosen, predicted, run) for name, predicted in of_song.items()}
        items += [null_items(chosen, null.by_trace, name) for name, null in nulls[NETWORK].items()]
        more = {"normalize": run.eda.normalize, "target": run.eda.target, "rate_hz": run.frame_rate_hz}
        table = pd.concat(items, ignore_index=True)
        scores = DatasetScores(dataset, table[table["task"] == dataset], run.score, more)
        scores.add_systems(_notes(chosen, seen))
        scores.add_ceiling(chosen)
        for system, by_name in nulls.items():
            for name, null in by_name.items():
                scores.add_number(system, f"p_{name.replace('-', '_')}", null.p_value, num_draws=len(null.draws))
        drawn[dataset] = {name: null.draws.round(6).tolist() for name, null in nulls[NETWORK].items()}
        drawn[dataset]["observed"] = {name: round(null.observed, 6) for name, null in nulls[NETWORK].items()}
        rows += scores.rows
    notes = {"normalize": run.eda.normalize, "trace_scale": scale.to_dict() | {"subjects": len(scale.subjects)}}
    return Scored(rows, pd.concat(items, ignore_index=True), _shown(songs, network, baselines), drawn, notes)


def _nulls(songs: Sequence[HeardSong], predicted: Mapping[str, Floats], run: Audio2EdaRun) -> dict[str, Null]:
    """Both, with the same orders and shifts for all systems; where there is no other song, or no r, not that one."""
    key = (run.score.seed, songs[0].dataset)
    found = {
        PERMUTED: permuted_null(exchange(songs, predicted), run.score.permutations, *key),
        SHIFTED: shifted_null(songs, predicted, run.score.permutations, *key),
    }
    return {name: null for name, null in found.items() if null is not None}


def _notes(songs: Sequence[HeardSong], seen: set[str]) -> dict[str, dict[str, Any]]:
    """What the rows of some systems say besides: for how many traces the template stands in."""
    unseen = sum(name not in seen for song in songs for name in song.participant_ids)
    alone = sum(mean_of_others(song, np.zeros(song.num_steps))[1] for song in songs)
    return {SUBJECT_MEAN: {"num_template": unseen}, SONG_MEAN: {"num_template": alone, "needs_listeners": True}}


def _of_all(predicted: Floats, song: HeardSong) -> Floats:
    """(M,) of (S, M): what is predicted for whoever heard it longest, which is the same for all."""
    return predicted[int(np.argmax(song.lengths))]


def _shown(songs: Sequence[HeardSong], network: dict[str, Floats], baselines: Predictions) -> pd.DataFrame:
    """predictions.parquet: true and predicted traces; NaN where a true one has a gap."""
    rows = []
    for song in songs:
        true = np.where(song.is_heard, song.traces, np.nan)
        lines = {TRUE: true, NETWORK: np.broadcast_to(network[song.song_id], true.shape)}
        lines |= {name: baselines.of_song(name, song) for name in baselines.systems}
        about = zip(song.trace_ids, song.participant_ids, song.lengths, strict=True)
        for place, (trace_id, participant, length) in enumerate(about):
            for system, table in lines.items():
                rows.append(
                    {
                        **{"trace_id": trace_id, "song_id": song.song_id, "participant_id": participant},
                        **{"dataset": song.dataset, "system": system},
                        "values": table[place, :length].astype(np.float32),
                    }
                )
    return pd.DataFrame(rows)
