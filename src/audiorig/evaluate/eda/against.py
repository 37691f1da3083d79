"""One run's predicted traces minus another's, on the same test traces and the same draws: rows of against.json."""

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from audiorig.config import Audio2EdaRun
from audiorig.evaluate.eda.scores import DIFFERENCES
from audiorig.evaluate.eda.seeds import TraceSeeds, tasks_of
from audiorig.evaluate.eda.table import NETWORK

FREE_OF_UNITS = ("pearson",)

log = logging.getLogger(__name__)


def run_differences(
    ours: Audio2EdaRun, theirs: Audio2EdaRun, our_items: pd.DataFrame, their_items: pd.DataFrame, name: str
) -> list[dict[str, Any]]:
    """Differences of two runs, as far as they predict the same; what cannot be compared is told in the log.

    Args:
        our_items, their_items: measures, trace by trace.
        name: the other run.
    """
    if ours.eda.target != theirs.eda.target:
        log.warning("%s predicts the %s trace, this run the %s one", name, theirs.eda.target, ours.eda.target)
        return []
    metrics: tuple[str, ...] = DIFFERENCES
    if (ours.eda.normalize, ours.frame_rate_hz) != (theirs.eda.normalize, theirs.frame_rate_hz):
        log.warning(
            "%s predicts traces scaled as %s at %g steps a second, this run as %s at %g: only r is compared",
            *(name, theirs.eda.normalize, theirs.frame_rate_hz, ours.eda.normalize, ours.frame_rate_hz),
        )
        metrics = FREE_OF_UNITS
    return trace_differences(our_items, their_items, name, metrics, ours.score.bootstrap, ours.score.seed)


def trace_differences(
    ours: pd.DataFrame, theirs: pd.DataFrame, name: str, metrics: Sequence[str], draws: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of against.json: one run's network minus another's, trace by trace paired.

    Args:
        name: the other run.
        metrics: those in which the two have one unit.
    """
    rows = []
    for task in tasks_of([{0: ours}]):
        pair = [table[(table["task"] == task) & (table["system"] == NETWORK)] for table in (ours, theirs)]
        if set(pair[0]["item"]) != set(pair[1]["item"]):
            log.warning("%s: %s was not tested on the same traces, so nothing is compared", task, name)
            continue
        scores = TraceSeeds(task, {"ours": {0: ours}, "theirs": {0: theirs}}, draws, seed)
        for metric in metrics:
            if (score := scores.difference("ours", NETWORK, "theirs", NETWORK, metric)) is not None:
                row = scores.row("ours", NETWORK, metric, score)
                kept = ("task", "metric", "value", "low", "high", "n", "num_groups", "interval_over")
                rows.append({"with": name, **{key: row[key] for key in kept}})
    return rows
