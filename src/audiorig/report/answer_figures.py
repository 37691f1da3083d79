"""Answers as pictures: confusions, ratings, headline scores beside the controls."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.config import TuningRun
from audiorig.report.answers import chance, headline, systems
from audiorig.report.figures import BLUE, DASHED, GREY, STYLE, Dot, Panel, Picture, dot_panels, vector
from audiorig.report.scores import Scores
from audiorig.report.wording import task_title


def headline_dots(scores: Scores, run: TuningRun, system: str) -> Picture | None:
    """The model above its controls, target by target."""
    panels = []
    for name, target in run.used_targets.items():
        metric, about = headline(target.kind)
        dots = [
            Dot(who, estimate, BLUE if who == system else GREY, who not in ("majority", "permuted labels"))
            for who in systems(scores, name, system)
            if (estimate := scores.get(name, who, metric)) is not None
        ]
        panels.append(Panel(task_title(name), dots, chance(target, scores, name, system), about.title))
    return dot_panels(
        panels,
        "Headline scores on test with 95 % intervals of the model and its controls, by target.",
        "Blue: the tuned model. Dashed: what luck reaches.",
    )


def confusion(predictions: pd.DataFrame, name: str, classes: tuple[str, ...]) -> Picture | None:
    """Which class is taken for which, as shares of the true one, with counts.

    Args:
        predictions: rows of one system on test; of several seeds they add up.
    """
    rows = predictions[(predictions["target"] == name) & predictions["true"].notna()]
    if rows.empty:
        return None
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (rows["true"].to_numpy(np.int64), rows["predicted"].to_numpy(np.int64)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    titles = [task_title(each) for each in classes]
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        side = 1.6 + 0.62 * len(classes)
        figure = Figure(figsize=(side + 1, side), layout="constrained")
        axis = figure.subplots()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.6 else "#222222"
            axis.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=8.5)
        axis.set_xticks(range(len(classes)), titles, rotation=35, ha="right")
        axis.set_yticks(range(len(classes)), titles)
        axis.set(xlabel="answered", ylabel="true")
        return vector(
            figure,
            f"Confusion matrix of {task_title(name)} on test: true class by answered class.",
            "Clips of test; the shade is the share of the true class.",
        )


def ratings(predictions: pd.DataFrame, steps: dict[str, tuple[float, ...]]) -> Picture | None:
    """Predicted against true ratings: every clip, and the mean of each true step.

    Args:
        predictions: rows of one system on test.
        steps: target -> its scale.
    """
    found = {name: predictions[(predictions["target"] == name) & predictions["true"].notna()] for name in steps}
    found = {name: rows for name, rows in found.items() if len(rows)}
    if not found:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * len(found), 3.4), layout="constrained")
        for axis, (name, rows) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
            _draw_ratings(axis, rows, steps[name])
            axis.set_title(task_title(name))
        return vector(
            figure,
            f"Predicted against true ratings on test: {', '.join(map(task_title, found))}.",
            "Grey: clips, spread sideways to be seen. Blue: median and quartiles of each true step. Dashed: the truth.",
        )


def _draw_ratings(axis: Axes, rows: pd.DataFrame, steps: tuple[float, ...]) -> None:
    scale = np.asarray(steps)
    true = rows["true"].to_numpy(np.int64)
    predicted = np.interp(rows["predicted"].to_numpy(np.float64), np.arange(len(scale)), scale)
    gap = float(np.diff(scale).min())
    within = (np.arange(len(true)) * 0.618 % 1 - 0.5) * 0.5 * gap  # the golden ratio spreads without chance
    axis.plot(scale[true] + within, predicted, ".", color=GREY, markersize=3, alpha=0.5)
    axis.plot(scale, scale, linewidth=1, **DASHED)
    for step in np.unique(true):
        low, middle, high = np.quantile(predicted[true == step], [0.25, 0.5, 0.75])
        axis.vlines(scale[step], low, high, color=BLUE, linewidth=3)
        axis.plot(scale[step], middle, "o", color=BLUE)
    axis.set(xlabel="true", ylabel="predicted")
    axis.set_xticks(scale, [f"{step:g}" for step in scale])
