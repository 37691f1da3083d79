"""What was logged by step, ready to be drawn."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

MOST_POINTS = 400


def by_step(axis: Axes) -> None:
    """Mark an axis as that of steps."""
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def series(history: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of what was logged under a name."""
    found = [(entry["step"], entry[key]) for entry in history if "step" in entry and entry.get(key) is not None]
    return [step for step, _ in found], [value for _, value in found]


def thinned(steps: list[float], values: list[float]) -> tuple[Any, Any, int]:
    """Means of so many neighbours that at most ``MOST_POINTS`` are left."""
    block = max(1, math.ceil(len(steps) / MOST_POINTS))
    edges = range(0, len(steps), block)
    means = [[float(np.mean(each[edge : edge + block])) for edge in edges] for each in (steps, values)]
    return means[0], means[1], block
