"""Scores of several runs on test sets that may differ: one bootstrap for all of them.

A run is trained with several seeds, and each may have its own split: an infant is then in the test
set of some seeds and not of others. So the groups of all test sets are drawn together, and one that
several of them hold is drawn as often for each. Equal test sets are thereby paired, those without a
common group are independent, and between the two everything is as paired as it is.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audiorig.evaluate.clip_metrics import mean_of_existing
from audiorig.evaluate.intervals import MIN_GROUPS, Floats, Score, expanded_tail
from audiorig.randomness import keyed_generator

PLAIN_REACH = float(stats.norm.ppf(0.975))

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class TestSet:
    """Clips of one test set and their groups, (n,) each."""

    items: tuple[str, ...]
    groups: tuple[str, ...]

    __test__ = False  # no test of pytest's

    @property
    def num_groups(self) -> int:
        return len(set(self.groups))


class SharedDraws(Generic[Key]):
    """How often each clip of each test set is drawn.

    Args:
        sets: test sets by whatever names them. In those with fewer than ``MIN_GROUPS`` groups clips
            are drawn instead.
        draws: number of draws.
        key: names the draws.
    """

    def __init__(self, sets: Mapping[Key, TestSet], draws: int, *key: str | int) -> None:
        self._units = {name: self._units_of(test_set) for name, test_set in sets.items()}
        names = sorted({unit for units in self._units.values() for unit in units})
        self._place = {unit: place for place, unit in enumerate(names)}
        generator = keyed_generator("shared-bootstrap", *key)
        self._counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)

    @staticmethod
    def _units_of(test_set: TestSet) -> list[tuple[str, str]]:
        if test_set.num_groups < MIN_GROUPS:
            return [("clip", item) for item in test_set.items]
        return [("group", group) for group in test_set.groups]

    @property
    def num_draws(self) -> int:
        return len(self._counts)

    def weights(self, name: Key, draws: slice = slice(None)) -> Floats:
        """(draws, n) of one test set."""
        columns: NDArray[np.int64] = np.array([self._place[unit] for unit in self._units[name]], dtype=np.int64)
        return self._counts[draws][:, columns].astype(np.float64)

    def num_units(self, *names: Key) -> int:
        """Units of some test sets together, each counted once."""
        return len({unit for name in names for unit in self._units[name]})

    def interval_over(self, *names: Key) -> str:
        """What was drawn: groups, or clips if one of the test sets had too few of them."""
        return "clips" if any(self._units[name][0][0] == "clip" for name in names) else "groups"


def joined(by_seed: Floats, drawn: Floats, num_units: int) -> Score:
    """The mean over seeds, with an interval that holds what groups and what seeds contribute.

    The draws give the covariance of the seeds' scores that the choice of test groups makes; the mean
    of the matrix is its share in the variance of the mean. Seeds differ by more than that if their
    scores spread more than draws alone make them: the excess is the seeds' own variance, known with
    S - 1 degrees of freedom. Satterthwaite's formula ("An Approximate Distribution of Estimates of
    Variance Components", 1946) gives the degrees of freedom of both together, and the draws are
    spread out so far that their plain percentiles reach as far as a t interval would.

    Args:
        by_seed: (S,) scores.
        drawn: (draws, S) the same in each draw; NaN where a draw has none.
        num_units: groups (or clips) behind all of them.
    """
    value, num_seeds = float(by_seed.mean()), len(by_seed)
    mean = mean_of_existing(drawn)
    if num_seeds == 1:
        return Score(value, mean, expanded_tail(num_units))
    covariance = np.ma.cov(np.ma.masked_invalid(drawn), rowvar=False).filled(0.0) * num_units / max(1, num_units - 1)
    of_groups, diagonal = float(covariance.mean()), float(np.trace(covariance)) / num_seeds
    shared = (float(covariance.sum()) - num_seeds * diagonal) / (num_seeds * (num_seeds - 1))
    spread = float(by_seed.var(ddof=1))
    of_seeds = max(0.0, spread - (diagonal - shared)) / num_seeds
    variance = of_groups + of_seeds
    if variance <= 0:
        return Score(value, mean)
    # What is left of the spread is as uncertain as the whole of it.
    doubt = of_groups**2 / max(1, num_units - 1) + (spread / num_seeds) ** 2 / (num_seeds - 1)
    freedom = max(num_seeds - 1, variance**2 / doubt)
    reach = float(stats.t.ppf(0.975, freedom) * np.sqrt(variance)) / PLAIN_REACH
    deviation = float(np.nanstd(mean))
    if deviation < 1e-9 * np.sqrt(variance):  # groups change nothing: only the seeds do
        return Score(value, value + reach * stats.norm.ppf((np.arange(len(mean)) + 0.5) / len(mean)))
    return Score(value, value + (mean - np.nanmean(mean)) * max(1.0, reach / deviation))
