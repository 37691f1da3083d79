"""Which trace belongs to which song: one table of all traces of a corpus, and their samples.

Everything that is found is a row: a file that cannot be read has a note, a song without audio an
empty ``wav_path``, and a key that is there twice two ids (the later ones end with ``~2``, ``~3``).
What is left out is decided later, by the checks of quality.
"""

import csv
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audiorig.config import CorpusSection, DemoEdaCorpus
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.layouts import audio_links, read_traces, song_names
from audiorig.data.eda.published import DatasetFiles, Trace, audio_folder, datasets_of, joined, list_files
from audiorig.data.eda.raw import raw_writer
from audiorig.data.manifest import write_table
from audiorig.data.storage import AudioRoot
from audiorig.files import write_json, written_aside

INDEX, RAW, MISSING, ASSUMPTIONS = "index.parquet", "raw.arrow", "missing_audio.csv", "assumptions.json"
TEXT, NUMBER = "str", "float64"
COLUMNS = {
    "trace_id": TEXT,
    "dataset": TEXT,
    "song_id": TEXT,
    "participant_id": TEXT,
    "take": "int64",
    "wav_path": TEXT,
    "eda_path": TEXT,
    "column": TEXT,
    "source_rate_hz": NUMBER,
    "time_rate_hz": NUMBER,
    "num_samples": "int64",
    "start_sec": NUMBER,
    "play_duration_sec": NUMBER,
    "audio_sec": NUMBER,
    "note": TEXT,
}
MISSING_COLUMNS = ("dataset", "song_id", "link", "reason")

log = logging.getLogger(__name__)


def datasets_below(corpus: CorpusSection, root: AudioRoot) -> list[DatasetFiles]:
    """The datasets of a corpus, and their CSV files.

    Raises:
        DataError: if the folder of one is not there.
        StorageError: if a store cannot be listed.
    """
    is_generated = isinstance(corpus, DemoEdaCorpus)
    return [
        list_files(name, settings, root, is_generated=is_generated) for name, settings in datasets_of(corpus).items()
    ]


@dataclass(frozen=True)
class SongAudio:
    """The audio of a song: its path below root, seconds (NaN if not known)."""

    wav_path: str = ""
    audio_sec: float = np.nan


def audio_of_songs(manifest: pd.DataFrame, assumptions: Assumptions) -> dict[str, SongAudio]:
    """The audio of each song that has some; of several files the first whose header could be read."""
    found: dict[str, SongAudio] = {}
    songs = manifest.loc[manifest["song_id"] != "", ["song_id", "wav_path", "duration_sec"]]
    # Files that could be read first; the order is the manifest's in each part.
    for is_known in (True, False):
        part = songs[songs["duration_sec"].notna() == is_known]
        for song, path, seconds in part.itertuples(index=False):
            if song in found:
                text = "of several audio files of a song the first one is what was heard"
                assumptions.assume("audio-twice", text, str(path))
            else:
                found[song] = SongAudio(str(path), float(seconds) if is_known else np.nan)
    return found


class TraceIds:
    """Ids of traces, each given once."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def next(self, song_id: str, subject: str, take: int) -> str:
        """``{song_id}/{subject}/{take}``; ``~2`` and so on behind it where that has been given."""
        key = f"{song_id}/{subject}/{take}"
        self._times[key] += 1
        return key if self._times[key] == 1 else f"{key}~{self._times[key]}"


def list_traces(
    corpus: CorpusSection, root: AudioRoot, manifest: pd.DataFrame, assumptions: Assumptions
) -> Iterator[tuple[dict[str, object], Trace]]:
    """Every trace of a corpus with its row of the index, dataset by dataset and file by file.

    Args:
        manifest: the corpus' audio, with ``dataset`` and ``song_id``.

    Raises:
        DataError: if a dataset's folder is not there, or holds no trace.
        StorageError: if a store cannot be listed, or a file not be fetched.
    """
    yield from _rows(datasets_below(corpus, root), manifest, assumptions)


def _rows(
    datasets: list[DatasetFiles], manifest: pd.DataFrame, assumptions: Assumptions
) -> Iterator[tuple[dict[str, object], Trace]]:
    audio, ids = audio_of_songs(manifest, assumptions), TraceIds()
    for files in datasets:
        for trace in read_traces(files, assumptions):
            song_id = joined(trace.dataset, trace.song)
            heard = audio.get(song_id, SongAudio())
            yield (
                {
                    "trace_id": ids.next(song_id, trace.subject, trace.take),
                    "dataset": trace.dataset,
                    "song_id": song_id,
                    "participant_id": f"{trace.dataset}/{trace.subject}",
                    "take": trace.take,
                    "wav_path": heard.wav_path,
                    "eda_path": trace.eda_path,
                    "column": trace.column,
                    "source_rate_hz": trace.source_rate_hz,
                    "time_rate_hz": trace.time_rate_hz,
                    "num_samples": len(trace.samples),
                    "start_sec": trace.start_sec,
                    "play_duration_sec": trace.play_duration_sec,
                    "audio_sec": heard.audio_sec,
                    "note": trace.note,
                },
                trace,
            )


def write_traces(corpus: CorpusSection, root: AudioRoot, manifest: pd.DataFrame, folder: Path) -> dict[str, int]:
    """Read all traces of a corpus and write ``raw.arrow``, ``missing_audio.csv``, ``assumptions.json`` and the index.

    Returns:
        Counts, for the record.

    Raises:
        DataError, StorageError: as ``list_traces``.
    """
    assumptions, rows = Assumptions(), []
    datasets = datasets_below(corpus, root)
    with raw_writer(folder / RAW) as raw:
        for row, trace in _rows(datasets, manifest, assumptions):
            raw.add(str(row["trace_id"]), trace.samples)
            rows.append(row)
    index = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    index = index.sort_values("trace_id", ignore_index=True)
    missing = missing_audio(index, datasets)
    _write_csv(folder / MISSING, missing)
    _repeat_join(datasets, manifest, assumptions)
    write_json(folder / ASSUMPTIONS, assumptions.as_list())
    write_table(index, folder / INDEX)
    counts = {
        "num_traces": len(index),
        "num_songs": index["song_id"].nunique(),
        "num_subjects": index["participant_id"].nunique(),
        "num_unreadable": int((index["note"] != "").sum()),
        "num_songs_without_audio": len(missing),
    }
    said = (f"{count} {name.removeprefix('num_').replace('_', ' ')}" for name, count in counts.items())
    log.info("%s", ", ".join(said))
    return counts


def missing_audio(index: pd.DataFrame, datasets: list[DatasetFiles]) -> list[tuple[str, ...]]:
    """Songs with traces and without audio: dataset, song, the link that the dataset has for it, and the reason."""
    rows: list[tuple[str, ...]] = []
    for files in datasets:
        lacking = index[(index["dataset"] == files.name) & (index["wav_path"] == "")]
        num_traces = lacking["song_id"].value_counts()
        links = audio_links(files) if len(lacking) else {}
        where = audio_folder(files.settings)
        for song_id in num_traces.index:
            song = song_id.removeprefix(f"{files.name}/")
            reason = f"no audio of this song below {where}, which {num_traces[song_id]} traces are of"
            rows.append((files.name, song_id, links.get(song, ""), reason))
    return sorted(rows)


def _repeat_join(datasets: list[DatasetFiles], manifest: pd.DataFrame, assumptions: Assumptions) -> None:
    """What was assumed when audio and songs were joined for the manifest belongs to what the report tells."""
    for files in datasets:
        song_of = song_names(files, assumptions)
        for path in manifest.loc[manifest["dataset"] == files.name, "wav_path"]:
            song_of(path)


def _write_csv(path: Path, rows: list[tuple[str, ...]]) -> None:
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MISSING_COLUMNS)
        writer.writerows(rows)
