"""Answers to clips and their table, predictions.parquet: one row for each system, side, clip and target.

The table says itself what its numbers mean: the targets lie in ``attrs``, which parquet keeps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.data.manifest import read_table
from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.systems import MAJORITY
from audiorig.models.answers import Answer

COLUMNS = ["system", "side", "item", "group", "target", "kind", "true", "predicted", "probabilities"]
LOG_MEL = "log-mel"
PERMUTED = "permuted labels"
UNTUNED = "untuned encoder"
CONTROLS = (MAJORITY, LOG_MEL, UNTUNED, PERMUTED)
TARGETS = "targets"


def of_clips(answer: Answer, clips: NDArray[np.int64]) -> Answer:
    """What some of the clips get."""
    return Answer(answer.predicted[clips], answer.probabilities[clips])


@dataclass(frozen=True)
class Side:
    """The clips of a side: names, groups, and the true values (n, K) of the targets, NaN where missing."""

    name: str
    items: Sequence[str]
    groups: Sequence[str]
    values: Floats

    def observed(self, target: int) -> NDArray[np.int64]:
        """Clips that have a value of a target."""
        return np.flatnonzero(~np.isnan(self.values[:, target]))


def answer_rows(system: str, side: Side, target: Target, number: int, answer: Answer) -> pd.DataFrame:
    """Rows of the table.

    Args:
        number: of the target among the values.
    """
    return pd.DataFrame(
        {
            "system": system,
            "side": side.name,
            "item": list(side.items),
            "group": list(side.groups),
            "target": target.name,
            "kind": target.kind,
            "true": side.values[:, number],
            "predicted": answer.predicted,
            "probabilities": list(answer.probabilities),
        },
        columns=COLUMNS,
    )


def answer_table(parts: Iterable[pd.DataFrame], targets: Iterable[Target]) -> pd.DataFrame:
    """All rows, with the targets in ``attrs``."""
    table = pd.concat(list(parts), ignore_index=True)
    table.attrs = {TARGETS: [target.to_dict() for target in targets]}
    return table


def read_answers(path: Path) -> pd.DataFrame:
    """A predictions.parquet.

    Raises:
        DataError: if it is none.
    """
    table = read_table(path)
    if missing := [name for name in COLUMNS if name not in table]:
        raise DataError(f"{path}: no column {missing[0]!r}: expected the predictions of a scored run")
    if TARGETS not in table.attrs:
        raise DataError(f"{path}: it does not say what its targets are: let the rule score write it anew")
    return table


def targets_of(table: pd.DataFrame) -> tuple[Target, ...]:
    """The targets that a table is about."""
    return tuple(Target.from_dict(plain) for plain in table.attrs[TARGETS])


def tuned_system(table: pd.DataFrame, where: str = "predictions") -> str:
    """The name of the tuned model among the systems.

    Raises:
        DataError: if there is not exactly one that is no control.
    """
    found = [name for name in pd.unique(table["system"]) if name not in CONTROLS]
    if len(found) != 1:
        raise DataError(
            f"{where}: expected one system beside {', '.join(CONTROLS)} (found {', '.join(found) or 'none'})"
        )
    return str(found[0])


def tested(table: pd.DataFrame, system: str, target: Target) -> tuple[pd.DataFrame, Answer]:
    """The test clips that have a value of a target, in the order of their names, and a system's answers."""
    chosen = (table["system"] == system) & (table["side"] == "test") & (table["target"] == target.name)
    rows = table[chosen & table["true"].notna()].sort_values("item", kind="stable", ignore_index=True)
    probabilities = np.stack(rows["probabilities"].to_list()) if len(rows) else np.zeros((0, 1))
    return rows, Answer(rows["predicted"].to_numpy(np.float64), probabilities.astype(np.float64))
