"""Which clips of the training side could not be read: part of a run's checkpoints, logged at every step.

A clip that goes bad while a run is on its way is no reason to lose the run, and many are no reason
to go on: the share of the side that may be unreadable is bounded.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from audiorig.data.clips import ClipDataset
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.errors import DataError
from audiorig.files import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

FILE = "replaced.json"
NUM_NAMED = 20  # in one message

log = logging.getLogger(__name__)


class ReplacedClips:
    """Counts distinct rows that others stood in for; a `Ledger` of the trainer.

    Args:
        clips: the training side.
        private: whether pseudonyms take the place of names.
        is_spoken: whether each row is logged when it is first met; one process of a run does that.
    """

    def __init__(self, clips: ClipDataset, *, private: bool = False, is_spoken: bool = True) -> None:
        self.clips, self.private, self.is_spoken = clips, private, is_spoken
        self._rows: set[int] = set()
        self._pseudonyms: CorpusPseudonyms | None = None

    @property
    def rows(self) -> list[int]:
        """Rows of the split that could not be read, so far."""
        return sorted(self._rows)

    def note(self, seen: "Tensor") -> None:
        """Count what was replaced in a step.

        Args:
            seen: int64 (n, 4): epoch, item, row, read_row. Rows from ``row`` up to ``read_row``,
                cyclically, could not be read.

        Raises:
            DataError: if more of the side is unreadable than ``data.max_unreadable_share``.
        """
        replaced = seen[seen[:, 2] != seen[:, 3]].tolist()
        new = dict.fromkeys(bad for _, _, row, read_row in replaced for bad in self._between(row, read_row))
        for row in new:
            if row not in self._rows:
                self._rows.add(row)
                if self.is_spoken:
                    log.warning("%s; the next clip that can be read stands in for it", self._reason(row))
        if new:
            self._check()

    def numbers(self) -> dict[str, float]:
        """Rows that were replaced so far."""
        return {"replaced_clips": float(len(self._rows))}

    def save(self, folder: Path) -> None:
        """Write the rows into a checkpoint."""
        write_json(folder / FILE, {"rows": self.rows, "num_rows": len(self.clips)})

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            DataError: if the checkpoint has no such list, or one of another split.
        """
        path = folder / FILE
        try:
            state = read_json(path)
            rows, num_rows = {int(row) for row in state["rows"]}, int(state["num_rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: which clips were replaced cannot be read ({error}): resume from another checkpoint"
            ) from None
        if num_rows != len(self.clips) or not rows <= set(range(num_rows)):
            raise DataError(
                f"{path}: counts the clips of another split than {self.clips.split}; resume with the split that the "
                "checkpoint was trained on, or begin anew in another folder"
            )
        self._rows = rows

    def _between(self, row: int, read_row: int) -> Iterator[int]:
        while row != read_row:
            yield row
            row = (row + 1) % len(self.clips)

    def _check(self) -> None:
        count, total, bound = len(self._rows), len(self.clips), self.clips.data.max_unreadable_share
        if count <= bound * total:
            return
        names = [self._name(row) for row in self.rows]
        others = f" and {count - NUM_NAMED} others" if count > NUM_NAMED else ""
        raise DataError(
            f"{self.clips.split}: {count} of its {total} clips could not be read, more than data.max_unreadable_share "
            f"({bound:g}) allows: {', '.join(names[:NUM_NAMED])}{others}; mend them, or build manifest and validation "
            "anew so that the split leaves them out"
        )

    def _name(self, row: int) -> str:
        name = self.clips.name(row)
        if not self.private:
            return name
        if self._pseudonyms is None:
            self._pseudonyms = CorpusPseudonyms.of_split(self.clips.split.parent)
        path, _, copy = name.partition("#") if self.clips.copy(row) else (name, "", "")
        return self._pseudonyms.file(path) + (f"#{copy}" if copy else "")

    def _reason(self, row: int) -> str:
        """The decoder's words; of a private corpus none, as they hold the path."""
        if self.private:
            return f"{self._name(row)}: cannot be read"
        return self.clips.why_unreadable(row) or f"{self._name(row)}: could not be read, and now can"
