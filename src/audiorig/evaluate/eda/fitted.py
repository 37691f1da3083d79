"""All baselines fitted to the training side, dataset by dataset; of the test side only names of datasets are read."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiorig.config import Audio2EdaRun
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.eda.baselines import OnsetCurves, mean_of_others
from audiorig.evaluate.eda.files import Files
from audiorig.evaluate.eda.ridge import Lagged, NormalSums, Ridge, fit_ridge, lags_of
from audiorig.evaluate.eda.table import (
    LINE,
    LOUDNESS_RIDGE,
    RIDGE,
    SONG_MEAN,
    SUBJECT_MEAN,
    TEMPLATE,
    ZERO,
    HeardSong,
    HeardSongs,
)
from audiorig.evaluate.intervals import Floats

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Baselines:
    """All that is fitted, for the test songs of one dataset.

    Attributes:
        fitted_to: datasets whose training songs it is fitted to.
    """

    curves: OnsetCurves
    lagged: Lagged
    ridges: dict[str, Ridge]
    fitted_to: tuple[str, ...]
    num_songs: int

    @classmethod
    def fit(cls, train: HeardSongs, dev: HeardSongs, run: Audio2EdaRun, fitted_to: tuple[str, ...]) -> "Baselines":
        """Fit to training songs; dev chooses the penalties."""
        curves = OnsetCurves.fit(train)
        lagged = Lagged.fit(train, lags_of(run.score, run.frame_rate_hz), curves.of_template)
        sums = NormalSums.of_songs(train, lagged)
        columns = {RIDGE: np.arange(len(sums.columns)), LOUDNESS_RIDGE: lagged.of_loudness()}
        penalties = run.score.ridge_penalties
        ridges = {name: fit_ridge(sums, chosen, penalties, dev, lagged) for name, chosen in columns.items()}
        return cls(curves, lagged, ridges, fitted_to, len(train))

    def predict(self, song: HeardSong) -> dict[str, Floats]:
        """By system: (M,) for all listeners, or (S, M)."""
        template, columns = self.curves.of_template(song.num_steps), self.lagged.columns(song)
        return {
            ZERO: np.zeros(song.num_steps),
            TEMPLATE: template,
            LINE: self.curves.of_line(song.num_steps),
            SUBJECT_MEAN: np.stack([self.curves.of_subject(name, song.num_steps) for name in song.participant_ids]),
            **{name: ridge.predict(columns) for name, ridge in self.ridges.items()},
            SONG_MEAN: mean_of_others(song, template)[0],
        }

    def to_dict(self) -> dict[str, Any]:
        """Every number that was fitted."""
        return {
            "curves": self.curves.to_dict(),
            "mean": self.lagged.mean.tolist(),
            "sd": self.lagged.sd.tolist(),
            "ridges": {name: ridge.to_dict() for name, ridge in self.ridges.items()},
        }


def fit_baselines(run: Audio2EdaRun, files: Files) -> dict[str, Baselines]:
    """Baselines for each dataset of the test side.

    Traces of two datasets differ in much that is not the song, so each is fitted to its own training
    songs, and its penalties chosen on its own dev songs. A dataset without any is one that was not
    trained on: there, all training songs count, and all of dev.
    """
    scale = files.scale(run)
    sides = {side: files.songs(run, side, scale) for side in ("train", "dev")}
    known = {side: {song.dataset for song in songs.songs} for side, songs in sides.items()}
    found: dict[str, Baselines] = {}
    fits: dict[tuple[str, ...], Baselines] = {}
    for dataset in _datasets(files.split / "test.parquet"):
        chosen = {side: {dataset} if dataset in known[side] else known[side] for side in known}
        key = tuple(sorted(chosen["train"]))
        if dataset not in known["dev"]:
            log.warning("%s: dev has no song of it; all of dev chooses the penalties", dataset)
        if dataset not in known["train"]:
            log.warning("%s: no song of it was trained on; baselines are fitted to %s", dataset, ", ".join(key))
        place = (*key, "", *sorted(chosen["dev"]))
        if place not in fits:
            train, dev = (HeardSongs(sides[side], frozenset(chosen[side])) for side in ("train", "dev"))
            fits[place] = Baselines.fit(train, dev, run, key)
        found[dataset] = fits[place]
    return found


def _datasets(path: Path) -> list[str]:
    rows = read_table(path)
    if rows.empty:
        raise DataError(f"{path}: holds no trace: expected some to score; see the excluded traces of the corpus")
    return sorted(set(rows["dataset"].astype(str)))
