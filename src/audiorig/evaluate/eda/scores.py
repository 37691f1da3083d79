"""Predicted traces scored: trace by trace, then means over songs with intervals, and differences.

Every measure is one number of one trace, over the steps that were heard; never of traces laid end
to end, whose levels differ by listener. A score is the mean over songs of the mean over the song's
traces, and its interval comes from drawing songs: who heard the same song is one unit.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from audiorig.config import TraceScoreConfig
from audiorig.evaluate.eda.ceiling import ceiling_scores, song_ceiling
from audiorig.evaluate.eda.nulls import r_or_zero
from audiorig.evaluate.eda.responses import response_scores
from audiorig.evaluate.eda.table import (
    BASELINES,
    CEILING,
    METRICS,
    NETWORK,
    OF_ITEM,
    TEMPLATE,
    Bools,
    HeardSong,
    song_weights,
)
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import metric_row
from audiorig.models.eda.agreement import ccc, mae, mse, sd_ratio
from audiorig.models.eda.warping import dtw, frechet, heard_first

TRACES_AT_ONCE = 256
WARPED_HZ = 10.0  # at most: filtered traces hold next to nothing above 2 Hz, and the cost is quadratic
DIFFERENCES = ("mse", "mae", "pearson", "ccc", "dtw", "frechet")
SKILL = "skill"

Predict = Callable[[HeardSong], Floats]  # (M,) for all listeners, or (S, M)


def measure(
    songs: Sequence[HeardSong], systems: Mapping[str, Predict], settings: TraceScoreConfig, rate_hz: float
) -> pd.DataFrame:
    """items.parquet: each system's measures of each trace; NaN where one is not defined.

    Args:
        songs: of the test side.
        rate_hz: steps a second.

    Returns:
        task (the dataset), system, item (the trace), group (the song), participant_id, and a column
        for each measure.
    """
    parts = []
    for block in _blocks(songs):
        true, is_heard = _padded([song.traces for song in block]), _padded([song.is_heard for song in block])
        about = _about(block)
        for system, predict in systems.items():
            lines = [np.broadcast_to(predict(song), song.traces.shape) for song in block]
            found = measures(_padded(lines), true, is_heard.astype(bool), settings, rate_hz)
            parts.append(about.assign(system=system, **found))
    table = pd.concat(parts, ignore_index=True)
    return table[[*OF_ITEM, *(name for name in table if name not in OF_ITEM)]]


def null_items(songs: Sequence[HeardSong], by_trace: Sequence[Floats], system: str) -> pd.DataFrame:
    """Rows of items.parquet for a null: r of each trace with what is not its song's, (S,) for each song."""
    about = _about(songs).assign(system=system, pearson=np.concatenate(list(by_trace)))
    return about[[*OF_ITEM, "pearson"]]


def _about(songs: Sequence[HeardSong]) -> pd.DataFrame:
    """Whose traces they are, trace by trace."""
    return pd.DataFrame(
        {
            "task": [song.dataset for song in songs for _ in song.trace_ids],
            "item": [name for song in songs for name in song.trace_ids],
            "group": [song.song_id for song in songs for _ in song.trace_ids],
            "participant_id": [name for song in songs for name in song.participant_ids],
        }
    )


def _blocks(songs: Sequence[HeardSong]) -> Iterator[list[HeardSong]]:
    """Songs of about the same length, whose traces are scored at once."""
    block: list[HeardSong] = []
    for song in sorted(songs, key=lambda song: (song.num_steps, song.song_id)):
        if block and sum(len(each.trace_ids) for each in block) + len(song.trace_ids) > TRACES_AT_ONCE:
            yield block
            block = []
        block.append(song)
    if block:
        yield block


def _padded(tables: Sequence[NDArray[Any]]) -> Floats:
    """(S, M) of several songs under each other, with 0 behind the shorter ones: (P, longest)."""
    longest = max(table.shape[1] for table in tables)
    return np.concatenate(
        [np.pad(table.astype(np.float64), ((0, 0), (0, longest - table.shape[1]))) for table in tables]
    )


def measures(
    predicted: Floats, true: Floats, is_heard: Bools, settings: TraceScoreConfig, rate_hz: float
) -> dict[str, Floats]:
    """Every measure of each trace, (P,) each.

    dtw: absolute differences along the cheapest walk that stays within ``band_sec``, divided by its
    number of places; frechet: discrete. Both of at most 10 steps a second. scr_precision and
    scr_recall: of skin responses that begin within ``response_sec`` of each other.

    Args:
        predicted, true, is_heard: (P, M).
    """
    tensors = torch.from_numpy(predicted), torch.from_numpy(true), torch.from_numpy(is_heard)
    found: dict[str, Floats] = {
        "mse": mse(*tensors).numpy(),
        "mae": mae(*tensors).numpy(),
        "pearson": r_or_zero(*tensors).numpy(),
        "ccc": ccc(*tensors).numpy(),
        "sd_ratio": sd_ratio(*tensors).numpy(),
    }
    every = max(1, math.ceil(rate_hz / WARPED_HZ - 1e-9))
    kept = is_heard[:, ::every]
    (left, lengths), (right, _) = heard_first(predicted[:, ::every], kept), heard_first(true[:, ::every], kept)
    band = max(1, round(settings.band_sec * rate_hz / every))
    found["dtw"], found["frechet"] = dtw(left, right, lengths, band), frechet(left, right, lengths)
    responses = response_scores(predicted, true, is_heard, rate_hz, settings)
    return found | dict(zip(("scr_precision", "scr_recall"), responses, strict=True))


@dataclass
class DatasetScores:
    """The rows of scores.json about one dataset.

    Args:
        items: of ``measure``, this dataset's.
        more: what every row says besides, such as how traces were normalised.
    """

    task: str
    items: pd.DataFrame
    settings: TraceScoreConfig
    more: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    _drawn: dict[tuple[str, ...], Resampling] = field(default_factory=dict)

    def add_systems(self, notes: Mapping[str, Mapping[str, Any]]) -> None:
        """Every measure of every system, skill, and the network minus each baseline.

        Args:
            notes: system -> what its rows say besides.
        """
        systems = list(dict.fromkeys(self.items["system"]))
        for system in systems:
            own = notes.get(system, {})
            for metric in (name for name in METRICS if name in self.items):
                groups, values, _ = self._both(system, system, metric)
                if groups:
                    self._add(system, metric, self._score(values, song_weights(groups), groups), groups, **own)
        for system in systems:
            if system != TEMPLATE and (skill := self._skill(system)) is not None:
                self._add(system, SKILL, skill, self._both(system, TEMPLATE, "mse")[0], **notes.get(system, {}))
        for other in BASELINES:
            for metric in DIFFERENCES if NETWORK in systems and other in systems else ():
                groups, mine, theirs = self._both(NETWORK, other, metric)
                if groups:
                    score = self._score(mine - theirs, song_weights(groups), groups)
                    self._add(f"{NETWORK} minus {other}", metric, score, groups)

    def add_ceiling(self, songs: Sequence[HeardSong]) -> None:
        """How far listeners agree: ``pearson`` is what a prediction would get that knows all that is common to them.

        Of a subject who heard a song twice the first take counts. No rows where no song has two listeners.
        """
        found = []
        for song in songs:
            _, first = np.unique(song.participant_ids, return_index=True)
            lines = np.sort(first)
            found.append(song_ceiling(song.traces[lines], song.is_heard[lines], self.settings.seed, song.song_id))
        groups = tuple(song.song_id for song, ceiling in zip(songs, found, strict=True) if ceiling is not None)
        known = [ceiling for ceiling in found if ceiling is not None]
        for name, score in ceiling_scores(known, self._resampling(groups)).items() if known else ():
            if np.isfinite(score.replicates).any():
                metric = "pearson" if name == "perfect" else f"pearson_{name}"
                self._add(CEILING, metric, score, groups, needs_listeners=True)

    def add_number(self, system: str, metric: str, value: float, **more: Any) -> None:
        """A number without an interval of its own."""
        groups = tuple(self.items.loc[self.items["system"] == system, "group"])
        self._add(system, metric, Score(value, np.full(1, value)), groups, **more)

    def _both(self, system: str, other: str, metric: str) -> tuple[tuple[str, ...], Floats, Floats]:
        """Songs of the traces for which both have the measure, and its values."""
        mine, theirs = (
            self.items[self.items["system"] == name].sort_values("item", kind="stable", ignore_index=True)
            for name in (system, other)
        )
        if len(mine) != len(theirs):
            return (), np.zeros(0), np.zeros(0)
        is_defined = (mine[metric].notna() & theirs[metric].notna()).to_numpy()
        groups = tuple(mine["group"].astype(str)[is_defined])
        values, others = (table[metric].to_numpy(np.float64)[is_defined] for table in (mine, theirs))
        return groups, values, others

    def _skill(self, system: str) -> Score | None:
        """One minus the squared error over the template's, of the means: a single trace's ratio may be anything."""
        groups, mine, theirs = self._both(system, TEMPLATE, "mse")
        if not groups:
            return None
        weights = song_weights(groups)
        above, below = (self._score(values, weights, groups) for values in (mine, theirs))
        if below.value <= 0:
            return None
        share = above.replicates / np.where(below.replicates > 0, below.replicates, np.nan)
        return Score(1 - above.value / below.value, 1 - share, above.tail)

    def _score(self, values: Floats, weights: Floats, groups: tuple[str, ...]) -> Score:
        """The weighted mean of (n,) values, with the draws that all scores over these songs share."""
        resampling = self._resampling(groups)
        total, drawn = resampling.totals(np.stack([values * weights, weights], axis=1))
        return Score(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1], resampling.tail)

    def _resampling(self, groups: tuple[str, ...]) -> Resampling:
        if groups not in self._drawn:
            self._drawn[groups] = Resampling(groups, self.settings.bootstrap, self.settings.seed, self.task)
        return self._drawn[groups]

    def _add(self, system: str, metric: str, score: Score, groups: tuple[str, ...], **more: Any) -> None:
        given = {**self.more, **more}
        self.rows.append(metric_row(self.task, system, metric, score, self._resampling(groups), len(groups), **given))
