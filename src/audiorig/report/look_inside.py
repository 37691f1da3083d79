"""Behind the scores of a tuned model: where its pooling looked, how clips lie to each other, what tuning moved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.data.target import Target
from audiorig.report.figures import BLUE, GREY, ORANGE, STYLE, Picture, vector
from audiorig.report.wording import task_title

Arrays = Mapping[str, Any]
MOST_COLORS = 10
FEW_GROUPS = 12  # more cannot be told apart by colour


def load_inside(path: Path) -> dict[str, Any]:
    """The arrays of an examples.npz."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def attention_picture(inside: Arrays, targets: Sequence[Target]) -> Picture | None:
    """Test clips as they sound, and how much each moment weighs in the pooled vector."""
    numbers = [index for index in range(int(inside.get("num_examples", 0))) if f"attention_{index}" in inside]
    if not numbers:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.5 * len(numbers) + 0.4), layout="constrained")
        for axis, index in zip(figure.subplots(len(numbers), 1, squeeze=False)[:, 0], numbers, strict=True):
            _draw_attention(axis, inside, index)
            axis.set_title(_what_was_answered(inside, index, targets))
        axis.set_xlabel("seconds")
        return vector(
            figure,
            "Test clips with the weight that attention pooling gives to each moment.",
            ("Grey: the sound. " if any(name.startswith("envelope_") for name in inside) else "")
            + "Orange: weight of each frame in the pooled vector; 1 is as much as every other.",
        )


def _draw_attention(axis: Axes, inside: Arrays, index: int) -> None:
    seconds = float(inside[f"seconds_{index}"])
    weights = inside[f"attention_{index}"]
    if (outline := inside.get(f"envelope_{index}")) is not None:
        times = np.linspace(0, seconds, outline.shape[1])
        peak = max(float(np.abs(outline).max()), 1e-9)
        axis.fill_between(times, outline[0] / peak, outline[1] / peak, color=GREY, alpha=0.5, linewidth=0)
    axis.set(xlim=(0, seconds), yticks=[])
    beside = axis.twinx()
    beside.plot((np.arange(len(weights)) + 0.5) * seconds / len(weights), weights * len(weights), color=ORANGE)
    beside.set_ylim(bottom=0)
    beside.grid(False)


def _what_was_answered(inside: Arrays, index: int, targets: Sequence[Target]) -> str:
    told = []
    for number, target in enumerate(targets):
        true, answered = (float(inside[f"{name}_{index}"][number]) for name in ("true", "predicted"))
        told.append(f"{task_title(target.name)} {_in_words(target, true)}, answered {_in_words(target, answered)}")
    return "; ".join(told[:2])


def _in_words(target: Target, value: float) -> str:
    if np.isnan(value):
        return "not known"
    return target.answers[min(len(target.answers) - 1, int(value + 0.5))].replace("_", " ")


def map_picture(inside: Arrays, targets: Sequence[Target]) -> Picture | None:
    """Pooled vectors of test clips in the plane: coloured by the first target, and by group."""
    if "map" not in inside:
        return None
    laid, groups = inside["map"], inside["map_group"]
    true = inside["map_true"][:, 0]
    labels = [_in_words(targets[0], value) for value in true.tolist()]
    order = [_in_words(targets[0], float(value)) for value in np.unique(true[~np.isnan(true)])]
    if "not known" in labels:
        order.append("not known")
    names = np.unique(groups).tolist()
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.6, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_map(left, laid, labels, order)
        left.set_title(f"by {task_title(targets[0].name).lower()}")
        _draw_map(right, laid, groups.tolist(), names, with_names=len(names) <= FEW_GROUPS)
        right.set_title("by group" if len(names) <= FEW_GROUPS else f"by group, {len(names)} of them")
        return vector(
            figure,
            "Map of test clips by their pooled vectors, coloured by label and by group.",
            "t-SNE of the pooled vectors: neighbours are alike, distances across the map say little. Where clips "
            "gather by group and not by label, the model knows individuals better than what was asked.",
        )


def _draw_map(axis: Axes, laid: Any, labels: Sequence[str], order: Sequence[str], with_names: bool = True) -> None:
    colors = matplotlib.colormaps["tab10" if len(order) <= MOST_COLORS else "nipy_spectral"]
    for number, label in enumerate(order):
        chosen = np.array([each == label for each in labels])
        color = colors(number if len(order) <= MOST_COLORS else number / len(order))
        axis.plot(*laid[chosen].T, ".", color=color, markersize=5, alpha=0.8, label=label)
    axis.set(xticks=[], yticks=[])
    if with_names:
        axis.legend(fontsize=7, markerscale=1.4, loc="best")


def weight_change_picture(inside: Arrays) -> Picture | None:
    """How far tuning moved the weights of each part of the encoder, relative to their size."""
    if "change_part" not in inside or not len(inside["change_part"]):
        return None
    parts, relative = inside["change_part"].tolist(), np.nan_to_num(inside["change_relative"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 0.7 + 0.22 * len(parts)), layout="constrained")
        axis = figure.subplots()
        axis.barh(range(len(parts)), 100 * relative, color=BLUE, height=0.65)
        axis.set_yticks(range(len(parts)), parts)
        axis.set_ylim(len(parts) - 0.5, -0.5)
        axis.set_xlabel("change, per cent of the weights' norm")
        return vector(
            figure,
            f"Relative change of the encoder's weights by part: {', '.join(parts)}.",
            "Norm of the difference over the norm before; adapters are counted as the change that they make.",
        )
