"""HKU956: a folder for each participant, with a CSV of one value per line for each record of a song.

``1. physiological_signals/{participant}/EDA/{song_no}_{song_id}.csv``: wristbands at 4 Hz, no header
(reading one into it would lose the first sample). What is told apart here, each an assumption of its
own: a header, the head of a wristband's export (a Unix time, a rate), several columns, nothing at all.

A record lasts as long as the listener let the song play, and one may hear a song again: participant,
song_no and song_id together are the key. ``3. AV_ratings.csv`` has the play durations since its
second release; ``2. original_song_audio.csv`` links to the audio, which is not part of the dataset.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.published import UNKNOWN, DatasetFiles, Trace
from audiorig.data.eda.sniff import Rows, UnreadableTable, is_word, numbers, read_cells, signal
from audiorig.data.eda.tables import Table, read_text_table
from audiorig.data.eda.times import rate_of
from audiorig.errors import DataError

SIGNALS = "1. physiological_signals"
LINKS = "2. original_song_audio.csv"
RATINGS = "3. AV_ratings.csv"
PUBLISHED_HZ = 4.0
UNIX_TIME = 1e9  # seconds, in 2001: no conductance is as high
MAX_RATE_HZ = 10_000
GAP_SEC = 2.0
RECORD = re.compile(r"(?P<participant>[^/]+)/(?:.*/)?EDA/(?:.*/)?[^/]+", re.IGNORECASE)
NAME = re.compile(r"(?P<number>\d{1,9})_(?P<song>.+)")
CONDUCTANCE = re.compile(r"(?<![a-z])(eda|gsr|scl?|conductance)(?![a-z])", re.IGNORECASE)


def read_traces(files: DatasetFiles, assumptions: Assumptions) -> Iterator[Trace]:
    """Every record, file by file; of one that cannot be read a trace with a note.

    Raises:
        DataError: if there is no record at all.
    """
    folder = files.path_of(SIGNALS)
    problems = files.listing.problems
    paths = [
        path for path in files.below(SIGNALS) if _is_record(path, folder) or problems.get(path) == "unreadable_folder"
    ]
    if not paths:
        raise DataError(
            f"{files.root}/{folder}: no CSV of traces; expected {{participant}}/EDA/{{song_no}}_{{song_id}}.csv below "
            "it, as HKU956 has them"
        )
    if files.settings.source_rate_hz is None:
        text = f"samples are taken at {PUBLISHED_HZ:g} Hz and in microsiemens, as the wristband does; no file says so"
        assumptions.assume("hku956-rate", text, folder)
    text = "files begin with the first sample, without a header, but for those of which something else is said"
    assumptions.assume("hku956-no-header", text, folder)
    durations = PlayDurations.read(files, assumptions)
    for path, local, problem in files.fetched(paths):
        participant, number, song = key_of(path, folder, assumptions)
        played = durations.of(participant, number, song)
        if durations.are_known and math.isnan(played):
            text = "a record whose play duration the table of ratings lacks is taken to be whole"
            assumptions.assume("hku956-no-duration", text, path)
        take = int(number or 0)
        try:
            if local is None:
                raise UnreadableTable(problem)
            record = sniff_record(read_cells(local, path, assumptions), path, assumptions)
        except UnreadableTable as error:
            yield Trace(files.name, song, participant, path, take, play_duration_sec=played, note=str(error))
            continue
        rate = rate_of(record.rate_hz, files.settings.source_rate_hz, PUBLISHED_HZ, path, assumptions)
        if len(record.samples) and abs(len(record.samples) / rate - played) > GAP_SEC:
            text = "a record that is not as long as the song was played is taken to begin with the song"
            assumptions.assume("hku956-length", text, path)
        yield Trace(
            files.name, song, participant, path, take, record.column, rate, record.rate_hz,
            play_duration_sec=played, samples=record.samples,
        )  # fmt: skip


def _is_record(path: str, folder: str) -> bool:
    return RECORD.fullmatch(path.removeprefix(f"{folder}/")) is not None


def key_of(path: str, folder: str, assumptions: Assumptions) -> tuple[str, str, str]:
    """Participant, number of the song in the session (may be empty) and song of a record."""
    below = PurePosixPath(path).relative_to(folder)
    stem = below.stem if below.suffix.lower() == ".csv" else UNKNOWN  # else a folder that cannot be listed
    found = NAME.fullmatch(stem)
    if found is None:
        assumptions.assume("hku956-name", "a name that is not {song_no}_{song_id} is the song's id", path)
        return below.parts[0], "", stem
    return below.parts[0], found["number"], found["song"]


# -------------------------------------------------------------------- one record


@dataclass(frozen=True)
class Record:
    """What a file says: samples (T,), their rate (NaN if it says none), and the header of the column."""

    samples: NDArray[np.float64]
    rate_hz: float = math.nan
    column: str = ""


def sniff_record(rows: Rows, name: str, assumptions: Assumptions) -> Record:
    """Find the samples among the cells of a file.

    Raises:
        UnreadableTable: if there are words and no number.
    """
    if not rows:
        assumptions.assume("empty-file", "a file without content is a trace without samples", name)
        return Record(np.zeros(0))
    header: list[str] = []
    if _is_header(rows[0]):
        header, rows = rows[0], rows[1:]
        text = "a first line that begins with a word, or with nothing in front of other cells, is a header"
        assumptions.assume("hku956-header", text, name)
        if not rows:
            return Record(np.zeros(0), column=header[0])
    place = _column(header, rows, name, assumptions) if len(rows[0]) > 1 else 0
    cells = [row[place] for row in rows]
    rate, num_head = _export_head(cells, name, assumptions)
    return Record(signal(cells[num_head:], name, assumptions), rate, header[place] if header else "")


def _is_header(row: list[str]) -> bool:
    """Whether a first line is one; a column of row numbers often has no name."""
    return is_word(row[0]) or (not row[0] and any(row[1:]))


def _column(header: list[str], rows: Rows, name: str, assumptions: Assumptions) -> int:
    """The column of the conductance: that whose header says so, else the last one of numbers."""
    text = "of several columns the one whose header says so, else the last one of numbers, is the conductance"
    assumptions.assume("hku956-columns", text, name)
    named = [place for place, title in enumerate(header) if CONDUCTANCE.search(title)]
    if len(named) == 1:
        return named[0]
    shares = [np.isfinite(numbers(cells)[0]).mean() for cells in zip(*rows, strict=True)]
    numeric = [place for place, share in enumerate(shares) if share >= 0.5]
    return numeric[-1] if numeric else int(np.argmax(shares))


def _export_head(cells: list[str], name: str, assumptions: Assumptions) -> tuple[float, int]:
    """Rate and number of cells of the head of a wristband's export, if there is one."""
    head, _ = numbers(cells[:2])
    if not len(head) or not head[0] > UNIX_TIME:
        return math.nan, 0
    text = "a first value that is a Unix time, and a second that is a rate, are an export's head; the trace begins "
    assumptions.assume("hku956-export-head", text + "with the song whatever the time says", name)
    if len(head) == 2 and 0 < head[1] <= MAX_RATE_HZ and head[1] == round(head[1]):
        return float(head[1]), 2
    return math.nan, 1


# ------------------------------------------------------------------------ tables


class PlayDurations:
    """How long each song was played, where ``3. AV_ratings.csv`` says it.

    Attributes:
        are_known: whether the table has any.
    """

    def __init__(self, rows: list[tuple[str, str, str, float]]) -> None:
        self.are_known = bool(rows)
        self._exact = {(who, number, song): seconds for who, number, song, seconds in reversed(rows)}
        by_song = defaultdict(list)
        for who, _, song, seconds in rows:
            by_song[who, song].append(seconds)
        self._only = {key: found[0] for key, found in by_song.items() if len(found) == 1}

    @staticmethod
    def read(files: DatasetFiles, assumptions: Assumptions) -> "PlayDurations":
        """Of a dataset; of none if it has no such table, or an older one without the column."""
        name = files.path_of(RATINGS)
        keys = ("participant_id", "song_no", "song_id")
        table = read_text_table(files.table(RATINGS), name)
        if table is None or not all(table.get(column) for column in (*keys, "play_duration")):
            text = "play durations are not known: records are taken to begin with their song, and to be whole"
            assumptions.assume("hku956-play-duration", text, name)
            return PlayDurations([])
        seconds, _ = numbers(table["play_duration"])
        return PlayDurations(list(zip(*(table[column] for column in keys), seconds.tolist(), strict=True)))

    def of(self, participant: str, number: str, song: str) -> float:
        """Seconds; NaN if they are not known."""
        found = self._exact.get((participant, number, song))
        return found if found is not None else self._only.get((participant, song), math.nan)


def read_links(files: DatasetFiles) -> dict[str, str]:
    """Where the audio of a song was, by song; empty if there is no such table."""
    table: Table | None = read_text_table(files.table(LINKS), files.path_of(LINKS))
    if table is None or "song_id" not in table or "link" not in table:
        return {}
    return dict(zip(table["song_id"], table["link"], strict=True))
