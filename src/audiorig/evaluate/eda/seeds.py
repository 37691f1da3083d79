"""Scores of runs with several seeds, and of cases that differ in a few settings, on test songs that may differ.

A seed may have a split of its own, so the songs of all test sides are drawn together, as
``shared_draws`` says: what is equal is paired, and the seeds' own spread widens the interval.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiorig.evaluate.clip_metrics import ratio
from audiorig.evaluate.eda.scores import DIFFERENCES, SKILL
from audiorig.evaluate.eda.table import BASELINES, METRICS, NETWORK, PERMUTED, SHIFTED, TEMPLATE, song_weights
from audiorig.evaluate.intervals import Floats, Score
from audiorig.evaluate.shared_draws import SharedDraws, TestSet, joined

Place = tuple[str, int]  # case and seed
Tables = Mapping[int, pd.DataFrame]  # seed -> traces/items.parquet
SYSTEMS = (NETWORK, *BASELINES, PERMUTED, SHIFTED)


class TraceSeeds:
    """The scores of one dataset over cases and seeds; all of them share their draws.

    Args:
        cases: case -> seed -> measures, trace by trace.
        draws: of the bootstrap.
        seed: of the bootstrap.
    """

    def __init__(self, task: str, cases: Mapping[str, Tables], draws: int, seed: int) -> None:
        self.task = task
        self._tables: dict[Place, dict[str, pd.DataFrame]] = {}
        for case, by_seed in cases.items():
            for number, table in by_seed.items():
                own = table[table["task"] == task].sort_values("item", kind="stable")
                if len(own):
                    self._tables[case, number] = {
                        str(name): rows.reset_index(drop=True) for name, rows in own.groupby("system", sort=False)
                    }
        sets = {
            place: TestSet(tuple(systems[NETWORK]["item"]), tuple(systems[NETWORK]["group"]))
            for place, systems in self._tables.items()
        }
        self._sets, self._draws = sets, SharedDraws(sets, draws, seed, task)
        self._known: dict[tuple[Place, str, str], tuple[float, Floats] | None] = {}

    def places(self, case: str) -> list[Place]:
        """The seeds of a case that were tested on the dataset."""
        return [place for place in self._tables if place[0] == case]

    def by_seed(self, case: str, system: str, metric: str) -> dict[int, float]:
        """The score of each seed that has it."""
        found = {place[1]: self._of_place(place, system, metric) for place in self.places(case)}
        return {number: score[0] for number, score in found.items() if score is not None}

    def mean(self, case: str, system: str, metric: str) -> Score | None:
        """The mean over the seeds that have the score."""
        seeds = self.by_seed(case, system, metric)
        places = [(case, number) for number in seeds]
        if not seeds:
            return None
        drawn = self._drawn(places, system, metric)
        return joined(np.array(list(seeds.values())), drawn, self._draws.num_units(*places))

    def difference(self, case: str, system: str, other: str, other_system: str, metric: str) -> Score | None:
        """One case's system minus another's, seed by seed; None unless both have the same seeds."""
        mine, theirs = self.by_seed(case, system, metric), self.by_seed(other, other_system, metric)
        if not mine or set(mine) != set(theirs):
            return None
        ours, others = [(case, number) for number in mine], [(other, number) for number in mine]
        values = np.array([mine[number] - theirs[number] for number in mine])
        drawn = self._drawn(ours, system, metric) - self._drawn(others, other_system, metric)
        return joined(values, drawn, self._draws.num_units(*ours, *others))

    def _drawn(self, places: Sequence[Place], system: str, metric: str) -> Floats:
        found = [self._of_place(place, system, metric) for place in places]
        return np.stack([score[1] for score in found if score is not None], axis=1)

    def _of_place(self, place: Place, system: str, metric: str) -> tuple[float, Floats] | None:
        key = (place, system, metric)
        if key not in self._known:
            self._known[key] = self._skill(place, system) if metric == SKILL else self._mean(place, system, metric)
        return self._known[key]

    def _mean(self, place: Place, system: str, metric: str) -> tuple[float, Floats] | None:
        """The mean over songs of the mean over traces, as it is and in each draw (D,)."""
        table = self._tables[place].get(system)
        if table is None or metric not in table:
            return None
        values = table[metric].to_numpy(np.float64)
        is_defined = np.isfinite(values)
        if not is_defined.any():
            return None
        sizes = song_weights(table["group"][is_defined].astype(str).to_list())
        weights = self._draws.weights(place)[:, is_defined] * sizes
        mean = float((values[is_defined] * sizes).sum() / sizes.sum())
        return mean, ratio(weights @ values[is_defined], weights.sum(1))

    def _skill(self, place: Place, system: str) -> tuple[float, Floats] | None:
        mine, theirs = self._of_place(place, system, "mse"), self._of_place(place, TEMPLATE, "mse")
        if mine is None or theirs is None or theirs[0] <= 0 or system == TEMPLATE:
            return None
        return 1 - mine[0] / theirs[0], 1 - ratio(mine[1], theirs[1])

    # -------------------------------------------------------------------- rows

    def row(self, case: str, system: str, metric: str, score: Score) -> dict[str, Any]:
        """A row as ``metric_row`` gives it; traces and songs are the different ones of all seeds."""
        places = self.places(case)
        low, high = score.interval
        return {
            "task": self.task,
            "system": system,
            "metric": metric,
            **{name: round(value, 6) for name, value in (("value", score.value), ("low", low), ("high", high))},
            "n": len({item for place in places for item in self._sets[place].items}),
            "num_groups": len({group for place in places for group in self._sets[place].groups}),
            "interval_over": self._draws.interval_over(*places),
            **{"split": "test", "layer": None, "seed": None, "seeds": [number for _, number in places]},
        }


def join_seeds(tables: Tables, draws: int, seed: int) -> list[dict[str, Any]]:
    """Rows of one run over all its seeds: every system, and the network minus each baseline."""
    rows: list[dict[str, Any]] = []
    for task in tasks_of([tables]):
        scores = TraceSeeds(task, {"": tables}, draws, seed)
        for system in SYSTEMS:
            for metric in (*METRICS, SKILL):
                if (score := scores.mean("", system, metric)) is not None:
                    rows.append(scores.row("", system, metric, score))
        for other in BASELINES:
            for metric in DIFFERENCES:
                if (score := scores.difference("", NETWORK, "", other, metric)) is not None:
                    rows.append(scores.row("", f"{NETWORK} minus {other}", metric, score))
    return rows


def case_rows(cases: Mapping[str, Tables], reference: str, draws: int, seed: int) -> list[dict[str, Any]]:
    """Rows of every case's network, with a key ``case``, and of its differences to the reference's."""
    rows: list[dict[str, Any]] = []
    for task in tasks_of(list(cases.values())):
        scores = TraceSeeds(task, cases, draws, seed)
        for case in cases:
            for metric in (*METRICS, SKILL):
                if (score := scores.mean(case, NETWORK, metric)) is not None:
                    rows.append({"case": case, **scores.row(case, NETWORK, metric, score)})
                if case == reference:
                    continue
                if (score := scores.difference(case, NETWORK, reference, NETWORK, metric)) is not None:
                    rows.append({"case": case, **scores.row(case, f"{NETWORK} minus {reference}", metric, score)})
    return rows


def tasks_of(tables: Sequence[Tables]) -> list[str]:
    """The datasets that any of the runs was tested on."""
    return list(dict.fromkeys(task for each in tables for table in each.values() for task in pd.unique(table["task"])))
