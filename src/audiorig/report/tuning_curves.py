"""How tuning went: training against dev loss, scores on dev, the learning rate, where it ended."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.report.curves import by_step, series, thinned
from audiorig.report.figures import BLUE, GREY, ORANGE, STYLE, Picture, vector
from audiorig.report.wording import task_title

TERMS = {"cross_entropy": "cross-entropy", "bce": "binary cross-entropy", "coral": "CORAL", "ranking": "ranking"}
ON_DEV = {"eval_uar_": "UAR on dev", "eval_mae_": "mean error on dev, steps"}


def tuning_curves(history: Sequence[Mapping[str, Any]], kept_step: int | None) -> Picture | None:
    """The whole loss and its terms on training batches and on dev, scores on dev, and the rate, by step.

    Args:
        kept_step: the step whose weights the run ended with; the last one if None.
    """
    logged = dict.fromkeys(key for entry in history for key in entry)
    terms = [term for term in TERMS if term in logged]
    if "total" not in logged:
        return None
    losses = {"total": "whole loss", **({term: TERMS[term] for term in terms} if len(terms) > 1 else {})}
    scores = {start: [key for key in logged if key.startswith(start)] for start in ON_DEV}
    return curves_of(history, losses, {start: keys for start, keys in scores.items() if keys}, kept_step)


def curves_of(
    history: Sequence[Mapping[str, Any]],
    losses: Mapping[str, str],
    scores: Mapping[str, Sequence[str]],
    kept_step: int | None,
) -> Picture | None:
    """A panel for each loss or measure, for each group of scores on dev, and for the rate.

    Args:
        losses: name in the log -> title; drawn on training batches where logged, and on dev.
        scores: a beginning of ``ON_DEV`` -> names in the log.
    """
    losses = {key: title for key, title in losses.items() if any(key in e or f"eval_{key}" in e for e in history)}
    if not losses:
        return None
    panels = len(losses) + len(scores) + 1
    columns = min(4, panels)
    rows = math.ceil(panels / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.4 * rows + 0.3), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for axis, (key, title) in zip(grid, losses.items(), strict=False):
            _draw_loss(axis, history, key, title)
        for axis, (start, keys) in zip(grid[len(losses) :], scores.items(), strict=False):
            _draw_scores(axis, history, start, keys)
        rate = grid[panels - 1]
        rate.plot(*series(history, "learning_rate"), color=GREY, linewidth=1.2)
        rate.set_title("learning rate")
        rate.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        for axis in grid[:panels]:
            by_step(axis)
            if kept_step is not None:
                axis.axvline(kept_step, color="#222222", linewidth=1, linestyle=":")
        for axis in grid[panels:]:
            axis.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        caption = f"Dotted: step {kept_step:,}, whose weights the run ended with." if kept_step is not None else ""
        return vector(figure, "Loss and scores by step on training batches and on dev.", caption)


def _draw_loss(axis: Axes, history: Sequence[Mapping[str, Any]], key: str, title: str) -> None:
    steps, values, _ = thinned(*series(history, key))
    if steps:
        axis.plot(steps, values, color=BLUE, linewidth=1, alpha=0.8, label="training batches")
    axis.plot(*series(history, f"eval_{key}"), "o-", color=ORANGE, markersize=3.5, linewidth=1.2, label="dev")
    axis.set_title(title)


def _draw_scores(axis: Axes, history: Sequence[Mapping[str, Any]], start: str, keys: Sequence[str]) -> None:
    for key in keys:
        axis.plot(*series(history, key), "o-", markersize=3, linewidth=1.2, label=task_title(key.removeprefix(start)))
    axis.set_title(ON_DEV[start])
    if len(keys) > 1:
        axis.legend(fontsize=7.5)
