"""The leakage ladder: one model and its training, with one thing changed in each case, mostly the split.

    {"reference": "...", "system": "...", "rows": [...], "best": [...]}

A row is one case's mean over its seeds of one metric of one target: ``value, low, high``;
``by_seed``; ``n, num_groups, support`` (the different test clips, groups, and clips of each
class); ``chance`` and ``majority`` (what luck, and the commonest answer, reach on these clips);
``above_majority`` (what is beyond that) and ``minus_reference``, each ``value, low, high,
is_certain``. The last rows, of case "majority", are those of the commonest answer on the
reference's clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import read_answers, tuned_system
from audiorig.evaluate.clip_scores import RECALL
from audiorig.evaluate.clip_seeds import TargetSeeds, numbers_of, shared_targets
from audiorig.evaluate.intervals import Score
from audiorig.evaluate.systems import MAJORITY

HEADLINE = {"class": "balanced_accuracy", "binary": "balanced_accuracy", "rating": "spearman"}


@dataclass(frozen=True)
class LadderCase:
    """One case: its name, what tables call it, and the predictions of each seed."""

    name: str
    title: str
    tables: Mapping[int, pd.DataFrame]
    is_control: bool = False  # one that can learn nothing, and so is never the best


def read_cases(members: Sequence[Mapping[str, Any]]) -> list[LadderCase]:
    """Cases of a list of ``{"case", "title", "files": {seed: path}, "is_control"}``; the first is the reference.

    Raises:
        DataError: if a file holds no predictions.
    """
    return [
        LadderCase(
            str(member["case"]),
            str(member["title"]),
            {int(seed): read_answers(Path(path)) for seed, path in sorted(member["files"].items(), key=_by_number)},
            bool(member.get("is_control", False)),
        )
        for member in members
    ]


def _by_number(item: tuple[str, str]) -> int:
    return int(item[0])


def build_ladder(cases: Sequence[LadderCase], draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Everything of ``ladder.json``.

    Args:
        cases: the reference first.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: if the cases do not answer the same questions.
    """
    if not cases or not all(case.tables for case in cases):
        raise DataError("a ladder needs cases, and each case the predictions of a seed or more")
    tables = {f"{case.name}, seed {number}": table for case in cases for number, table in case.tables.items()}
    names = {tuned_system(table, where) for where, table in tables.items()}
    if len(names) > 1:
        raise DataError(f"the cases are of different experiments: {', '.join(sorted(names))}")
    (system,) = names
    rows: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    for target in shared_targets(tables):
        scores = TargetSeeds(target, {case.name: case.tables for case in cases}, draws, seed)
        target_ladder = _TargetLadder(target, scores, cases, system)
        rows += target_ladder.rows()
        best += target_ladder.best()
    return {"reference": cases[0].name, "system": system, "rows": rows, "best": best}


class _TargetLadder:
    def __init__(self, target: Target, scores: TargetSeeds, cases: Sequence[LadderCase], system: str) -> None:
        self.target, self.scores, self.system = target, scores, system
        self.cases = [case for case in cases if scores.places(case.name)]
        self.reference = cases[0]

    def rows(self) -> list[dict[str, Any]]:
        if not self.scores.places(self.reference.name):
            return []
        found = [self._row(case, metric) for case in self.cases for metric in self._metrics(case, self.system)]
        commonest = [
            {
                **self._about(self.reference),
                **self.scores.row(
                    self.reference.name, MAJORITY, metric, self.scores.mean(self.reference.name, MAJORITY, metric)
                ),
                "case": MAJORITY,
                "title": "always the commonest answer",
                "by_seed": list(self.scores.by_seed(self.reference.name, MAJORITY, metric).values()),
                "chance": self._chance(self.reference, metric),
                "majority": None,
                "above_majority": None,
                "minus_reference": None,
            }
            for metric in self._metrics(self.reference, MAJORITY)
        ]
        return found + commonest

    def best(self) -> list[dict[str, Any]]:
        """How far above luck the best case is, of those that were tested on the reference's own clips.

        The best of several is partly the luckiest one: its interval does not know of the choice.
        """
        metric = HEADLINE[self.target.kind]
        able = [case for case in self.cases if not case.is_control]
        alike = [case for case in able if self._is_same_test(case) and metric in self._metrics(case, self.system)]
        if not alike:
            return []
        values = {case.name: self.scores.mean(case.name, self.system, metric).value for case in alike}
        chosen = max(alike, key=lambda case: values[case.name])
        row = self._row(chosen, metric)
        kept = ["case", "title", "task", "metric", "value", "low", "high", "n", "num_groups"]
        kept += ["chance", "above_majority"]
        above_chance = row["above_majority"] or {
            **{name: round(row[name] - row["chance"], 6) for name in ("value", "low", "high")},
            "is_certain": row["low"] > row["chance"] or row["high"] < row["chance"],
        }
        return [{**{name: row[name] for name in kept}, "above_chance": above_chance, "num_cases": len(alike)}]

    def _row(self, case: LadderCase, metric: str) -> dict[str, Any]:
        scores = self.scores
        row = scores.row(case.name, self.system, metric, scores.mean(case.name, self.system, metric))
        by_majority = scores.by_seed(case.name, MAJORITY, metric) if self._has_majority(case) else {}
        mine = scores.by_seed(case.name, self.system, metric)
        theirs = scores.by_seed(self.reference.name, self.system, metric)
        beyond = difference = None
        if by_majority.keys() == mine.keys():
            beyond = _difference(scores.difference(case.name, self.system, case.name, MAJORITY, metric))
        if case is not self.reference and theirs:
            difference = {
                **_difference(scores.difference(case.name, self.system, self.reference.name, self.system, metric)),
                "is_paired": self._is_same_test(case),
            }
        return {
            **self._about(case),
            **row,
            "by_seed": [round(value, 6) for value in mine.values()],
            "chance": self._chance(case, metric),
            "majority": round(float(np.mean(list(by_majority.values()))), 6) if by_majority else None,
            "above_majority": beyond,
            "minus_reference": difference,
        }

    def _about(self, case: LadderCase) -> dict[str, Any]:
        places = self.scores.places(case.name)
        present = [label for label in self.target.answers if self.scores.support(places, label)[0]]
        return {
            "case": case.name,
            "title": case.title or case.name,
            "support": {label: self.scores.support(places, label)[0] for label in present},
            "clips_by_seed": [len(self.scores.sets[place].items) for place in places],
            "groups_by_seed": [self.scores.sets[place].num_groups for place in places],
            "is_same_test": self._is_same_test(case),
        }

    def _metrics(self, case: LadderCase, system: str) -> list[str]:
        if system == MAJORITY and not self._has_majority(case):
            return []
        return [name for name in self.scores.metrics(case.name, system) if not name.startswith(RECALL)]

    def _has_majority(self, case: LadderCase) -> bool:
        return all((table["system"] == MAJORITY).any() for table in case.tables.values())

    def _is_same_test(self, case: LadderCase) -> bool:
        """Whether every seed was tested on the clips of the reference's same seed."""
        sets = [{place[1]: self.scores.sets[place] for place in self.scores.places(name)}
                for name in (case.name, self.reference.name)]  # fmt: skip
        return sets[0] == sets[1]

    def _chance(self, case: LadderCase, metric: str) -> float | None:
        """What an answer that knows nothing of the clip reaches; None where that depends on the answers."""
        if metric == "auc" or (metric == "balanced_accuracy" and self.target.kind != "class"):
            return 0.5
        if metric in ("spearman", "kappa"):
            return 0.0
        if metric == "balanced_accuracy":
            places = self.scores.places(case.name)
            counts = [len(np.unique(self.scores.truth(place, self.system)[0])) for place in places]
            return round(float(np.mean([1 / count for count in counts])), 6)
        return None


def _difference(score: Score) -> dict[str, Any]:
    numbers = numbers_of(score)
    return {**numbers, "is_certain": numbers["low"] > 0 or numbers["high"] < 0}
