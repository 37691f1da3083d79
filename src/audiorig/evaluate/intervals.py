"""Scores with intervals: a bootstrap over speakers (or infants, songs), not over clips.

Clips of one voice are not independent, so whole groups are resampled. All systems of a task share
the same draws, so a difference of two scores is paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiorig.randomness import keyed_generator

MIN_GROUPS = 5  # below, clips are resampled instead, and the score says so

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """A value and its bootstrap replicates (draws,)."""

    value: float
    replicates: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 %."""
        low, high = np.quantile(self.replicates, [0.025, 0.975])
        return float(low), float(high)

    def minus(self, other: "Score") -> "Score":
        """Paired difference: both must come from the same ``Resampling``."""
        return Score(self.value - other.value, self.replicates - other.replicates)

    @staticmethod
    def mean(scores: Sequence["Score"]) -> "Score":
        """The mean over seeds, draw by draw."""
        return Score(
            float(np.mean([score.value for score in scores])), np.mean([score.replicates for score in scores], axis=0)
        )


class Resampling:
    """How often each group is drawn, in each draw of the bootstrap.

    Args:
        groups: the group of each item.
        draws: number of draws.
        key: names the draws; equal keys give equal draws.
    """

    def __init__(self, groups: Sequence[str], draws: int, *key: str | int) -> None:
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self.num_groups = len(names)
        self.is_over_items = self.num_groups < MIN_GROUPS
        self._index = np.arange(len(groups)) if self.is_over_items else index
        units = len(groups) if self.is_over_items else self.num_groups
        generator = keyed_generator("bootstrap", *key)
        self._counts = generator.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)

    def totals(self, values: Floats) -> tuple[Floats, Floats]:
        """Sums over items, as they are and for each draw.

        Args:
            values: (n, ...) one row per item.

        Returns:
            The sum (...), and the sums of the draws (draws, ...).
        """
        flat = values.reshape(len(values), -1)
        by_unit = np.zeros((self._counts.shape[1], flat.shape[1]))
        np.add.at(by_unit, self._index, flat)
        drawn = self._counts @ by_unit
        return values.sum(0), drawn.reshape(len(drawn), *values.shape[1:])
