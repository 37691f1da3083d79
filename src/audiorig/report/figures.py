"""Pictures that stand inside the page: drawn without pyplot, so without global state."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.report.scores import MAIN_CONTROLS, Estimate

# Okabe and Ito's colours: told apart by colour-blind readers, and on grey paper by their marks.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676"
DARK = "#222222"  # what an encoder was before its training
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
CONTROL_COLORS = dict(zip(MAIN_CONTROLS, (GREEN, PURPLE), strict=True))
DASHED: dict[str, Any] = {"color": "#333333", "linestyle": (0, (4, 3))}


@dataclass(frozen=True)
class Picture:
    """An image for ``<img>``: its bytes as a data URI, and what it shows in words."""

    uri: str
    alt: str
    caption: str = ""


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
    unit: str = "accuracy"


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
                draw_dot(axis, labels.index(dot.label), dot.estimate, dot.color, dot.is_filled)
            if panel.chance is not None:
                axis.axvline(panel.chance, linewidth=1, zorder=0.5, **DASHED)
            axis.set(title=panel.title, xlim=(-0.03, 1.03), xlabel=panel.unit)
            axis.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
            axis.set_yticks(range(len(labels)), labels)
            axis.set_ylim(len(labels) - 0.5, -0.5)
        return vector(figure, alt, caption)


def draw_dot(axis: Axes, height: float, each: Estimate, color: str, is_filled: bool = True, scale: float = 1) -> None:
    """An interval as a line, its value as a dot on it; ``scale`` 100 makes points of shares."""
    axis.hlines(height, scale * each.low, scale * each.high, color=color, linewidth=1.8)
    axis.plot(scale * each.value, height, "o", color=color, markerfacecolor=color if is_filled else "white")


def vector(figure: Figure, alt: str, caption: str = "") -> Picture:
    """A picture whose bytes depend on the drawing alone."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(data_uri(buffer.getvalue(), "image/svg+xml"), alt, caption)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a URI that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
