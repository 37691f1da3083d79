"""Labelled stretches of recordings: the annotations of a corpus, as one table."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from audiorig.config import CorpusSection, HomeCorpus, HomeDemoCorpus
from audiorig.data.corpora.home import FILE, find_recordings, read_texts
from audiorig.errors import DataError

ONSET, OFFSET = "segment_onset", "segment_offset"  # in milliseconds, as ChildProject has them
PLACE = ("wav_path", "start_sec", "end_sec")
GENERATED = "annotations.csv"

log = logging.getLogger(__name__)


def annotations_path(corpus: CorpusSection, root: Path) -> Path:
    """The CSV that holds a corpus' annotations.

    Raises:
        DataError: if it has none.
    """
    match corpus:
        case HomeDemoCorpus():
            return root / GENERATED
        case HomeCorpus(annotations=str(name)) if name:
            return root / name
        case HomeCorpus():
            raise DataError(f"{root}: no labelled stretches are known; set the corpus' `annotations` to a CSV in there")
    raise DataError(f"{root}: only corpora of the kinds home and home-demo have labelled stretches")


def read_segments(corpus: CorpusSection, root: Path, manifest: pd.DataFrame) -> pd.DataFrame:
    """The stretches of the manifest's recordings.

    What reaches beyond the end of its recording is clipped; what begins there is refused, since its
    times are then of another file or in another unit. Rows about recordings that are not in the
    manifest, or of which nobody knows how long they are, are left out, and the log says how many.

    Returns:
        ``wav_path``, ``start_sec``, ``end_sec``, then the other columns as text, in the order of the
        manifest and of time.

    Raises:
        DataError: names file and row, what was found and what was expected.
    """
    path = annotations_path(corpus, root)
    table = read_texts(path, (FILE, ONSET, OFFSET))
    if taken := [column for column in PLACE if column in table]:
        raise DataError(f"{path}: {taken[0]!r} is a name that the project uses; rename the column")
    if (unnamed := (table[FILE] == "").to_numpy()).any():
        raise DataError(f"{path}: row {_row(unnamed)} has no {FILE}")
    onset, offset = _milliseconds(table, ONSET, path), _milliseconds(table, OFFSET, path)
    _check_times(onset, offset, path)
    meant = find_recordings(table[FILE], manifest["wav_path"], path)
    duration_sec = (
        meant.map(manifest.set_index("wav_path")["duration_sec"]).astype("Float64").to_numpy(float, na_value=np.nan)
    )
    _check_begin(onset, duration_sec, meant, path)
    is_known = ~np.isnan(duration_sec)
    _tell(table, meant, is_known, path)
    if num_long := int((offset > 1000 * duration_sec + 1).sum()):
        log.warning("%s: %d stretches end behind their recording; they are clipped", path, num_long)
    labels = table.drop(columns=[FILE, ONSET, OFFSET])
    segments = pd.DataFrame(
        {"wav_path": meant, "start_sec": onset / 1000, "end_sec": np.minimum(offset / 1000, duration_sec)}
    )
    segments = pd.concat([segments, labels], axis=1)[is_known]
    rank = pd.Series(np.arange(len(manifest)), index=manifest["wav_path"])
    order = np.lexsort((segments["end_sec"], segments["start_sec"], segments["wav_path"].map(rank)))
    return segments.iloc[order].reset_index(drop=True)


def _milliseconds(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column of times (rows,)."""
    times = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    if (is_none := ~np.isfinite(times)).any():
        row = _row(is_none)
        raise DataError(f"{path}: row {row}: {column} is {table[column].iloc[row - 2]!r}, expected milliseconds")
    return times


def _check_times(onset: np.ndarray, offset: np.ndarray, path: Path) -> None:
    if (is_wrong := (onset < 0) | (offset <= onset)).any():
        row = _row(is_wrong)
        raise DataError(
            f"{path}: row {row}: {ONSET} is {onset[row - 2]:g} and {OFFSET} {offset[row - 2]:g}; "
            "expected 0 or more, and an end behind the beginning"
        )


def _check_begin(onset: np.ndarray, duration_sec: np.ndarray, meant: pd.Series, path: Path) -> None:
    if (is_beyond := onset >= 1000 * duration_sec).any():
        row = _row(is_beyond)
        raise DataError(
            f"{path}: row {row}: {ONSET} is {onset[row - 2]:g} ms, but {meant.iloc[row - 2]} ends at "
            f"{1000 * duration_sec[row - 2]:.0f} ms; are the times in milliseconds, and of this recording?"
        )


def _tell(table: pd.DataFrame, meant: pd.Series, is_known: np.ndarray, path: Path) -> None:
    """Say what is left out; stop if that is everything."""
    is_absent = meant.isna()
    if len(table) and is_absent.all():
        raise DataError(
            f"{path}: row 2: no recording of the corpus is called {table[FILE].iloc[0]!r}, nor what any other row "
            f"names; expected {FILE} to be a path below the corpus' root, or the end of one"
        )
    if is_absent.any():
        log.warning("%s: %d of %d rows are about recordings that are not here", path, is_absent.sum(), len(table))
    if num_unread := int((~is_known & ~is_absent).sum()):
        log.warning("%s: %d rows are about recordings that cannot be read", path, num_unread)


def _row(is_wrong: np.ndarray) -> int:
    """The first row that is wrong, counted as a spreadsheet does: the header is row 1."""
    return int(is_wrong.argmax()) + 2
