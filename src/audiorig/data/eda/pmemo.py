"""PMEmo2019: a CSV for each song, ``EDA/{musicId}_EDA.csv``, with a column for each listener.

Its first column ``time(s)`` is in seconds, every other header is a subject's id of six digits, which
may have something before it. Traces begin with the song and end a little later than its audio.
``metadata.csv`` says which file of ``chorus/`` a song is; neither the order of files (``1000`` comes
before ``9``) nor the annotations (of 767 of 794 songs) say anything about traces.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.published import NO_SAMPLES, UNKNOWN, DatasetFiles, Trace
from audiorig.data.eda.sniff import Rows, UnreadableTable, is_number, numbers, read_cells, signal
from audiorig.data.eda.tables import read_text_table
from audiorig.data.eda.times import Clock, rate_of, read_clock
from audiorig.errors import DataError

FOLDER = "EDA"
METADATA = "metadata.csv"
PUBLISHED_HZ = 50.0
TIME = "time(s)"
FILE = re.compile(r"(?P<song>.+)_EDA", re.IGNORECASE)
SUBJECT = re.compile(r"(?P<before>.*?)(?P<subject>\d{6})")


def read_traces(files: DatasetFiles, assumptions: Assumptions) -> Iterator[Trace]:
    """Every column of every file, file by file; of a file that cannot be read one trace with a note.

    Raises:
        DataError: if there is no file at all.
    """
    paths = files.below(FOLDER)
    if not paths:
        where = f"{files.root}/{files.path_of(FOLDER)}"
        raise DataError(f"{where}: no CSV of traces; expected {FOLDER}/{{musicId}}_EDA.csv, as PMEmo2019 has them")
    if not files.is_generated:
        text = "values are taken for microsiemens, which no file states"
        assumptions.assume("pmemo2019-unit", text, files.path_of(FOLDER))
    for path, local, problem in files.fetched(paths):
        song = song_of_file(path, assumptions)
        try:
            if local is None:
                raise UnreadableTable(problem)
            yield from _columns(files, song, path, read_cells(local, path, assumptions), assumptions)
        except UnreadableTable as error:
            yield Trace(files.name, song, UNKNOWN, path, note=str(error))


def song_of_file(path: str, assumptions: Assumptions) -> str:
    """The musicId in the name of a file of traces."""
    stem = PurePosixPath(path).stem
    found = FILE.fullmatch(stem)
    if found is None:
        assumptions.assume("pmemo2019-name", "a name without _EDA is taken for the song's id", path)
    return found["song"] if found else stem


def _columns(files: DatasetFiles, song: str, path: str, rows: Rows, assumptions: Assumptions) -> Iterator[Trace]:
    if not rows:
        assumptions.assume("empty-file", "a file without content is a trace without samples", path)
        yield Trace(files.name, song, UNKNOWN, path)
        return
    header, rows = _header(rows, path, assumptions)
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    clock, first = _clock(header, columns, path, assumptions)
    rate = rate_of(clock.rate_hz, files.settings.source_rate_hz, PUBLISHED_HZ, path, assumptions)
    # A comma at the end of each line makes a column without name and content, which is nobody's.
    places = [place for place in range(first, len(header)) if header[place] or any(columns[place])]
    if not places:
        raise UnreadableTable(f"no column of a subject beside {header[0][:40]!r}")
    for place in places:
        name, cells = header[place], columns[place]
        subject = _subject(name, place, path, assumptions)
        note, values = "", NO_SAMPLES
        try:
            values = clock.on_grid(signal(cells, path, assumptions))
        except UnreadableTable as error:
            note = str(error)
        yield Trace(
            files.name, song, subject, path, 0, name, rate, clock.rate_hz, clock.start_sec, samples=values, note=note
        )  # fmt: skip


def _header(rows: Rows, path: str, assumptions: Assumptions) -> tuple[list[str], Rows]:
    """Names of the columns, and the rows below."""
    if not is_number(rows[0][0]) or SUBJECT.fullmatch(rows[0][0]):
        return rows[0], rows[1:]
    text = "the first row begins with a number, so there is no header: the first column is the time in seconds"
    assumptions.assume("pmemo2019-no-header", text, path)
    return [TIME, *[""] * (len(rows[0]) - 1)], rows


def _clock(header: list[str], columns: list[tuple[str, ...]], path: str, assumptions: Assumptions) -> tuple[Clock, int]:
    """The clock of a file, and its first column of a listener."""
    if "time" not in header[0].lower() and SUBJECT.fullmatch(header[0]):
        text = "there is no column of times: samples are taken at the published rate"
        assumptions.assume("pmemo2019-no-time", text, path)
        return Clock(np.nan, 0.0), 0
    if header[0] != TIME:
        assumptions.assume("pmemo2019-time", f"the first column is not called {TIME}, and taken for it", path)
    return read_clock(numbers(columns[0])[0], path, assumptions), 1


def _subject(header: str, place: int, path: str, assumptions: Assumptions) -> str:
    found = SUBJECT.fullmatch(header)
    if found is None:
        assumptions.assume("pmemo2019-subject", "a header without six digits at its end names the subject", path)
        return header or f"column-{place}"
    if found["before"]:
        assumptions.assume("pmemo2019-prefix", "the last six digits of a header are the subject's id", path)
    return found["subject"]


# ------------------------------------------------------------------------ audio


class SongNames:
    """Which song an audio file is: what ``metadata.csv`` says of its name, else the name itself.

    Raises:
        DataError: if there is a table, and it cannot be read or lacks ``musicId`` or ``fileName``.
    """

    def __init__(self, files: DatasetFiles, assumptions: Assumptions) -> None:
        self.table, self.assumptions = files.path_of(METADATA), assumptions
        self.songs = self._read(files)
        self._by_stem = {PurePosixPath(file).stem: song for file, song in (self.songs or {}).items()}
        self._known = set(self._by_stem.values())

    def _read(self, files: DatasetFiles) -> dict[str, str] | None:
        """Songs by file name; None if there is no table."""
        table = read_text_table(files.table(METADATA), self.table)
        if table is None:
            self._assume("no-metadata", "there is no table of songs: the name of an audio file is the song's id")
            return None
        for column in ("musicId", "fileName"):
            if column not in table:
                found = ", ".join(table) or "nothing"
                raise DataError(
                    f"{self.table}: no column {column!r} among {found}; expected PMEmo2019's table of songs"
                )
        songs: dict[str, str] = {}
        for song, file in zip(table["musicId"], table["fileName"], strict=True):
            if songs.setdefault(PurePosixPath(file).name, song) != song:
                self._assume("file-twice", "a file that is named for several songs is taken for the first of them")
        return songs

    def song_of(self, path: str) -> str:
        """The song's id; empty if the table has a song of that name, and another file for it."""
        file = PurePosixPath(path)
        if self.songs is None:
            return file.stem
        if file.name in self.songs:
            return self.songs[file.name]
        if file.stem in self._by_stem:
            self._assume("extension", "files are joined with the table of songs by name, whatever they end with")
            return self._by_stem[file.stem]
        if file.stem in self._known:
            return ""
        self._assume("not-in-metadata", "files that the table of songs does not name are the songs they are called")
        return file.stem

    def _assume(self, code: str, text: str) -> None:
        self.assumptions.assume(f"pmemo2019-{code}", text, self.table)
