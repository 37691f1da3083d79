"""Which evaluation is the best, and when there is no hope: known answers from planted logs."""

import math

import pytest

from audiorig.config import SelectionConfig, TrainConfig
from audiorig.errors import ConfigError
from audiorig.train.selection import Verdict, is_hopeless, judge, outcome, require_metric


def log_of(values: list[float | None], name: str = "eval_total") -> list[dict]:
    """Two steps between evaluations; training entries and a probe's stand between them."""
    history: list[dict] = []
    for index, value in enumerate(values, 1):
        history += [{"step": 2 * index - 1, "total": 0.0}, {"step": 2 * index, "total": -1.0}]
        history += [{"step": 2 * index, "eval_linear_probe_accuracy": 9.0}, {"step": 2 * index, name: value}]
    return history


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        ([], {}, Verdict(None, None, 0)),
        ([3.0, 2.0, 2.5], {}, Verdict(4, 2.0, 1)),
        ([3.0, 2.0, 2.0], {}, Verdict(4, 2.0, 1)),  # as good is no gain: the first of equals
        ([0.2, 0.4, 0.3], {"mode": "max"}, Verdict(4, 0.4, 1)),
        ([1.0, 0.75], {"delta": 0.25}, Verdict(2, 1.0, 1)),  # exactly delta is not more than delta
        ([1.0, 0.7], {"delta": 0.25}, Verdict(4, 0.7, 0)),
        ([-1.0, -0.7], {"delta": 0.25, "mode": "max"}, Verdict(4, -0.7, 0)),
        ([math.nan, None, 5.0, math.nan], {}, Verdict(6, 5.0, 1)),
        ([math.nan, math.inf], {}, Verdict(None, None, 2)),
        ([math.inf, -math.inf, 1.0], {"mode": "max"}, Verdict(6, 1.0, 0)),
    ],
)
def test_the_best_evaluation(values: list, settings: dict, expected: Verdict) -> None:
    assert judge(log_of(values), SelectionConfig(**settings)) == expected


def test_another_metric_by_its_name() -> None:
    history = log_of([1.0, 2.0], "eval_uar_reason")
    assert judge(history, SelectionConfig(metric="uar_reason", mode="max")).best_step == 4
    assert judge(history, SelectionConfig()).best_step is None


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [1, 3, 5])
def test_steady_gains_below_delta_stop_after_patience_evaluations(mode: str, patience: int) -> None:
    """0.01 at each, and delta 0.05: 0.06 is gained at the seventh, if patience lasts that long."""
    sign = -1 if mode == "min" else 1
    values = [sign * 0.01 * index for index in range(20)]
    selection = SelectionConfig(mode=mode, patience=patience, delta=0.055)
    is_over = [is_hopeless(log_of(values[:count]), selection) for count in range(1, 21)]
    assert is_over.index(True) == patience  # after the first evaluation, so many more
    larger = SelectionConfig(mode=mode, patience=6, delta=0.055)
    assert not any(is_hopeless(log_of(values[:count]), larger) for count in range(1, 21))


def test_without_patience_nothing_is_hopeless() -> None:
    assert not is_hopeless(log_of([1.0] * 50), SelectionConfig())


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    metrics = {"eval_total": 1.0, "eval_uar_reason": 0.5}
    require_metric(metrics, SelectionConfig(metric="uar_reason"))
    with pytest.raises(ConfigError, match=r"gives no 'uar'; take one of total, uar_reason$"):
        require_metric(metrics, SelectionConfig(metric="uar"))


def test_the_outcome_says_whose_weights_are_the_result() -> None:
    history = log_of([3.0, 2.0, 2.5, 2.5])
    assert outcome(history, TrainConfig(max_steps=8)) == {}
    best = {"best_step": 4, "best_value": 2.0}
    stopped = TrainConfig(max_steps=100, selection=SelectionConfig(patience=2))
    assert outcome(history, stopped) == {"step": 8, **best, "weights_step": 8, "stopped_early_at": 8}
    kept = TrainConfig(max_steps=8, selection=SelectionConfig(keep_best=True))
    assert outcome(history, kept) == {"step": 8, **best, "weights_step": 4}
    nothing = outcome(log_of([math.nan]), TrainConfig(max_steps=2, selection=SelectionConfig(keep_best=True)))
    assert nothing == {"step": 2, "best_step": None, "best_value": None, "weights_step": 2}
