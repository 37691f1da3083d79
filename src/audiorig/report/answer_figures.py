"""Answers as pictures: headline scores beside the controls, confusions, ratings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.config import TuningRun
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import PERMUTED
from audiorig.evaluate.systems import MAJORITY
from audiorig.report.answers import LUCK, chance, constant, headline, systems
from audiorig.report.figures import BLUE, DASHED, GREY, STYLE, Dot, Panel, Picture, draw_dot, vector
from audiorig.report.scores import Estimate, Scores
from audiorig.report.wording import task_title

WIDE = 9.6  # inches of a picture as wide as the page
NARROW = 6.6
ALONE = 5.6  # a single panel, of style "medium"
SMALL = 4.4
MOST_SMALL = 7  # classes whose names fit on the sides of a small picture


@dataclass(frozen=True)
class Sized:
    """A picture, and the class of the page's style that says how wide it is: all of it if empty."""

    picture: Picture
    kind: str = ""


def headline_dots(scores: Scores, run: TuningRun, system: str) -> Sized | None:
    """The model above its controls, target by target."""
    panels = []
    for name, target in run.used_targets.items():
        metric, about = headline(target.kind)
        dots = [
            Dot(
                who,
                constant(estimate) if who == MAJORITY else estimate,
                BLUE if who == system else GREY,
                who not in LUCK,
            )
            for who in systems(scores, name, system)
            if (estimate := scores.get(name, who, metric)) is not None
        ]
        panels.append(Panel(task_title(name), dots, chance(target, scores, name, system), about.title))
    has_shuffles = any(dot.label == PERMUTED for panel in panels for dot in panel.dots)
    return score_panels(
        panels,
        "Headline scores on test of the model and its controls, by target.",
        "Blue: the tuned model. Dashed: what luck reaches. Lines: 95 % intervals"
        + ("; of permuted labels, where 95 % of the shuffles lie." if has_shuffles else "."),
    )


def score_panels(panels: Sequence[Panel], alt: str, caption: str, most_columns: int = 3) -> Sized | None:
    """Dots with their intervals, each panel on an axis of its own; rows are shared, unfilled ones go last."""
    panels = [panel for panel in panels if panel.dots]
    if not panels:
        return None
    dots = [dot for panel in panels for dot in panel.dots]
    labels = list(dict.fromkeys([dot.label for dot in dots if dot.is_filled] + [dot.label for dot in dots]))
    columns = min(most_columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        width = WIDE if columns > 1 else ALONE
        figure = Figure(figsize=(width, rows * (0.95 + 0.23 * len(labels))), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axis in grid.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(grid.flat, panels, strict=False):
            for dot in panel.dots:
                draw_dot(axis, labels.index(dot.label), dot.estimate, dot.color, dot.is_filled)
            if panel.chance is not None:
                axis.axvline(panel.chance, linewidth=1, zorder=0.5, **DASHED)
            axis.set(title=panel.title, xlabel=panel.unit)
            span_of_scores(axis, [dot.estimate for dot in panel.dots])
            axis.set_yticks(range(len(labels)), labels)
            axis.set_ylim(len(labels) - 0.5, -0.5)
        return Sized(vector(figure, alt, caption), "" if columns > 1 else "medium")


def span_of_scores(axis: Axes, shown: Sequence[Estimate]) -> None:
    """An axis from 0 to 1; of correlations further down, where one goes there."""
    lowest = min([0.0, *(each.low for each in shown)])
    axis.set_xlim(lowest - 0.03, 1.03)
    ticks = (*((-0.5,) if lowest < -0.4 else ()), 0, 0.25, 0.5, 0.75, 1)
    names = {-0.5: "−.5", 0: "0", 0.25: ".25", 0.5: ".5", 0.75: ".75", 1: "1"}
    axis.set_xticks(ticks, [names[tick] for tick in ticks])


def answer_pictures(predictions: pd.DataFrame, targets: Sequence[Target], num_seeds: int = 1) -> dict[str, Sized]:
    """What a target's answers look like: of a class its confusions, of a rating answered against true.

    Args:
        predictions: rows of one system on test, those of all seeds.
        num_seeds: how many they are of.
    """
    seeds = f" All {num_seeds} seeds together." if num_seeds > 1 else ""
    found = {}
    for target in targets:
        rows = predictions[(predictions["target"] == target.name) & predictions["true"].notna()]
        if len(rows) and target.kind == "class":
            found[target.name] = confusion(rows, target, seeds)
        elif len(rows) and target.kind == "rating":
            found[target.name] = ratings(rows, target, seeds)
    return found


def counted(rows: pd.DataFrame, num_classes: int) -> np.ndarray:
    """Clips (C, C) of each true class by the class that was answered."""
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (rows["true"].to_numpy(np.int64), rows["predicted"].to_numpy(np.int64)), 1)
    return counts


def confusion(rows: pd.DataFrame, target: Target, note: str = "") -> Sized:
    """Which class is taken for which: counts, shaded by the share of the true class."""
    counts = counted(rows, len(target.classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    titles = [task_title(each) for each in target.classes]
    is_small = len(titles) <= MOST_SMALL
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        width = SMALL if is_small else NARROW
        cell = 0.42 if is_small else (NARROW - 1.6) / len(titles)
        figure = Figure(figsize=(width, cell * len(titles) + 1.1), layout="constrained")
        axis = figure.subplots()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.6 else "#222222"
            size = 8.5 if cell > 0.3 else 6
            axis.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=size)
        axis.set_xticks(range(len(titles)), titles, rotation=30, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(titles)), titles)
        axis.set(xlabel="answered", ylabel="true")
        for side in axis.spines.values():
            side.set_visible(False)
        axis.tick_params(length=0)
        picture = vector(
            figure,
            f"Confusion matrix of {task_title(target.name)} on test: true class by answered class.",
            "Test clips by their true class (rows) and by the answer (columns). Dark: a large share of the true class."
            + note,
        )
    return Sized(picture, "small" if is_small else "narrow")


def ratings(rows: pd.DataFrame, target: Target, note: str = "") -> Sized:
    """Answered against true ratings: every clip, and the middle half of each true step."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(SMALL, 3.2), layout="constrained")
        _draw_ratings(figure.subplots(), rows, target.steps)
        picture = vector(
            figure,
            f"Answered against true ratings of {task_title(target.name)} on test.",
            "Grey: clips, spread sideways to be seen. Blue: median and middle half of each true step. Dashed: no error."
            + note,
        )
    return Sized(picture, "small")


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
        axis.plot(scale[step], middle, "o", color=BLUE, markersize=5)
    axis.set(xlabel="true", ylabel="answered", ylim=(scale[0] - 0.3 * gap, scale[-1] + 0.3 * gap))
    axis.set_xticks(scale, [f"{step:g}" for step in scale])
    axis.set_yticks(scale, [f"{step:g}" for step in scale])
