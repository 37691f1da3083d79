"""Pictures that stand inside the page: drawn without pyplot, so without global state."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from audiorig.evaluate.baselines import LOG_MEL
from audiorig.evaluate.embed import ALL_BLOCKS
from audiorig.evaluate.reconstruction import INTERPOLATION, VISIBLE_MEAN
from audiorig.evaluate.systems import MAJORITY, RANDOM, SHUFFLED
from audiorig.report.scores import CONTROLS, Estimate, Scores
from audiorig.report.tables import PART_TITLES, loss_parts, system_title, task_title

# Okabe and Ito's colours: told apart by colour-blind readers, and on grey paper by their marks.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676"
STYLE: dict[Any, Any] = {  # keys are literals to type checkers
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "audiorig",
    "svg.fonttype": "path",
}
MOST_POINTS = 400


@dataclass(frozen=True)
class Picture:
    """An image for ``<img>``: its bytes as a data URI, and what it shows in words."""

    uri: str
    alt: str
    caption: str = ""


def loss_curves(history: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> Picture | None:
    """Each part of the loss, unweighted, on train and dev, and the learning rate, by step.

    Args:
        weights: weight of each part in the loss, for the titles.
    """
    parts = loss_parts(history)
    if not parts:
        return None
    columns = len(parts) + 1 if len(parts) < 4 else 4
    rows = math.ceil((len(parts) + 1) / columns)
    averaged = ""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.3 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, part in zip(grid, parts, strict=False):
            steps, values, block = _thinned(*_series(history, part))
            axis.plot(steps, values, color=BLUE, linewidth=1, alpha=0.8, label="training batches")
            axis.plot(*_series(history, f"eval_{part}"), "o-", color=ORANGE, markersize=3.5, linewidth=1.2, label="dev")
            axis.set_title(_part_title(part, weights))
            averaged = f" The training line is averaged over {block} steps." if block > 1 else averaged
        grid[len(parts)].plot(*_series(history, "learning_rate"), color=GREY, linewidth=1.2)
        grid[len(parts)].set_title("learning rate")
        grid[len(parts)].yaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
        for axis in grid[: len(parts) + 1]:
            _by_step(axis)
        for axis in grid[len(parts) + 1 :]:
            axis.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        alt = f"Loss by step on training batches and on dev: {', '.join(parts)}."
        return _vector(figure, alt, f"Every part as it is, before its weight.{averaged}")


def _part_title(part: str, weights: Mapping[str, float]) -> str:
    weight = f", weight {weights[part]:g}" if part in weights and part not in ("shape", "level") else ""
    return f"{PART_TITLES.get(part, part)}{weight}"


def watch_curves(history: Sequence[Mapping[str, Any]]) -> Picture | None:
    """What was watched while training: a linear probe with its interval, and whether latents collapse."""
    titles = {
        "eval_linear_probe_accuracy": "linear probe on dev, accuracy",
        "eval_latent_rank": "effective rank of the last layer",
        "eval_latent_cosine": "mean cosine of two clips",
    }
    found = {key: title for key, title in titles.items() if _series(history, key)[0]}
    caption = "Band: 95 % interval. Dashed: the commonest label, always guessed." * (
        "eval_linear_probe_accuracy" in found
    )
    if not found:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.5), layout="constrained")
        axes = figure.subplots(1, 3)
        for axis, (key, title) in zip(axes, found.items(), strict=False):
            steps, values = _series(history, key)
            axis.plot(steps, values, "o-", color=BLUE, markersize=3.5, linewidth=1.2)
            (low_steps, low), (high_steps, high) = (_series(history, f"{key}_{edge}") for edge in ("low", "high"))
            if low_steps == high_steps == steps:
                axis.fill_between(steps, low, high, color=BLUE, alpha=0.18, linewidth=0)
            if key.endswith("accuracy"):
                axis.plot(*_series(history, "eval_linear_probe_majority"), color="#333333", linestyle=(0, (4, 3)))
            axis.set_title(title)
            _by_step(axis)
        for axis in axes[len(found) :]:
            axis.set_visible(False)
        return _vector(figure, f"By step: {', '.join(found.values())}.", caption)


def _by_step(axis: Axes) -> None:
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _series(history: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    found = [(entry["step"], entry[key]) for entry in history if "step" in entry and entry.get(key) is not None]
    return [step for step, _ in found], [value for _, value in found]


def _thinned(steps: list[float], values: list[float]) -> tuple[Any, Any, int]:
    """Means of so many neighbours that at most ``MOST_POINTS`` are left."""
    block = max(1, math.ceil(len(steps) / MOST_POINTS))
    edges = range(0, len(steps), block)
    means = [[float(np.mean(each[edge : edge + block])) for edge in edges] for each in (steps, values)]
    return means[0], means[1], block


@dataclass(frozen=True)
class Dot:
    """One row of a dot-and-interval panel."""

    label: str
    estimate: Estimate
    color: str = GREY
    is_filled: bool = True


@dataclass(frozen=True)
class Panel:
    """Dots that share an axis, and the value that guessing reaches."""

    title: str
    dots: Sequence[Dot]
    chance: float | None = None


def dot_panels(panels: Sequence[Panel], alt: str, caption: str = "") -> Picture | None:
    """Horizontal dots with their intervals, one panel beside the other, rows shared by label."""
    panels = [panel for panel in panels if panel.dots]
    if not panels:
        return None
    labels = list(dict.fromkeys(dot.label for panel in panels for dot in panel.dots))
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, rows * (0.9 + 0.24 * len(labels))), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axis in grid.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(grid.flat, panels, strict=False):
            for dot in panel.dots:
                height = labels.index(dot.label)
                each = dot.estimate
                axis.hlines(height, each.low, each.high, color=dot.color, linewidth=1.8)
                axis.plot(
                    each.value, height, "o", color=dot.color, markerfacecolor=dot.color if dot.is_filled else "white"
                )
            if panel.chance is not None:
                axis.axvline(panel.chance, color="#333333", linewidth=1, linestyle=(0, (4, 3)), zorder=0.5)
            axis.set(title=panel.title, xlim=(-0.03, 1.03), xlabel="accuracy")
            axis.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
            axis.set_yticks(range(len(labels)), labels)
            axis.set_ylim(len(labels) - 0.5, -0.5)
        return _vector(figure, alt, caption)


def probe_dots(scores: Scores, system: str) -> Picture | None:
    """The encoder above its controls, task by task."""
    panels = []
    for task in scores.tasks:
        found = {name: estimate for name in (system, *CONTROLS) if (estimate := scores.get(task, name))}
        dots = [
            Dot(system_title(name), estimate, BLUE if name == system else GREY, name not in (SHUFFLED, MAJORITY))
            for name, estimate in found.items()
        ]
        panels.append(Panel(task_title(task), dots, found[MAJORITY].value if MAJORITY in found else None))
    alt = "Test accuracy with 95 % intervals of the encoder and its controls, by task; the tables hold the numbers."
    caption = "Blue: the trained encoder. Dashed: the commonest label of the training rows, always guessed."
    return dot_panels(panels, alt, caption)


def layer_curves(scores: Scores, system: str) -> Picture | None:
    """Test accuracy of each layer, its dev accuracy beside it, two controls as lines."""
    layers = {task: found for task in scores.tasks if (found := scores.layers(task, system))}
    if not layers:
        return None
    columns = min(3, len(layers))
    rows = math.ceil(len(layers) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.7 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axis in grid.flat[len(layers) :]:
            axis.set_visible(False)
        for axis, (task, found) in zip(grid.flat, layers.items(), strict=False):
            _draw_layers(axis, found)
            for control, color, line in ((LOG_MEL, GREEN, "--"), (RANDOM, PURPLE, ":")):
                if (estimate := scores.get(task, control)) is not None:
                    axis.axhline(
                        estimate.value, color=color, linestyle=line, linewidth=1.4, label=system_title(control)
                    )
            axis.set(title=task_title(task), xlabel="layer")
        grid[0, 0].set_ylabel("accuracy")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        return _vector(figure, "Accuracy of a probe on each layer of the encoder, by task, on test and on dev.")


def _draw_layers(axis: Axes, found: Mapping[str, Estimate]) -> None:
    names = list(found)
    blocks = [index for index, name in enumerate(names) if name.startswith("block-")]
    test = [estimate.value for estimate in found.values()]
    reach = np.abs(np.array([[each.value - each.low, each.high - each.value] for each in found.values()]).T)
    dev = [np.nan if each.dev_accuracy is None else each.dev_accuracy for each in found.values()]
    axis.plot(blocks, [test[index] for index in blocks], color=BLUE, linewidth=1.2)
    axis.errorbar(range(len(names)), test, reach, fmt="o", color=BLUE, markersize=4.5, linewidth=1.2, label="test")
    axis.plot(np.arange(len(names)) + 0.2, dev, "D", color=ORANGE, markersize=4, markerfacecolor="white", label="dev")
    axis.set_xticks(range(len(names)), [{ALL_BLOCKS: "all\nblocks"}.get(n, n.removeprefix("block-")) for n in names])


def distance_curves(scores: Scores, system: str) -> Picture | None:
    """R2 of hidden frames by distance: the model with its interval, and the two anchors."""
    model = scores.by_distance(system)
    if not model:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.1), layout="constrained")
        axis = figure.subplots()
        positions = range(len(model))
        axis.axhline(0, color="#333333", linewidth=0.8)
        low, high = [each.low for each in model.values()], [each.high for each in model.values()]
        axis.fill_between(positions, low, high, color=BLUE, alpha=0.18, linewidth=0)
        lines = ((system, BLUE, "o-"), (INTERPOLATION, ORANGE, "s--"), (VISIBLE_MEAN, GREEN, "^:"))
        for name, color, mark in lines:
            found = scores.by_distance(name)
            places = [index for index, distance in enumerate(model) if distance in found]
            values = [found[distance].value for distance in model if distance in found]
            axis.plot(places, values, mark, color=color, linewidth=1.5, markersize=5, label=name)
        axis.set_xticks(positions, list(model))
        axis.set(xlabel="frames to the nearest visible one", ylabel="R² of hidden frames")
        axis.legend(loc="best")
        alt = f"R2 of hidden frames by distance to the nearest visible frame: {system} and two anchors."
        return _vector(figure, alt, "Band: 95 % interval of the model. 0: the training mean of each frequency.")


def _vector(figure: Figure, alt: str, caption: str = "") -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(data_uri(buffer.getvalue(), "image/svg+xml"), alt, caption)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a URI that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
