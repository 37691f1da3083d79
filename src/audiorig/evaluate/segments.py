"""Labelled stretches of recordings: what a probe is asked about where files are hours long.

A stretch belongs to its recording, and recordings are on one side of the split, so no stretch of a
held-out participant is ever learnt from. Annotations are made by people and programs: stretches
that no answer can be given for are left out, and the log says how many, and why.
"""

import logging

import pandas as pd

from audiorig.config import ProbeTask
from audiorig.data.manifest import FIRST_COLUMNS
from audiorig.errors import DataError

SHORTEST_SEC = 0.1  # 4 frames of wav2vec2; the deviation of fewer says nothing
LONGEST_SEC = 30.0  # of a longer stretch, its middle is heard, unless it is cut into pieces
PLACE = ("wav_path", "start_sec", "end_sec")
# What a recording is, its annotations cannot change: they would put it on another side or into another home.
OF_THE_RECORDING = (*FIRST_COLUMNS, "group_id", "split_side")

log = logging.getLogger(__name__)


def stretch_names(rows: pd.DataFrame) -> pd.Series:
    """A name for each stretch: its recording, first and last second, to the millisecond."""
    times = [rows[column].map("{:.3f}".format) for column in PLACE[1:]]
    return rows["wav_path"].astype(str) + "#" + times[0] + "-" + times[1]


def join_segments(rows: pd.DataFrame, segments: pd.DataFrame | None, task: ProbeTask) -> pd.DataFrame:
    """The labelled stretches of some recordings, a row each.

    Args:
        rows: recordings, rows of a split.
        segments: ``wav_path, start_sec, end_sec`` and labels; "" where there is none. A column that
            recordings have too is taken from here, unless it is empty throughout. None if the
            corpus has no annotations.

    Returns:
        Columns of the recording and of its annotations; ``duration_sec`` is that of the stretch,
        which ends where its recording ends.

    Raises:
        DataError: if there are no annotations, or they lack a column.
    """
    if segments is None:
        raise DataError(
            f"probe task on {task.label!r}: it asks about labelled stretches (items: segments), but the corpus has no "
            "annotations; write annotations: FILE.csv into the corpus' settings (columns recording_filename, "
            "segment_onset, segment_offset in ms, then labels such as speaker_type), or items: files into the task"
        )
    if missing := [column for column in PLACE if column not in segments]:
        raise DataError(
            f"probe task on {task.label!r}: the table of segments has no column {missing[0]!r}; there are "
            f"{', '.join(map(str, segments))}"
        )
    own = [column for column in segments if column not in PLACE and column not in OF_THE_RECORDING]
    labels = [column for column in own if (segments[column].fillna("") != "").any() or column not in rows]
    found = segments[[*PLACE, *labels]]
    joined = rows.drop(columns=[*labels, *PLACE[1:]], errors="ignore").merge(found, on="wav_path", how="inner")
    return _possible(joined, len(segments), task)


def _possible(joined: pd.DataFrame, num_annotated: int, task: ProbeTask) -> pd.DataFrame:
    """What can be listened to, in order of recording and time."""
    start = joined["start_sec"].astype("float64").round(3)
    end = joined["end_sec"].astype("float64").round(3).clip(upper=joined["duration_sec"].astype("float64"))
    joined = joined.assign(start_sec=start, end_sec=end, duration_sec=end - start)
    is_inside = (start >= 0) & (end > start)  # not so where one of them is unknown
    is_long = joined["duration_sec"] >= SHORTEST_SEC - 1e-6
    _tell(
        task,
        {
            "of recordings that the split does not have": num_annotated - len(joined),
            "of no length, or beyond their recording's end": int((~is_inside).sum()),
            f"shorter than {SHORTEST_SEC} s": int((is_inside & ~is_long).sum()),
        },
    )
    return joined[is_inside & is_long].sort_values(list(PLACE), kind="stable", ignore_index=True)


def without_contradictions(rows: pd.DataFrame, task: ProbeTask) -> pd.DataFrame:
    """Each stretch once; those that are annotated with two values of the label are left out."""
    names = stretch_names(rows)
    values = rows[task.label].astype(str).groupby(names).transform("nunique")
    is_again = names.duplicated() & (values == 1)
    _tell(task, {"with two labels at once": int((values > 1).sum()), "listed twice": int(is_again.sum())})
    return rows[(values == 1) & ~is_again]


def _tell(task: ProbeTask, left_out: dict[str, int]) -> None:
    if counts := [f"{count} {why}" for why, count in left_out.items() if count]:
        log.info("probe task on %r: stretches left out: %s", task.label, ", ".join(counts))
