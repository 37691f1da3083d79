"""What a trace looks like to somebody who does not hear the song: curves of the time since onset.

All are fitted to training traces alone, in the units that the network predicts. Traces are added
up step by step, so that what is kept does not grow with the corpus.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiorig.evaluate.eda.table import HeardSong, held
from audiorig.evaluate.intervals import Floats

MIN_TRACES = 5  # a mean of fewer is mostly theirs alone


@dataclass
class StepMeans:
    """Sums and numbers of values by step, (M,) each, growing with the longest trace."""

    sums: Floats = field(default_factory=lambda: np.zeros(0))
    counts: Floats = field(default_factory=lambda: np.zeros(0))

    def add(self, sums: Floats, counts: Floats) -> None:
        """Add some traces: their sums by step and how many there were."""
        if (more := len(sums) - len(self.sums)) > 0:
            self.sums, self.counts = np.pad(self.sums, (0, more)), np.pad(self.counts, (0, more))
        self.sums[: len(sums)] += sums
        self.counts[: len(counts)] += counts

    def curve(self, least: int = 1) -> Floats:
        """Means by step, not smoothed.

        Where fewer than ``least`` traces go on (or the most that any step has, if that is less), the
        last value of enough of them holds.
        """
        enough = max(1, min(least, self.counts.max(initial=0)))
        return held(self.sums / np.maximum(self.counts, 1), self.counts >= enough)


def extended(curve: Floats, num_steps: int) -> Floats:
    """The first steps of a curve, (M,); beyond its end its last value."""
    if not len(curve):
        return np.zeros(num_steps)
    return curve[np.minimum(np.arange(num_steps), len(curve) - 1)]


@dataclass(frozen=True)
class OnsetCurves:
    """Curves of the time since onset.

    Attributes:
        template: mean over training traces at each step.
        line: intercept and slope by step, of the straight line of least squares through all steps of
            all training traces.
        subjects: the mean of each subject's training traces.
    """

    template: Floats
    line: tuple[float, float]
    subjects: dict[str, Floats]

    @classmethod
    def fit(cls, songs: Iterable[HeardSong]) -> "OnsetCurves":
        """Fit to songs of the training side, and of nothing else."""
        everybody, subjects = StepMeans(), dict[str, StepMeans]()
        for song in songs:
            everybody.add(*song.totals())
            for participant, trace, is_heard in zip(song.participant_ids, song.traces, song.is_heard, strict=True):
                subject = subjects.setdefault(participant, StepMeans())
                subject.add(np.where(is_heard, trace, 0), is_heard.astype(np.float64))
        known = {name: means.curve() for name, means in sorted(subjects.items()) if means.counts.any()}
        return cls(everybody.curve(MIN_TRACES), _line(everybody), known)

    def of_template(self, num_steps: int) -> Floats:
        """(M,)."""
        return extended(self.template, num_steps)

    def of_line(self, num_steps: int) -> Floats:
        """(M,)."""
        intercept, slope = self.line
        return intercept + slope * np.arange(num_steps, dtype=np.float64)

    def of_subject(self, participant_id: str, num_steps: int) -> Floats:
        """(M,); the template for a subject without training traces."""
        return extended(self.subjects.get(participant_id, self.template), num_steps)

    def to_dict(self) -> dict[str, Any]:
        """Every number that was fitted."""
        subjects = {name: curve.tolist() for name, curve in self.subjects.items()}
        return {"template": self.template.tolist(), "line": list(self.line), "subjects": subjects}


def _line(means: StepMeans) -> tuple[float, float]:
    """The line of least squares: steps weigh as often as they were heard."""
    total = means.counts.sum()
    if not total:
        return 0.0, 0.0
    steps = np.arange(len(means.counts))
    middle, level = (means.counts * steps).sum() / total, means.sums.sum() / total
    spread = (means.counts * (steps - middle) ** 2).sum()
    slope = ((steps - middle) * means.sums).sum() / spread if spread else 0.0
    return float(level - slope * middle), float(slope)


def mean_of_others(song: HeardSong, template: Floats) -> tuple[Floats, int]:
    """What the others' skin did who heard the same song: a reference, for a new song has no listeners yet.

    Another take of the same subject is not another listener's. Where none of the others has a
    value, the nearest one of their mean holds.

    Args:
        template: (M,) what is said of a trace whose song nobody else heard.

    Returns:
        (S, M), and the number of such traces.
    """
    sums, counts = song.totals()
    found, num_alone = np.empty(song.traces.shape), 0
    subjects = np.array(song.participant_ids)
    heard = np.where(song.is_heard, song.traces, 0)
    for line, subject in zip(found, song.participant_ids, strict=True):
        own = subjects == subject
        others = counts - song.is_heard[own].sum(0)
        if not others.any():
            line[:] = template
            num_alone += 1
            continue
        line[:] = held((sums - heard[own].sum(0)) / np.maximum(others, 1), others > 0)
    return found, num_alone
