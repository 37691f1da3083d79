"""Runs compared item by item: what one gets right that the other does not, over the same draws.

A case of an ablation is several runs, one per seed. Its score is the mean over the seeds; the
bootstrap draws groups (speakers, say), the same for every run, and seeds, the same for both sides
of a difference, as seed k of one stands beside seed k of the other.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from audiorig.errors import DataError
from audiorig.evaluate.intervals import MIN_GROUPS, Floats, Resampling, Score
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.randomness import keyed_generator

log = logging.getLogger(__name__)

RECONSTRUCTION = "reconstruction"
PLAIN_REACH = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Items:
    """What S runs, one per seed, make of the same n items: a ratio of two sums over the items.

    Accuracy is hits over items; R2 is explained over all squares.

    Attributes:
        where: the file of the first run, for errors.
        gains: (S, n) what is summed above the line.
        sizes: (n,) what is summed below it.
    """

    task: str
    metric: str
    where: str
    names: tuple[str, ...]
    groups: tuple[str, ...]
    gains: Floats
    sizes: Floats

    @property
    def by_seed(self) -> Floats:
        """(S,) the score of each run."""
        return self.gains.sum(1) / self.sizes.sum()


def probe_items(tables: Mapping[str, pd.DataFrame], system: str) -> dict[str, Items]:
    """Hits of one system by task.

    Args:
        tables: file -> ``probe/items.parquet`` of each seed's run.

    Raises:
        DataError: if the runs were tested on different items.
    """
    first = next(iter(tables.values()))
    tasks = list(dict.fromkeys(first.loc[first["system"] == system, "task"]))
    found = {}
    for task in tasks:
        chosen = {
            where: table[(table["task"] == task) & (table["system"] == system)] for where, table in tables.items()
        }
        ordered = _in_one_order(chosen, task)
        hits = np.stack([table["hit"].to_numpy(np.float64) for table in ordered])
        found[task] = _items(task, "accuracy", chosen, ordered[0], hits, np.ones(hits.shape[1]))
    return found


def distance_items(tables: Mapping[str, pd.DataFrame], guess: str = "model") -> dict[str, Items]:
    """Explained squares of hidden frames, by their distance to the nearest visible one.

    Args:
        tables: file -> ``reconstruction/items.parquet`` of each seed's run.
        guess: the model or an anchor.

    Raises:
        DataError: if the runs rebuilt different clips or different frames of them.
    """
    ordered = _in_one_order(dict(tables), RECONSTRUCTION)
    found = {}
    for index, distance in enumerate(DISTANCES):
        totals = np.stack([table[f"sse_total_{index}"].to_numpy(np.float64) for table in ordered])
        errors = np.stack([table[f"sse_{guess}_{index}"].to_numpy(np.float64) for table in ordered])
        if not totals[0].sum():
            continue
        if not np.allclose(totals, totals[:1], rtol=1e-4):
            raise DataError(f"{next(iter(tables))}: the seeds hid different frames at distance {distance}")
        metric = f"r2 at {distance} frames"
        found[distance] = _items(RECONSTRUCTION, metric, tables, ordered[0], totals[:1] - errors, totals[0])
    return found


def _items(
    task: str, metric: str, tables: Mapping[str, Any], first: pd.DataFrame, gains: Floats, sizes: Floats
) -> Items:
    names, groups = (tuple(first[column].astype(str)) for column in ("item", "group"))
    return Items(task, metric, next(iter(tables)), names, groups, gains, sizes)


def _in_one_order(tables: dict[str, pd.DataFrame], task: str) -> list[pd.DataFrame]:
    """The tables sorted by item.

    Raises:
        DataError: if their items or groups differ.
    """
    ordered = {where: table.sort_values("item", kind="stable", ignore_index=True) for where, table in tables.items()}
    (first_where, first), *others = ordered.items()
    for where, table in others:
        _refuse_different(task, first_where, set(zip(first["item"], first["group"], strict=True)), where, table)
    return list(ordered.values())


def _refuse_different(
    task: str, ours_where: str, ours: set[tuple[str, str]], theirs_where: str, theirs: pd.DataFrame | Items
) -> None:
    pairs = zip(theirs.names, theirs.groups, strict=True) if isinstance(theirs, Items) else _pairs(theirs)
    if different := sorted(ours ^ set(pairs)):
        name, group = different[0]
        whose = ours_where if different[0] in ours else theirs_where
        raise DataError(
            f"{task}: {ours_where} and {theirs_where} were not tested on the same items: {len(different)} differ, "
            f"such as {name!r} of group {group!r}, which only {whose} has; give both runs the same corpus, split and "
            "probe settings"
        )


def _pairs(table: pd.DataFrame) -> Any:
    return zip(table["item"], table["group"], strict=True)


def joint_score(items: Items, draws: int, seed: int) -> Score:
    """The mean over the seeds with its interval."""
    return _score(items.groups, [(items.gains, items.sizes)], items.task, draws, seed)


def paired_difference(ours: Items, theirs: Items, draws: int, seed: int) -> Score:
    """Ours minus theirs, item by item and seed by seed.

    Args:
        draws: of the bootstrap.
        seed: of the bootstrap; with the probes' own the groups are drawn as in their scores.

    Raises:
        DataError: if items, groups, hidden frames or the number of seeds differ.
    """
    mine = set(zip(ours.names, ours.groups, strict=True))
    _refuse_different(ours.task, ours.where, mine, theirs.where, theirs)
    if len(ours.gains) != len(theirs.gains):
        raise DataError(
            f"{ours.task}: {ours.where} has {len(ours.gains)} seeds and {theirs.where} {len(theirs.gains)}: "
            "they are compared seed by seed"
        )
    if not np.allclose(ours.sizes, theirs.sizes, rtol=1e-4):
        raise DataError(
            f"{ours.task}: {ours.where} and {theirs.where} hid different frames, which are not equally hard: "
            "their R2 cannot be subtracted"
        )
    both = [(ours.gains, ours.sizes), (-theirs.gains, theirs.sizes)]
    return _score(ours.groups, both, ours.task, draws, seed)


def _score(groups: Sequence[str], terms: list[tuple[Floats, Floats]], task: str, draws: int, seed: int) -> Score:
    """Sum of some ratios, averaged over the seeds.

    With one seed this is the project's interval of a single run. With several, ``_stretched``
    widens it for the few seeds as ``expanded_tail`` does for few groups.
    """
    resampling = Resampling(groups, draws, seed, task)
    by_seed, drawn = np.zeros(len(terms[0][0])), np.zeros((draws, len(terms[0][0])))
    for gains, sizes in terms:
        above, drawn_above = resampling.totals(gains.T)  # (S,), (draws, S)
        below, drawn_below = resampling.totals(sizes)
        by_seed += above / below
        drawn += drawn_above / np.where(drawn_below > 0, drawn_below, np.nan)[:, None]
    value, num_seeds = float(by_seed.mean()), len(by_seed)
    if num_seeds == 1:
        return Score(value, drawn[:, 0], resampling.tail)
    chosen = keyed_generator("seed-bootstrap", seed, task).integers(num_seeds, size=drawn.shape)
    replicates = np.take_along_axis(drawn, chosen, 1).mean(1)
    units = len(groups) if resampling.is_over_items else resampling.num_groups
    return Score(value, _stretched(replicates, drawn.mean(1), by_seed, units))


def _stretched(replicates: Floats, over_groups: Floats, by_seed: Floats, num_groups: int) -> Floats:
    """Replicates spread out so far that their plain percentiles reach as far as a t interval would.

    Percentiles cannot do it: means of 3 seeds drawn with replacement never leave the range of the
    3, where a t interval of 2 degrees of freedom is 2.5 standard deviations wide. Groups and seeds
    are two sources of variance, each known with its own degrees of freedom; Satterthwaite's formula
    ("An Approximate Distribution of Estimates of Variance Components", 1946) gives those of their
    sum.
    """
    num_seeds = len(by_seed)
    shares = (
        (float(np.nanvar(over_groups)) * num_groups / max(1, num_groups - 1), max(1, num_groups - 1)),
        (float(by_seed.var(ddof=1)) / num_seeds, num_seeds - 1),
    )
    variance, drawn = sum(part for part, _ in shares), float(np.nanvar(replicates))
    if not variance or not drawn:
        return replicates
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in shares)
    factor = float(stats.t.ppf(0.975, freedom)) / PLAIN_REACH * np.sqrt(variance / drawn)
    centre = np.nanmean(replicates)
    return centre + max(1.0, factor) * (replicates - centre)


def difference_rows(
    ours: Sequence[Items], theirs: Sequence[Items], name: str, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of ``against.json``: differences where both were measured on the same items; others are told in the log.

    Args:
        name: the other run.
    """
    by_key = {(items.task, items.metric): items for items in theirs}
    rows = []
    for mine in ours:
        if (other := by_key.get((mine.task, mine.metric))) is None:
            log.warning("%s, %s: %s was not asked it", mine.task, mine.metric, name)
            continue
        try:
            score = paired_difference(mine, other, draws, seed)
        except DataError as error:
            log.warning("%s", error)
            continue
        numbers = {"value": score.value, "low": score.interval[0], "high": score.interval[1]}
        num_groups = len(set(mine.groups))
        rows.append(
            {
                "task": mine.task,
                "metric": mine.metric,
                "with": name,
                **{key: round(number, 6) for key, number in numbers.items()},
                "n": len(mine.names),
                "num_groups": num_groups,
                "interval_over": "groups" if num_groups >= MIN_GROUPS else "clips",
            }
        )
    return rows
