"""Who is heard how often: recordings by their duration, with a cap for each participant.

A corpus of homes is never balanced: one family records for 60 hours, another for two. Drawn by
duration alone, a model would mostly hear the first.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
from numpy.typing import NDArray

from audiorig.data.corpora.folder import UNKNOWN

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BELOW_ONE = float(np.nextafter(1, 0))


class Shares:
    """The stretch from 0 to 1, laid out with recordings, each as long as its share of the crops.

    Recordings of a participant lie side by side, in the order of the rows, so that places at equal
    distances give each participant its share to within one crop.

    Args:
        durations: (R,) of the recordings, in any unit; 0 for one that is never drawn.
        participants: (R,) whose they are, as numbers.
        max_share: largest share of a participant; see `cap`.
    """

    def __init__(self, durations: Floats, participants: Whole, max_share: float) -> None:
        _, owner = np.unique(participants, return_inverse=True)
        totals = np.bincount(owner, weights=durations).astype(np.float64)
        capped = cap(totals, max_share)
        density = np.divide(capped, totals, out=np.zeros_like(capped), where=totals > 0)
        weights = durations * density[owner]
        self._rows = np.argsort(owner, kind="stable")
        self._ends = _ends(weights[self._rows])
        rows_of = np.bincount(owner)
        self._participant_ends = self._ends[np.cumsum(rows_of) - 1]

    def at(self, place: float) -> tuple[int, float]:
        """The row that lies at a place from 0 to 1, and how far into it that is, from 0 to 1."""
        index, low, high = _stretch_at(self._ends, place)
        return int(self._rows[index]), (place - low) / (high - low)

    def participant_at(self, place: float) -> tuple[float, float]:
        """From where to where all recordings of the participant at a place lie."""
        _, low, high = _stretch_at(self._participant_ends, place)
        return low, high


def cap(totals: Floats, max_share: float) -> Floats:
    """Shares in proportion to the totals, but for those that the cap holds down.

    What is above the cap goes to the others, in proportion, until nobody is above it (water-filling).

    Args:
        totals: (P,) seconds of each participant.
        max_share: the cap; where too few participants share the whole, all get alike.

    Returns:
        (P,) shares that add up to 1; 0 where nothing is to be heard.
    """
    is_free = totals > 0
    if is_free.sum() * max_share <= 1:
        return is_free / max(1, is_free.sum())
    shares = np.zeros(len(totals))
    left = 1.0
    while True:
        shares[is_free] = left * totals[is_free] / totals[is_free].sum()
        is_above = is_free & (shares > max_share)
        if not is_above.any():
            return shares
        shares[is_above] = max_share
        left -= max_share * int(is_above.sum())
        is_free &= ~is_above


def read_columns(split: Path, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Those of some columns that an Arrow file has; mapped, not loaded."""
    with pa.memory_map(str(split)) as source:
        table = pa.ipc.open_file(source).read_all()
    return {name: table.column(name) for name in names if name in table.column_names}


def participants_of(split: Path) -> Whole:
    """A number for the participant of each row (R,); where that is unknown, for its recording."""
    columns = read_columns(split, ("participant_id", "recording_id", "wav_path"))
    recordings = _codes(columns.get("recording_id", columns["wav_path"]))
    if "participant_id" not in columns:
        return recordings
    people = columns["participant_id"].cast(pa.large_string())
    is_known = pc.fill_null(pc.not_equal(people, UNKNOWN), False).to_numpy()
    return np.where(is_known, _codes(people), len(recordings) + recordings)


def _codes(names: pa.ChunkedArray) -> Whole:
    """A number for each name (R,), below R."""
    encoded = pc.dictionary_encode(names.cast(pa.large_string()).combine_chunks(), null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _ends(weights: Floats) -> Floats:
    ends = np.cumsum(weights)
    return ends / ends[-1]


def _stretch_at(ends: Floats, place: float) -> tuple[int, float, float]:
    """Which of the stretches with these ends holds a place, and from where to where it goes."""
    # What is drawn below 1 can be rounded to 1, where nothing lies.
    index = int(np.searchsorted(ends, min(place, BELOW_ONE), side="right"))
    return index, float(ends[index - 1]) if index else 0.0, float(ends[index])
