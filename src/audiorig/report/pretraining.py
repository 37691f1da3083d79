"""The contrastive task of wav2vec 2.0 as it was logged: losses, codes, accuracy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.config import HomeWav2Vec2Run
from audiorig.report.curves import by_step, series, thinned
from audiorig.report.figures import BLUE, DASHED, ORANGE, STYLE, Picture, vector
from audiorig.report.inputs import RunInputs
from audiorig.report.tables import Table
from audiorig.report.wording import share

History = Sequence[Mapping[str, Any]]

TITLES = {
    "contrastive": "contrastive loss",
    "accuracy": "contrastive accuracy",
    "perplexity": "codebook perplexity",
    "diversity": "diversity loss",
    "feature_penalty": "feature penalty",
    "grad_norm": "norm of the gradient",
    "temperature": "Gumbel temperature",
    "learning_rate": "learning rate",
}
MEASURES = {
    "total": "whole loss",
    **{key: TITLES[key] for key in ("contrastive", "diversity", "feature_penalty", "accuracy", "perplexity")},
    "share_hidden": "share of frames hidden",
}
LAST_STEPS = 20  # one batch alone says little
DOTTED: dict[str, Any] = {"color": "#333333", "linestyle": ":"}
LEAST_GAIN = 2.0  # times chance, below which the page says that hardly anything was learnt
FINDING_THE_SCALE, MOST_OVERFLOWS = 16, 0.01  # steps lost to float16 that are as it should be; share of the others
MOST_RISE = 1.02  # of the dev loss above its lowest, beyond which the page says so


@dataclass(frozen=True)
class Bounds:
    """Values that say how good a logged one is.

    Attributes:
        chance_loss, chance_accuracy: of guessing the true frame among K others.
        most_perplexity: all codes used alike, summed over the codebooks; None if not known.
        collapsed: perplexity below which the guard stops the training.
    """

    chance_loss: float
    chance_accuracy: float
    most_perplexity: float | None
    collapsed: float | None


def bounds(inputs: RunInputs, run: HomeWav2Vec2Run) -> Bounds:
    """By the settings, and by the size of the codebooks in the training's record."""
    choices = 1 + run.model.num_negatives
    most = inputs.training.get("most_perplexity")
    collapsed = run.model.collapse.min_perplexity_share * float(most) if most else None
    return Bounds(math.log(choices), 1 / choices, float(most) if most else None, collapsed)


def pretraining_curves(history: History, known: Bounds) -> Picture | None:
    """A panel for each thing that was logged, on training batches and on dev."""
    shown = [key for key in TITLES if series(history, key)[0] or series(history, f"eval_{key}")[0]]
    if not shown:
        return None
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    averaged = ""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.3 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, key in zip(grid, shown, strict=False):
            steps, values, block = thinned(*series(history, key))
            axis.plot(steps, values, color=BLUE, linewidth=1, alpha=0.8, label="training batches")
            axis.plot(*series(history, f"eval_{key}"), "o-", color=ORANGE, markersize=3.5, linewidth=1.2, label="dev")
            averaged = f" The training line is averaged over {block} steps." if block > 1 else averaged
            _mark(axis, key, known)
            axis.set_title(TITLES[key])
            by_step(axis)
        for axis in grid[len(shown) :]:
            axis.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        alt = f"By step, on training batches and on dev: {', '.join(TITLES[key] for key in shown)}."
        return vector(figure, alt, f"{_explained(known)}{averaged}")


def _mark(axis: Axes, key: str, known: Bounds) -> None:
    lines = {"contrastive": known.chance_loss, "accuracy": known.chance_accuracy, "perplexity": known.most_perplexity}
    if (value := lines.get(key)) is not None:
        axis.axhline(value, linewidth=1, zorder=0.5, **DASHED)
    if key == "perplexity" and known.collapsed:
        axis.axhline(known.collapsed, linewidth=1.2, zorder=0.5, **DOTTED)
    if key == "learning_rate":
        axis.yaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
    if key in ("accuracy", "perplexity", "temperature"):
        axis.set_ylim(0, 1.08 * axis.dataLim.ymax)


def _explained(known: Bounds) -> str:
    text = (
        f"Losses are means over hidden frames. Dashed: chance, {known.chance_loss:.2f} for the loss and "
        f"{share(known.chance_accuracy)} for accuracy"
    )
    if known.most_perplexity is None:
        return f"{text}."
    line = f"; the most possible perplexity, {known.most_perplexity:g}."
    return f"{text}{line} Dotted: {known.collapsed:g}, below which the codes have collapsed."


def measures_table(history: History, run: HomeWav2Vec2Run) -> Table:
    """What was logged, at last on training batches, at first and at last on dev."""
    model = run.model
    weights = {"contrastive": 1.0, "diversity": model.diversity_weight, "feature_penalty": model.feature_penalty}
    rows: list[tuple[str, ...]] = []
    strong = set()
    for key, title in MEASURES.items():
        train, dev = series(history, key)[1][-LAST_STEPS:], series(history, f"eval_{key}")[1]
        if not train and not dev:
            continue
        if key == "total":
            strong.add(len(rows))
        weight = f"{weights[key]:g}" if key in weights else "–"
        mean = f"{sum(train) / len(train):.4g}" if train else "–"
        rows.append((title, weight, mean, *(f"{dev[place]:.4g}" if dev else "–" for place in (0, -1))))
    steps = [int(step) for step in series(history, "eval_contrastive")[0]]
    on_dev = f" Dev: the same crops and masks every time, at steps {steps[0]:,} and {steps[-1]:,}." if steps else ""
    caption = f"Training: mean of the last {LAST_STEPS} logged steps.{on_dev} Losses are means over hidden frames."
    headers = ("measure", "weight in the loss", "training", "dev, first", "dev, last")
    return Table(headers, tuple(rows), caption, numeric=frozenset(range(1, 5)), strong=frozenset(strong))


def pretraining_warnings(inputs: RunInputs, run: HomeWav2Vec2Run) -> list[str]:
    """Codes that are hardly used, a task that was hardly learnt, a dev loss that rose again."""
    found, known, history = [], bounds(inputs, run), inputs.history
    accuracy = series(history, "eval_accuracy")[1]
    if accuracy and accuracy[-1] < LEAST_GAIN * known.chance_accuracy:
        found.append(
            f"On dev the true frame is found in {share(accuracy[-1])} of the cases, and chance is "
            f"{share(known.chance_accuracy)}: the task was hardly learnt."
        )
    perplexity = series(history, "perplexity")[1][-LAST_STEPS:]
    if perplexity and known.most_perplexity:
        mean = sum(perplexity) / len(perplexity)
        if mean < known.most_perplexity / 5:
            found.append(
                f"The codes are used unevenly: at the end their perplexity is {mean:.0f} of {known.most_perplexity:g}."
            )
    steps, losses = series(history, "eval_contrastive")
    if losses and losses[-1] > MOST_RISE * min(losses):
        best = int(steps[losses.index(min(losses))])
        found.append(
            f"The contrastive loss on dev was lowest at step {best:,} ({min(losses):.3f}) and ended at "
            f"{losses[-1]:.3f}; the weights are those of the end."
        )
    steps, overflows = series(history, "overflows")
    if overflows and overflows[-1] > FINDING_THE_SCALE + MOST_OVERFLOWS * steps[-1]:
        found.append(f"float16 overflowed in {overflows[-1]:.0f} of {steps[-1]:,} steps, which changed no weight.")
    return found
