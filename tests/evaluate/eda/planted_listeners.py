"""Songs whose listeners' skin is known, as arrays and as the files that earlier stages leave."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from audiorig.config import Audio2EdaRun
from audiorig.data.eda.trace_store import Signals, write_traces
from audiorig.data.feature_store import compute_shard
from audiorig.evaluate.eda.files import Files
from audiorig.evaluate.eda.table import HeardSong

RATE, RATIO, NUM_MFCC = 4, 5, 3  # steps a second, frames a step, coefficients
SIDES = ("train", "train", "dev", "train", "test", "test")
RUN: dict[str, Any] = {
    "experiment": "audio2eda",
    "data": {"corpus": "planted"},
    "audio": {"sample_rate_hz": 8000, "num_mfcc": NUM_MFCC, "num_mels": 8, "window": 800, "hop": 400},
    "eda": {"rate_hz": RATE},
    "score": {"permutations": 50, "bootstrap": 100, "lag_sec": 3.0, "lag_step_sec": 0.25},
}


def run_of(**sections: Any) -> Audio2EdaRun:
    return Audio2EdaRun.model_validate(RUN | sections)


def song_of(
    traces: Sequence[Sequence[float]], name: str = "s", subjects: Sequence[str] = (), dataset: str = "planted"
) -> HeardSong:
    """A song of such traces; NaN where not heard."""
    table = np.array(traces, dtype=np.float64)
    names = tuple(subjects) or tuple(f"p{place}" for place in range(len(table)))
    return HeardSong(
        name,
        dataset,
        tuple(f"{name}/{place}" for place in range(len(table))),
        names,
        np.zeros((table.shape[1], NUM_MFCC)),
        np.nan_to_num(table),
        np.isfinite(table),
    )


@dataclass(frozen=True)
class Song:
    """What is written of a song: frames (N', 3), and traces (S, M) with NaN."""

    name: str
    side: str
    mfcc: np.ndarray
    traces: np.ndarray
    dataset: str = "planted"


def follows(song: int, listeners: int = 3, steps: int = 60, noise: float = 0.05, drift: float = 1.0) -> Song:
    """Skin that follows the second coefficient a second later, beside loudness a bit, and a drift of all songs."""
    generator = np.random.default_rng(song)
    steps += 2 * (song % 4)
    coefficients = generator.standard_normal((steps, NUM_MFCC))
    smooth = np.apply_along_axis(lambda column: np.convolve(column, np.ones(3))[:steps], 0, coefficients)
    late = np.concatenate([np.zeros(RATE), smooth[:-RATE, 1]])
    common = late + 0.3 * smooth[:, 0] + drift * 3 * np.exp(-np.arange(steps) / 20)
    traces = 5 + common + noise * generator.standard_normal((listeners, steps))
    mfcc = np.repeat(smooth, RATIO, axis=0)
    return Song(f"planted/{song:03d}", SIDES[song % len(SIDES)], np.concatenate([mfcc, mfcc[-1:]]), traces)


def write_corpus(
    folder: Path, songs: Iterable[Song], spoil: Callable[[Song, np.ndarray], np.ndarray] = lambda song, trace: trace
) -> Files:
    """All files that evaluation reads.

    Args:
        spoil: changes a trace (M,) of a song before it is written.
    """
    songs = list(songs)
    rows = pd.DataFrame(
        {
            "trace_id": f"{song.name}/{listener:03d}/0",
            "dataset": song.dataset,
            "song_id": song.name,
            "participant_id": f"{song.dataset}/{listener:03d}",
            "wav_path": f"{song.name}.wav",
            "group_id": song.name,
            "side": song.side,
            "duration_sec": song.traces.shape[1] / RATE,
            "song": place,
            "listener": listener,
        }
        for place, song in enumerate(songs)
        for listener in range(len(song.traces))
    )
    (folder / "split").mkdir(parents=True)
    for side in ("train", "dev", "test"):
        part = rows[rows["side"] == side].drop(columns="side")
        part.to_parquet(folder / "split" / f"{side}.parquet", index=False)
        table = pa.Table.from_pandas(part, preserve_index=False)
        with pa.ipc.new_file(folder / "split" / f"{side}.arrow", table.schema) as writer:
            writer.write_table(table)
    by_path = rows.drop_duplicates("wav_path").sort_values("wav_path")
    shard = folder / "shard-0-of-1.arrow"
    compute_shard(by_path, lambda row: {"mfcc": songs[row["song"]].mfcc.astype(np.float32)}, shard, folder / "parts")
    signals = []
    for row in rows.itertuples():
        trace = spoil(songs[row.song], songs[row.song].traces[row.listener])
        signals.append((row.trace_id, Signals.of_parts(trace, 0.5 * trace)))
    write_traces(folder / "traces.arrow", signals, RATE)
    return Files(folder / "split", (shard,), folder / "traces.arrow")
