"""Test songs with their listeners' traces, what systems predict of them, and the files that hold both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.data.eda.songs import SongDataset
from audiorig.errors import DataError
from audiorig.evaluate.intervals import Floats

NETWORK = "audio2eda"
ZERO, TEMPLATE, LINE, SUBJECT_MEAN = "zero", "template", "line", "subject-mean"
RIDGE, LOUDNESS_RIDGE, SONG_MEAN = "ridge", "loudness-ridge", "song-mean"
PERMUTED, SHIFTED, CEILING = "permuted-songs", "shifted", "ceiling"
TRUE = "true"
BASELINES = (ZERO, TEMPLATE, LINE, SUBJECT_MEAN, RIDGE, LOUDNESS_RIDGE, SONG_MEAN)
METRICS = ("mse", "mae", "pearson", "ccc", "dtw", "frechet", "sd_ratio", "scr_precision", "scr_recall")
OF_ITEM = ["task", "system", "item", "group", "participant_id"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class HeardSong:
    """A whole song and what its S listeners' skin did, over M steps.

    Attributes:
        coefficients: (M, C), the mean of each step's frames.
        traces: (S, M), scaled; 0 where not heard.
        is_heard: (S, M).
        lengths: (S,) steps of each trace: up to the last one with a value.
    """

    song_id: str
    dataset: str
    trace_ids: tuple[str, ...]
    participant_ids: tuple[str, ...]
    coefficients: Floats
    traces: Floats
    is_heard: Bools

    @property
    def num_steps(self) -> int:
        """M."""
        return int(self.traces.shape[1])

    @property
    def lengths(self) -> tuple[int, ...]:
        """Steps of each trace, up to the last one with a value."""
        return tuple(int(np.flatnonzero(line)[-1]) + 1 if line.any() else 0 for line in self.is_heard)

    def totals(self) -> tuple[Floats, Floats]:
        """Sum of the listeners' values and number of those who heard, (M,) each."""
        return np.where(self.is_heard, self.traces, 0).sum(0), self.is_heard.sum(0).astype(np.float64)


class HeardSongs:
    """The songs of a side, read one after the other each time that they are asked for.

    Args:
        songs: whole ones.
        datasets: which are meant; all if None.
    """

    def __init__(self, songs: SongDataset, datasets: frozenset[str] | None = None) -> None:
        self._songs = songs
        self._items = [item for item, song in enumerate(songs.songs) if datasets is None or song.dataset in datasets]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[HeardSong]:
        for item in self._items:
            about, found = self._songs.songs[item], self._songs[0, item]
            frames = found.mfcc.reshape(found.num_steps, -1, found.mfcc.shape[1])
            yield HeardSong(
                about.song_id,
                about.dataset,
                found.trace_ids,
                about.participant_ids,
                frames.mean(1, dtype=np.float64),
                found.traces.astype(np.float64),
                found.is_heard,
            )


def held(values: Floats, is_known: Bools) -> Floats:
    """A curve (M,) whose unknown steps lie on lines between known ones; beyond those the nearest value holds.

    All unknown: zeros.
    """
    places = np.flatnonzero(is_known)
    if not len(places):
        return np.zeros(len(values))
    return np.asarray(np.interp(np.arange(len(values)), places, values[places]))


def prediction_rows(song: HeardSong, system: str, predicted: Floats) -> list[dict[str, object]]:
    """Rows of predictions.parquet.

    Args:
        predicted: (M,) for all listeners, or (S, M).
    """
    lines = np.broadcast_to(predicted, song.traces.shape)
    return [
        {"trace_id": trace_id, "system": system, "predicted": line[:length].astype(np.float32)}
        for trace_id, line, length in zip(song.trace_ids, lines, song.lengths, strict=True)
    ]


class Predictions:
    """A predictions.parquet of baselines, asked song by song.

    Args:
        table: trace_id, system, predicted.
        where: the file, for errors.
    """

    def __init__(self, table: pd.DataFrame, where: str) -> None:
        self.where, self.systems = where, tuple(pd.unique(table["system"]))
        self._known: Mapping[tuple[str, str], NDArray[np.float32]] = dict(
            zip(zip(table["system"], table["trace_id"], strict=True), table["predicted"], strict=True)
        )

    def of_song(self, system: str, song: HeardSong) -> Floats:
        """(S, M), 0 behind the end of a trace.

        Raises:
            DataError: if a trace is missing, or has another length.
        """
        found = np.zeros(song.traces.shape)
        for line, trace_id, length in zip(found, song.trace_ids, song.lengths, strict=True):
            known = self._known.get((system, trace_id))
            if known is None or len(known) != length:
                what = "nothing" if known is None else f"{len(known)} steps"
                raise DataError(
                    f"{self.where}: {system} predicts {what} of {trace_id!r}, which has {length} steps: the baselines "
                    "belong to another split or another state of the corpus; delete the file, and run again"
                )
            line[:length] = known
        return found


def song_weights(groups: Sequence[str]) -> Floats:
    """(n,) of traces: one over the number of traces of their song."""
    _, index, counts = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[index])
