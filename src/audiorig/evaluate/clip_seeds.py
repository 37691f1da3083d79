"""Answers of several seeds, and of several cases, joined: means over the seeds and differences, with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import CONTROLS, targets_of, tested, tuned_system
from audiorig.evaluate.clip_metrics import mean_errors
from audiorig.evaluate.clip_scores import AT_ONCE, RECALL, measured
from audiorig.evaluate.intervals import Floats, Score
from audiorig.evaluate.shared_draws import SharedDraws, TestSet, joined
from audiorig.models.answers import Answer

Tables = Mapping[int, pd.DataFrame]  # seed -> predictions
Place = tuple[str, int]  # case and seed
OF_UNIT = frozenset({"accuracy", "balanced_accuracy", "macro_f1", "auc"})  # from 0 to 1, as recalls are


class TargetSeeds:
    """One target's scores over seeds and cases; all of them share their draws.

    Args:
        cases: case -> seed -> predictions; in a case without the target it has no scores.
        draws: of the bootstrap.
        seed: of the bootstrap.
    """

    def __init__(self, target: Target, cases: Mapping[str, Tables], draws: int, seed: int) -> None:
        self.target = target
        self._tables = {(case, number): table for case, by_seed in cases.items() for number, table in by_seed.items()}
        self._known: dict[tuple[Place, str], dict[str, tuple[float, Floats]]] = {}
        self._truth: dict[tuple[Place, str], tuple[Floats, Answer]] = {}
        self.sets: dict[Place, TestSet] = {}
        for place, table in self._tables.items():
            rows, _ = tested(table, tuned_system(table), target)
            if len(rows):
                self.sets[place] = TestSet(tuple(rows["item"]), tuple(rows["group"]))
        self.draws = SharedDraws(self.sets, draws, seed, target.name)
        self._of_class = self._class_draws(draws, seed) if target.kind == "class" else {}

    def _class_draws(self, draws: int, seed: int) -> dict[str, SharedDraws[Place]]:
        """A recall is about the clips of one class: only they are drawn for it."""
        found = {}
        for value, label in enumerate(self.target.classes):
            sets = {}
            for place, test_set in self.sets.items():
                true, _ = self.truth(place, tuned_system(self._tables[place]))
                if len(clips := np.flatnonzero(true == value)):
                    items, groups = ([names[clip] for clip in clips] for names in (test_set.items, test_set.groups))
                    sets[place] = TestSet(tuple(items), tuple(groups))
            if sets:
                found[f"{RECALL}{label}"] = SharedDraws(sets, draws, seed, self.target.name, label)
        return found

    def _draws_of(self, metric: str) -> SharedDraws[Place]:
        return self._of_class.get(metric, self.draws)

    def places(self, case: str) -> list[Place]:
        """The seeds of a case that have test clips."""
        return [place for place in self.sets if place[0] == case]

    def truth(self, place: Place, system: str) -> tuple[Floats, Answer]:
        """True values of the test clips, and a system's answers."""
        if (place, system) not in self._truth:
            rows, answer = tested(self._tables[place], system, self.target)
            if tuple(rows["item"]) != self.sets[place].items:
                raise DataError(
                    f"{place[0]}, seed {place[1]}: {system} has answers to {len(rows)} of "
                    f"{len(self.sets[place].items)} test clips of {self.target.name!r}: let the rule score write the "
                    "predictions anew"
                )
            self._truth[place, system] = rows["true"].to_numpy(np.float64), answer
        return self._truth[place, system]

    def metrics(self, case: str, system: str) -> list[str]:
        """What any seed of a case has."""
        found = dict.fromkeys(name for place in self.places(case) for name in self._of_place(place, system))
        return list(found)

    def by_seed(self, case: str, system: str, metric: str) -> dict[int, float]:
        """The score of each seed that has one."""
        values = {place[1]: self._of_place(place, system).get(metric) for place in self.places(case)}
        return {number: found[0] for number, found in values.items() if found is not None}

    def mean(self, case: str, system: str, metric: str) -> Score:
        """The mean over the seeds that have the score."""
        seeds = self.by_seed(case, system, metric)
        places = [(case, number) for number in seeds]
        return joined(
            np.array(list(seeds.values())),
            self._drawn(places, system, metric),
            self._draws_of(metric).num_units(*places),
        )

    def difference(self, case: str, system: str, other: str, other_system: str, metric: str) -> Score:
        """One case's system minus another's: seed by seed where both have the same seeds."""
        mine, theirs = self.by_seed(case, system, metric), self.by_seed(other, other_system, metric)
        if set(mine) != set(theirs):
            return self.mean(case, system, metric).minus(self.mean(other, other_system, metric))
        ours = [(case, number) for number in mine]
        others = [(other, number) for number in mine]
        return joined(
            np.array([mine[number] - theirs[number] for number in mine]),
            self._drawn(ours, system, metric) - self._drawn(others, other_system, metric),
            self._draws_of(metric).num_units(*ours, *others),
        )

    def _drawn(self, places: list[Place], system: str, metric: str) -> Floats:
        return np.stack([self._of_place(place, system)[metric][1] for place in places], axis=1)

    def _of_place(self, place: Place, system: str) -> dict[str, tuple[float, Floats]]:
        if (place, system) not in self._known:
            true, answer = self.truth(place, system)
            values = measured(self.target, true, answer, np.ones((1, len(true))))
            step = max(1, AT_ONCE // len(true))
            blocks = [
                measured(self.target, true, answer, self.draws.weights(place, slice(first, first + step)))
                for first in range(0, self.draws.num_draws, step)
            ]
            known = {
                name: (float(value[0]), drawn)
                for name, value in values.items()
                if np.isfinite(value[0]) and np.isfinite(drawn := np.concatenate([each[name] for each in blocks])).any()
            }
            self._known[place, system] = known | self._recalls(place, true, answer)
        return self._known[place, system]

    def _recalls(self, place: Place, true: Floats, answer: Answer) -> dict[str, tuple[float, Floats]]:
        found = {}
        for metric, draws in self._of_class.items():
            is_meant = true == self.target.classes.index(metric.removeprefix(RECALL))
            if is_meant.any():
                hits = (answer.predicted[is_meant] == true[is_meant]).astype(np.float64)
                found[metric] = float(hits.mean()), mean_errors(hits, draws.weights(place))
        return found

    # -------------------------------------------------------------------- rows

    def row(self, case: str, system: str, metric: str, score: Score) -> dict[str, Any]:
        """A row as ``metric_row`` gives it; items and groups are the different ones of all seeds."""
        places = [(case, number) for number in self.by_seed(case, system.partition(" minus ")[0], metric)]
        clips, groups = self.support(places, metric.removeprefix(RECALL) if metric.startswith(RECALL) else None)
        return {
            "task": self.target.name,
            "kind": self.target.kind,
            "split": "test",
            "system": system,
            "layer": None,
            "metric": metric,
            **numbers_of(score, metric if " minus " not in system else ""),
            "n": clips,
            "num_groups": groups,
            "interval_over": self._draws_of(metric).interval_over(*places),
            "seed": None,
            "seeds": [number for _, number in places],
        }

    def support(self, places: list[Place], label: str | None = None) -> tuple[int, int]:
        """Different test clips and groups of some seeds, of all classes or of one."""
        found: set[tuple[str, str]] = set()
        for place in places:
            test_set = self.sets[place]
            true, _ = self.truth(place, tuned_system(self._tables[place]))
            is_asked = np.ones(len(true), bool) if label is None else true == self.target.answers.index(label)
            found |= {(test_set.items[each], test_set.groups[each]) for each in np.flatnonzero(is_asked)}
        return len({item for item, _ in found}), len({group for _, group in found})


def numbers_of(score: Score, metric: str = "") -> dict[str, float]:
    """Value and interval; that of a share ends where shares end."""
    low, high = score.interval
    if metric in OF_UNIT or metric.startswith(RECALL):
        low, high = min(max(low, 0.0), score.value), max(min(high, 1.0), score.value)
    return {"value": round(score.value, 6), "low": round(low, 6), "high": round(high, 6)}


def shared_targets(tables: Mapping[str, pd.DataFrame]) -> tuple[Target, ...]:
    """The targets of the first table, which all others must answer alike.

    Args:
        tables: what errors call them -> predictions.

    Raises:
        DataError: if another table has other classes or another scale for a target of that name.
    """
    (first, table), *others = tables.items()
    targets = targets_of(table)
    for where, other in others:
        known = {target.name: target.answers for target in targets_of(other)}
        for target in targets:
            if target.name in known and known[target.name] != target.answers:
                raise DataError(
                    f"{where}: target {target.name!r} is about {', '.join(known[target.name])}, and in {first} about "
                    f"{', '.join(target.answers)}: name its classes in the settings, so that they cannot differ"
                )
    return targets


def join_seeds(predictions: Tables, draws: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """Scores of one run over all its seeds: every system, and the model minus each control.

    Args:
        predictions: seed -> predictions.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: if the seeds' targets differ.
    """
    rows: list[dict[str, Any]] = []
    for target in shared_targets({f"seed {number}": table for number, table in predictions.items()}):
        scores = TargetSeeds(target, {"": predictions}, draws, seed)
        if not scores.sets:
            continue
        first = next(iter(predictions.values()))
        mine = tuned_system(first)
        present = [name for name in CONTROLS if all((table["system"] == name).any() for table in predictions.values())]
        for system in (mine, *present):
            for metric in scores.metrics("", system):
                rows.append(scores.row("", system, metric, scores.mean("", system, metric)))
        for control in present:
            for metric in scores.metrics("", control):
                if scores.by_seed("", mine, metric).keys() == scores.by_seed("", control, metric).keys():
                    beyond = scores.difference("", mine, "", control, metric)
                    rows.append(scores.row("", f"{mine} minus {control}", metric, beyond))
    return rows
