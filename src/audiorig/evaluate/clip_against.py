"""A tuned model minus another one, on the same test clips and the same draws: rows of against.json."""

import logging
from typing import Any

import pandas as pd

from audiorig.evaluate.answers_table import targets_of, tuned_system
from audiorig.evaluate.clip_scores import RECALL
from audiorig.evaluate.clip_seeds import TargetSeeds

OURS, THEIRS = "ours", "theirs"

log = logging.getLogger(__name__)


def answer_differences(
    ours: pd.DataFrame, theirs: pd.DataFrame, name: str, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Differences of every metric of the targets that both were asked; what cannot be compared is told in the log.

    Args:
        ours, theirs: predictions.
        name: the other run.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: if a table is not that of one tuned model.
    """
    systems = {OURS: tuned_system(ours, "ours"), THEIRS: tuned_system(theirs, name)}
    answers = {target.name: target.answers for target in targets_of(theirs)}
    rows: list[dict[str, Any]] = []
    for target in targets_of(ours):
        if answers.get(target.name) != target.answers:
            log.warning("%s: %s was not asked it, or has other answers to choose from", target.name, name)
            continue
        scores = TargetSeeds(target, {OURS: {0: ours}, THEIRS: {0: theirs}}, draws, seed)
        if scores.sets.get((OURS, 0)) is None or scores.sets.get((OURS, 0)) != scores.sets.get((THEIRS, 0)):
            log.warning("%s: %s was not tested on the same clips and groups, so nothing is compared", target.name, name)
            continue
        theirs_has = scores.metrics(THEIRS, systems[THEIRS])
        for metric in scores.metrics(OURS, systems[OURS]):
            if metric.startswith(RECALL) or metric not in theirs_has:
                continue
            row = scores.row(
                OURS,
                f"{systems[OURS]} minus {name}",
                metric,
                scores.difference(OURS, systems[OURS], THEIRS, systems[THEIRS], metric),
            )
            kept = ("task", "metric", "value", "low", "high", "n", "num_groups", "interval_over")
            rows.append({"with": name, **{key: row[key] for key in kept}})
    return rows
