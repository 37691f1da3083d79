"""Scores with intervals: a bootstrap over speakers (or infants, songs), not over clips.

Clips of one voice are not independent, so whole groups are resampled. All systems of a task share
the same draws, so a difference of two scores is paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audiorig.randomness import keyed_generator

MIN_GROUPS = 5  # below, clips are resampled instead, and the score says so

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """A value and its bootstrap replicates (draws,).

    ``tail`` is the share of the replicates that lies outside the interval, on either side.
    """

    value: float
    replicates: Floats
    tail: float = 0.025

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, from the draws in which the score exists (NaN where it does not)."""
        low, high = np.nanquantile(self.replicates, [self.tail, 1 - self.tail])
        return float(low), float(high)

    def minus(self, other: "Score") -> "Score":
        """Paired difference: both must come from the same ``Resampling``."""
        return Score(self.value - other.value, self.replicates - other.replicates, self.tail)

    @staticmethod
    def mean(scores: Sequence["Score"]) -> "Score":
        """The mean over seeds, draw by draw."""
        replicates = np.mean([score.replicates for score in scores], axis=0)
        return Score(float(np.mean([score.value for score in scores])), replicates, scores[0].tail)

    @staticmethod
    def mean_of_draws(scores: Sequence["Score"], generator: np.random.Generator) -> "Score":
        """The mean over repetitions that are themselves a sample, such as shuffles of the labels.

        The repetitions are resampled too: where clips come in clusters, one shuffle moves whole
        clusters at once, and the spread between shuffles is most of the uncertainty.
        """
        replicates = np.stack([score.replicates for score in scores])
        chosen = generator.integers(len(scores), size=replicates.shape)
        drawn = np.take_along_axis(replicates, chosen, 0).mean(0)
        return Score(float(np.mean([score.value for score in scores])), drawn, scores[0].tail)


def expanded_tail(num_units: int) -> float:
    """Share of the replicates to leave out on either side of a 95 % interval.

    The plain percentile interval of few groups is too narrow: over 6 voices it holds the truth in
    86 of 100 cases. Hesterberg ("What Teachers Should Know About the Bootstrap", 2015) expands the
    percentiles to where a t interval would lie; with many groups this is 2.5 % again.
    """
    reach = np.sqrt(num_units / max(1, num_units - 1)) * stats.t.ppf(0.975, max(1, num_units - 1))
    return float(stats.norm.cdf(-reach))


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
        self.tail = expanded_tail(units)
        generator = keyed_generator("bootstrap", *key)
        self._counts = generator.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)

    def groups_are_labels(self, labels: NDArray[np.int64]) -> bool:
        """Whether each group is one class and each class one group, as when voices are told apart."""
        pairs = set(zip(self._index.tolist(), labels.tolist(), strict=True))
        return not self.is_over_items and len(pairs) == self.num_groups == len(set(labels.tolist()))

    @property
    def num_draws(self) -> int:
        return len(self._counts)

    def weights(self, draws: slice = slice(None)) -> Floats:
        """How often each item is drawn, (draws, n)."""
        return self._counts[draws][:, self._index]

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
