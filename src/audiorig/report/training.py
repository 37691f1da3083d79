"""What was logged while training: parts of the loss, the linear probe, whether latents collapse."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from audiorig.config.wavemae import WaveMAEModelConfig
from audiorig.report.curves import by_step, series, thinned
from audiorig.report.figures import BLUE, DASHED, GREY, ORANGE, STYLE, Picture, vector
from audiorig.report.tables import Table
from audiorig.report.wording import points, share

PART_TITLES = {
    "total": "whole loss",
    "main_recon": "main_recon",
    "shape": "shape of hidden patches",
    "level": "level of hidden patches",
    "main_percep": "main_percep",
    "aux_crepe": "aux_crepe",
    "aux_w2v": "aux_w2v",
}
NOT_LOSSES = (
    "step",
    "epoch",
    "grad_norm",
    "learning_rate",
    "loss",
    "train_",
    "latent_",
    "linear_probe_",
    "best_",
    "weights_step",
    "stopped_early_at",
)
LAST_STEPS = 20  # one batch alone says little


def loss_parts(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parts of the loss that were logged, on training batches or on dev, in the order of pages.

    The total is left out where one part alone makes it up.
    """
    logged = dict.fromkeys(key.removeprefix("eval_") for entry in history for key in entry)
    parts = [key for key in logged if not key.startswith(NOT_LOSSES)]
    if not {"main_percep", "aux_crepe", "aux_w2v"} & set(parts):
        parts = [part for part in parts if part != "total"]
    return [part for part in PART_TITLES if part in parts] + sorted(set(parts) - set(PART_TITLES))


def loss_weights(model: WaveMAEModelConfig) -> dict[str, float]:
    """Weight of each part in the loss; of ``shape`` and ``level`` within main_recon."""
    return {**model.weights.model_dump(), "shape": 1.0, "level": model.level_weight}


def loss_table(history: Sequence[Mapping[str, Any]], model: WaveMAEModelConfig) -> Table:
    """The parts of the loss: weight, last values, and what each adds to the loss on dev."""
    weights, rows, strong = loss_weights(model), [], set()
    for part in loss_parts(history):
        train = [entry[part] for entry in history if entry.get(part) is not None][-LAST_STEPS:]
        dev = [entry[f"eval_{part}"] for entry in history if entry.get(f"eval_{part}") is not None][-1:]
        weight, inside = weights.get(part), " in main_recon" if part in ("shape", "level") else ""
        rows.append(
            (
                part,
                f"{weight:g}{inside}" if weight is not None else "–",
                f"{sum(train) / len(train):.4f}" if train else "–",
                f"{dev[0]:.4f}" if dev else "–",
                f"{weight * dev[0]:.4f}" if dev and weight is not None else "–",
            )
        )
        if part == "total":
            strong.add(len(rows) - 1)
    last = max((int(entry["step"]) for entry in history if any(key.startswith("eval_") for key in entry)), default=None)
    caption = f"Training: mean of the last {LAST_STEPS} logged steps." + (f" Dev: step {last:,}." if last else "")
    headers = ("part", "weight", "training", "dev", "weight × dev")
    return Table(headers, tuple(rows), caption, numeric=frozenset(range(1, 5)), strong=frozenset(strong))


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
            steps, values, block = thinned(*series(history, part))
            axis.plot(steps, values, color=BLUE, linewidth=1, alpha=0.8, label="training batches")
            axis.plot(*series(history, f"eval_{part}"), "o-", color=ORANGE, markersize=3.5, linewidth=1.2, label="dev")
            axis.set_title(_part_title(part, weights))
            averaged = f" The training line is averaged over {block} steps." if block > 1 else averaged
        grid[len(parts)].plot(*series(history, "learning_rate"), color=GREY, linewidth=1.2)
        grid[len(parts)].set_title("learning rate")
        grid[len(parts)].yaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
        for axis in grid[: len(parts) + 1]:
            by_step(axis)
        for axis in grid[len(parts) + 1 :]:
            axis.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        alt = f"Loss by step on training batches and on dev: {', '.join(parts)}."
        return vector(figure, alt, f"Every part as it is, before its weight.{averaged}")


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
    found = {key: title for key, title in titles.items() if series(history, key)[0]}
    caption = "Band: 95 % interval. Dashed: the commonest label, always guessed." * (
        "eval_linear_probe_accuracy" in found
    )
    if not found:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.5), layout="constrained")
        axes = figure.subplots(1, 3)
        for axis, (key, title) in zip(axes, found.items(), strict=False):
            steps, values = series(history, key)
            axis.plot(steps, values, "o-", color=BLUE, markersize=3.5, linewidth=1.2)
            (low_steps, low), (high_steps, high) = (series(history, f"{key}_{edge}") for edge in ("low", "high"))
            if low_steps == high_steps == steps:
                axis.fill_between(steps, low, high, color=BLUE, alpha=0.18, linewidth=0)
            if key.endswith("accuracy"):
                axis.plot(*series(history, "eval_linear_probe_majority"), **DASHED)
            axis.set_title(title)
            by_step(axis)
        for axis in axes[len(found) :]:
            axis.set_visible(False)
        return vector(figure, f"By step: {', '.join(found.values())}.", caption)


def probe_in_training(history: Sequence[Mapping[str, Any]]) -> str:
    """What the linear probe gained from its first to its last look; empty where it looked less than twice."""
    looks = [entry for entry in history if entry.get("eval_linear_probe_gain") is not None]
    clips = "eval_linear_probe_clips"  # gains are to the first look at the same clips
    looks = [entry for entry in looks if entry.get(clips) == looks[-1].get(clips)]
    if len(looks) < 2:
        return ""
    gain, low, high = (float(looks[-1][f"eval_linear_probe_gain{edge}"]) for edge in ("", "_low", "_high"))
    first, last = (float(entry["eval_linear_probe_accuracy"]) for entry in (looks[0], looks[-1]))
    doubt = ", not certain" if low <= 0 <= high else ""
    return f"from {share(first, 2)} to {share(last, 2)}: {points(gain)} points [{points(low)}, {points(high)}]{doubt}"
