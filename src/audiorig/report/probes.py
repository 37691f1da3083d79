"""What probes read from the encoder, beside its controls, task by task and layer by layer."""

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.evaluate.embed import ALL_BLOCKS
from audiorig.evaluate.systems import BEFORE, MAJORITY, SHUFFLED
from audiorig.report.figures import (
    BLUE,
    CONTROL_COLORS,
    DARK,
    GREY,
    ORANGE,
    STYLE,
    Dot,
    Panel,
    Picture,
    dot_panels,
    vector,
)
from audiorig.report.scores import CONTROLS, ON_LABELS, Estimate, Scores
from audiorig.report.tables import Table, what_was_pretrained, what_was_resampled
from audiorig.report.wording import points_with_interval, system_title, task_title, with_interval

MORE_METRICS = [metric for metric in ON_LABELS if metric != "accuracy"]


def probe_table(scores: Scores, task: str, system: str) -> Table:
    """The encoder and its controls: accuracy with the paired difference, then the other metrics."""
    systems = [name for name in (system, *CONTROLS) if scores.get(task, name)]
    metrics = [metric for metric in MORE_METRICS if any(scores.get(task, name, metric) for name in systems)]
    rows = tuple(
        (
            system_title(name),
            with_interval(scores.get(task, name)),
            points_with_interval(scores.difference(task, system, name)),
            *(with_interval(scores.get(task, name, metric)) for metric in metrics),
        )
        for name in systems
    )
    headers = ("system", "accuracy", "encoder minus system, points", *(ON_LABELS[metric].title for metric in metrics))
    return Table(
        headers,
        rows,
        f"{what_was_resampled(scores, task)}{what_was_pretrained(scores, task, system)}",
        numeric=frozenset(range(1, len(headers))),
        strong=frozenset({0} if systems[:1] == [system] else ()),
    )


def probe_dots(scores: Scores, system: str) -> Picture | None:
    """The encoder above its controls, task by task."""
    panels, colors = [], {system: BLUE, BEFORE: DARK}
    for task in scores.tasks:
        found = {name: estimate for name in (system, *CONTROLS) if (estimate := scores.get(task, name))}
        dots = [
            Dot(system_title(name), estimate, colors.get(name, GREY), name not in (SHUFFLED, MAJORITY))
            for name, estimate in found.items()
        ]
        panels.append(Panel(task_title(task), dots, found[MAJORITY].value if MAJORITY in found else None))
    alt = "Test accuracy with 95 % intervals of the encoder and its controls, by task; the tables hold the numbers."
    black = " Black: the same before its training." if any(scores.get(task, BEFORE) for task in scores.tasks) else ""
    caption = f"Blue: the trained encoder.{black} Dashed: the commonest label of the training rows, always guessed."
    return dot_panels(panels, alt, caption)


def layer_curves(scores: Scores, system: str) -> Picture | None:
    """Test accuracy of each layer, its dev accuracy beside it; the encoder before adaptation and controls as lines."""
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
            for (control, color), line in zip(CONTROL_COLORS.items(), ("--", ":"), strict=True):
                if (estimate := scores.get(task, control)) is not None:
                    axis.axhline(
                        estimate.value, color=color, linestyle=line, linewidth=1.4, label=system_title(control)
                    )
            if (before := scores.get(task, BEFORE)) is not None:
                axis.axhline(before.value, color=DARK, linewidth=1.2, label=BEFORE)
            axis.set(title=task_title(task), xlabel="layer")
        grid[0, 0].set_ylabel("accuracy")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        return vector(figure, "Accuracy of a probe on each layer of the encoder, by task, on test and on dev.")


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
