"""A tiny corpus of songs and traces with known truth, as the earlier stages leave it: no audio, only arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.config import Audio2EdaRun
from audiorig.data.eda.trace_store import Signals, TraceStore, write_traces
from audiorig.data.feature_store import FeatureStore, compute_shard

RUN: dict[str, Any] = {
    "experiment": "audio2eda",
    "seed": 5,
    "data": {"corpus": "planted", "max_sec": 8},
    "audio": {"sample_rate_hz": 8000, "num_mfcc": 3, "num_mels": 8, "window": 800, "hop": 400},
    "eda": {"rate_hz": 4},
    "loss": {"name": "mse"},
}
RATE, RATIO, NUM_MFCC = 4, 5, 3  # steps a second, frames a step, coefficients
SECONDS = (9, 10, 12, 11)  # of the songs, again and again
SIDE_OF = ("train", "train", "dev", "train", "test", "train")


def run_of(**sections: Any) -> Audio2EdaRun:
    return Audio2EdaRun.model_validate(RUN | sections)


@dataclass(frozen=True)
class Planted:
    """Where the corpus lies, and its rows."""

    split: Path
    mfcc: tuple[Path, ...]
    traces: Path
    rows: pd.DataFrame

    def side(self, name: str) -> pd.DataFrame:
        return self.rows[self.rows["side"] == name].reset_index(drop=True)

    @property
    def store(self) -> TraceStore:
        return TraceStore(self.traces)

    @property
    def features(self) -> FeatureStore:
        return FeatureStore(self.mfcc)


def frames_of(song: int) -> NDArray[np.float32]:
    """Coefficients (N', 3) of a song: loudness, which the skin follows, noise, and the frame's own number."""
    generator = np.random.default_rng(song)
    count = SECONDS[song % len(SECONDS)] * RATE * RATIO + 1
    loudness = np.repeat(generator.standard_normal(count // 10 + 1), 10)[:count]
    return np.stack([10 * loudness, generator.standard_normal(count), np.arange(count)], axis=1).astype(np.float32)


def trace_of(song: int, listener: int) -> NDArray[np.float32]:
    """Microsiemens (M,): the last second's loudness, at a level of the listener's own, and noise."""
    loudness = frames_of(song)[:-1, 0].reshape(-1, RATIO).mean(axis=1)
    followed = np.convolve(loudness, np.full(RATE, 0.25))[: len(loudness)]
    noise = np.random.default_rng((song, listener)).standard_normal(len(loudness))
    trace = 5 + listener + 0.02 * followed + 0.05 * noise
    if listener == 1:  # who left early, and whose electrode came off for a while
        trace = trace[: len(trace) - 2 * RATE]
        trace[4:8] = np.nan
    return trace.astype(np.float32)


def index_of(num_songs: int, listeners: int) -> pd.DataFrame:
    """Every song is heard by all but one listener; the songs of a split repeat `SIDE_OF`."""
    rows = []
    for song in range(num_songs):
        for listener in range(listeners):
            if song % listeners != listener:
                song_id, subject = f"planted/{song:03d}", f"{listener:06d}"
                rows.append(
                    {
                        **{"trace_id": f"{song_id}/{subject}/0", "dataset": "planted", "song_id": song_id},
                        **{"participant_id": f"planted/{subject}", "wav_path": f"audio/{song:03d}.wav"},
                        **{"group_id": song_id, "side": SIDE_OF[song % len(SIDE_OF)]},
                        **{"song": song, "listener": listener, "duration_sec": float(SECONDS[song % len(SECONDS)])},
                    }
                )
    return pd.DataFrame(rows)


def write_side(rows: pd.DataFrame, folder: Path, side: str) -> None:
    """As the rule that splits a corpus leaves a side."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / f"{side}.parquet", index=False)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    with pa.ipc.new_file(folder / f"{side}.arrow", table.schema) as writer:
        writer.write_table(table)


def write_signals(rows: pd.DataFrame, path: Path, poisoned: tuple[str, ...] = ()) -> None:
    """The traces of all sides; those of poisoned ones are 1e9 wherever they have a value."""
    found = []
    for row in rows.itertuples():
        signal = trace_of(row.song, row.listener).astype(np.float64)
        if row.side in poisoned:
            signal = np.where(np.isfinite(signal), 1e9, signal)
        found.append((row.trace_id, Signals.of_parts(signal, 0.5 * signal)))
    write_traces(path, found, RATE)


def plant(folder: Path, num_songs: int = 12, listeners: int = 4) -> Planted:
    """Write a corpus of this shape."""
    rows = index_of(num_songs, listeners)
    for side in ("train", "dev", "test"):
        write_side(rows[rows["side"] == side].drop(columns="side"), folder / "split", side)
    songs = rows.drop_duplicates("wav_path")
    shards = []
    for shard, part in enumerate((songs.iloc[: num_songs // 2], songs.iloc[num_songs // 2 :])):
        shards.append(folder / "features" / f"shard-{shard}-of-2.arrow")
        compute_shard(part, lambda row: {"mfcc": frames_of(row["song"])}, shards[-1], folder / f"parts-{shard}")
    write_signals(rows, folder / "traces.arrow")
    return Planted(folder / "split", tuple(shards), folder / "traces.arrow", rows)
