"""Which evaluation on dev is the best, and when to stop: functions of the log alone.

Nothing is counted on the way. The log is part of a checkpoint, so a resumed run judges as an
unbroken one, and whoever reads the log judges as the run did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiorig.config import SelectionConfig, TrainConfig
from audiorig.errors import ConfigError

History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What the evaluations so far come to.

    Attributes:
        best_step: step of the best one; None if there is none with a finite value.
        best_value: what dev gave there.
        num_without_gain: evaluations since then.
    """

    best_step: int | None = None
    best_value: float | None = None
    num_without_gain: int = 0


def is_gain(value: float, best: float | None, selection: SelectionConfig) -> bool:
    """Whether a value is better than the best one by more than ``delta``; NaN never is.

    The best one moves on gains alone. If every small step forward moved it (as in transformers'
    EarlyStoppingCallback), steady gains below ``delta`` would be measured against themselves.
    """
    if best is None:
        return math.isfinite(value)
    if selection.mode == "min":
        return value < best - selection.delta
    return value > best + selection.delta


def evaluations(history: History, selection: SelectionConfig) -> list[tuple[int, float]]:
    """Step and value of each evaluation that has the metric; NaN where it was not finite."""
    name = f"eval_{selection.metric}"
    return [
        (int(entry["step"]), math.nan if entry[name] is None else float(entry[name]))
        for entry in history
        if name in entry
    ]


def judge(history: History, selection: SelectionConfig) -> Verdict:
    """Look at all evaluations in their order."""
    verdict = Verdict()
    for step, value in evaluations(history, selection):
        if is_gain(value, verdict.best_value, selection):
            verdict = Verdict(step, value)
        else:
            verdict = Verdict(verdict.best_step, verdict.best_value, verdict.num_without_gain + 1)
    return verdict


def ranked(history: History, selection: SelectionConfig) -> list[tuple[int, float]]:
    """Step and value of the finite evaluations, best first, whatever a gain is; of equal ones the earlier first."""
    sign = 1.0 if selection.mode == "min" else -1.0
    found = [(step, value) for step, value in evaluations(history, selection) if math.isfinite(value)]
    return sorted(found, key=lambda each: (sign * each[1], each[0]))


def is_hopeless(history: History, selection: SelectionConfig) -> bool:
    """Whether ``patience`` evaluations in a row brought no gain: training ends there."""
    return 0 < selection.patience <= judge(history, selection).num_without_gain


def require_metric(metrics: Mapping[str, float], selection: SelectionConfig) -> None:
    """Check that an evaluation gives what it is to be judged by.

    Raises:
        ConfigError: if not; lists what there is.
    """
    if f"eval_{selection.metric}" not in metrics:
        known = sorted(name.removeprefix("eval_") for name in metrics if name.startswith("eval_"))
        raise ConfigError(
            f"train.selection.metric: an evaluation gives no {selection.metric!r}; take one of {', '.join(known)}"
        )


def outcome(history: History, settings: TrainConfig) -> dict[str, Any]:
    """What selection made of a finished run: the last entry of its log, none if it had no part in it.

    Returns:
        ``step``, the last one; ``best_step`` and ``best_value``, None without a finite value;
        ``weights_step``, the step whose weights are the result; and ``stopped_early_at``, the last
        step, if ``patience`` was used up before ``max_steps``.
    """
    selection = settings.selection
    if not (selection.keep_best or selection.patience):
        return {}
    last, verdict = max(int(entry["step"]) for entry in history), judge(history, selection)
    is_best = selection.keep_best and verdict.best_step is not None
    found: dict[str, Any] = {"step": last, "best_step": verdict.best_step, "best_value": verdict.best_value}
    found["weights_step"] = verdict.best_step if is_best else last
    if last < settings.max_steps:
        found["stopped_early_at"] = last
    return found
