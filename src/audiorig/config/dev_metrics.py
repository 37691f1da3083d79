"""What an evaluation on dev gives while an encoder is tuned, by name, and whether more of it is better.

So a misspelt metric, or the wrong end of one, is told before anything is trained: best by the
highest loss would be the worst model, and nobody would see it in the log.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from audiorig.config.eda import MEASURES, Measure
from audiorig.config.targets import LossConfig, TargetConfig, term_names
from audiorig.config.train import SelectionConfig

Mode = Literal["min", "max"]


def dev_metrics(targets: Mapping[str, TargetConfig], losses: Sequence[LossConfig]) -> dict[str, Mode]:
    """Which way is better, by name; besides these there is ``recall_{target}_{answer}``.

    Args:
        targets: that are learnt, by name.
        losses: each with the names of its targets.
    """
    found: dict[str, Mode] = dict.fromkeys(("total", *term_names(losses)), "min")
    stepped = {name for loss in losses if loss.name == "coral" for name in loss.targets}
    for name, target in targets.items():
        if target.kind != "rating":
            found |= {"uar": "max", f"uar_{name}": "max", f"accuracy_{name}": "max"}
        elif name in stepped:  # one that is only ranked has no scale before the end
            found |= {f"mae_{name}": "min", f"accuracy_{name}": "max"}
    return found


def check_selection(
    selection: SelectionConfig, targets: Mapping[str, TargetConfig], losses: Sequence[LossConfig]
) -> None:
    """Raise ValueError if dev gives no such metric, or the better end of it is the other one."""
    known, metric = dev_metrics(targets, losses), selection.metric
    is_recall = any(metric.startswith(f"recall_{name}_") for name in targets)
    _check_mode(selection, {**known, metric: "max"} if is_recall else known)


def check_trace_selection(selection: SelectionConfig, loss: str, measures: Sequence[Measure]) -> None:
    """The same of predicted traces: dev gives the loss, as ``total`` too, and the measures of ``monitor.dev``."""
    of_loss: dict[str, Mode] = dict.fromkeys(("total", loss), "min")
    _check_mode(selection, of_loss | {name: MEASURES[name] for name in measures})


def _check_mode(selection: SelectionConfig, known: Mapping[str, Mode]) -> None:
    metric, mode = selection.metric, known.get(selection.metric)
    if mode is None:
        raise ValueError(f"train.selection.metric: dev gives no {metric!r}; take one of {', '.join(known)}")
    if mode != selection.mode:
        raise ValueError(
            f"train.selection: mode is {selection.mode}, and of {metric} {'more' if mode == 'max' else 'less'} is "
            f"better: set mode: {mode}"
        )
