"""Predicted against true traces, error by time, and what r is worth: pictures."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audiorig.report.eda.inputs import TRUE, Heard
from audiorig.report.eda.tables import SYSTEMS, R
from audiorig.report.figures import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, STYLE, Picture, vector
from audiorig.report.scores import Scores

BESIDE = {"template": GREEN, "ridge": PURPLE}
NULLS = {"permuted-songs": ORANGE, "shifted": GREY}


def traces_picture(
    heard: Heard, songs: Sequence[str], titles: Sequence[str], system: str, rate_hz: float
) -> Picture | None:
    """Each song's listeners as a band and their mean, what is predicted on top.

    Args:
        songs: ids of test songs, with a title for each.
        rate_hz: steps a second.
    """
    if not songs:
        return None
    columns = min(2, len(songs))
    rows = math.ceil(len(songs) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.1 * rows + 0.4), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for axis, song, title in zip(grid, songs, titles, strict=False):
            true = stacked(heard.values(song, TRUE))
            seconds = np.arange(true.shape[1]) / rate_hz
            low, middle, high = (np.nanpercentile(true, share, axis=0) for share in (10, 50, 90))
            axis.fill_between(seconds, low, high, color=BLUE, alpha=0.18, linewidth=0, label="listeners, 10 to 90 %")
            axis.plot(seconds, middle, color=BLUE, linewidth=1, label="their median")
            for control, color in BESIDE.items():
                _draw_predicted(axis, heard.values(song, control), seconds, color=color, linewidth=0.9, label=control)
            _draw_predicted(axis, heard.values(song, system), seconds, color=DARK, linewidth=1.5, label="network")
            axis.set(
                title=f"{title}, {len(true)} listener{'' if len(true) == 1 else 's'}", xlabel="seconds since onset"
            )
        for axis in grid[len(songs) :]:
            axis.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        return vector(
            figure,
            "Predicted traces of test songs over the spread of their listeners.",
            "Songs of the test side; the prediction is one for all listeners of a song.",
        )


def _draw_predicted(axis: Axes, predicted: Sequence[NDArray[np.float32]], seconds: NDArray[Any], **how: Any) -> None:
    """The longest of them, up to where the last listener stops: it is one prediction for all."""
    if predicted:
        longest = max(predicted, key=len)[: len(seconds)]
        axis.plot(seconds[: len(longest)], longest, **how)


def stacked(traces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Traces of one song under each other, (S, M), with NaN where one has ended; only steps that somebody has."""
    longest = max(map(len, traces))
    table = np.full((len(traces), longest), np.nan, dtype=np.float32)
    for row, values in zip(table, traces, strict=True):
        row[: len(values)] = values
    return table[:, : int(np.flatnonzero(~np.isnan(table).all(axis=0))[-1]) + 1]


def error_by_time(heard: Heard, system: str, rate_hz: float) -> Picture | None:
    """Squared error by seconds since onset, of the network, the template and the ridge, a mean over test traces."""
    rows = heard.predictions
    if rows.empty:
        return None
    true = {row.trace_id: np.asarray(row.values_, dtype=np.float64) for row in _rows(heard, TRUE)}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        axis = figure.subplots()
        for name, color in {system: DARK, **BESIDE}.items():
            errors = [
                (np.asarray(row.values_, dtype=np.float64)[: len(true[row.trace_id])] - true[row.trace_id]) ** 2
                for row in _rows(heard, name)
                if row.trace_id in true
            ]
            if errors:
                table = stacked([error.astype(np.float32) for error in errors])
                enough = (~np.isnan(table)).sum(axis=0) >= min(3, len(errors))
                seconds = np.arange(table.shape[1]) / rate_hz
                curve = np.nanmean(table[:, enough], axis=0)
                label = "network" if name == system else name
                axis.plot(seconds[enough], _smoothed(curve, rate_hz), color=color, linewidth=1.3, label=label)
        axis.set(xlabel="seconds since onset", ylabel="squared error")
        axis.legend()
        return vector(
            figure, "Squared error by seconds since onset.", "A moving mean of two seconds over all test traces."
        )


def _rows(heard: Heard, system: str) -> list[Any]:
    rows = heard.predictions[heard.predictions["system"] == system].rename(columns={"values": "values_"})
    return list(rows.itertuples(index=False))


def _smoothed(curve: NDArray[Any], rate_hz: float) -> NDArray[Any]:
    width = max(1, min(len(curve), round(2 * rate_hz)))
    kernel = np.ones(width)
    return np.convolve(curve, kernel, "same") / np.convolve(np.ones(len(curve)), kernel, "same")


def null_picture(heard: Heard, scores: Scores, task: str, system: str) -> Picture | None:
    """The network's r beside what its own predictions reach on other songs, and shifted in time."""
    draws = {name: heard.nulls.get(task, {}).get(name, []) for name in NULLS}
    observed = scores.get(task, system, R)
    if observed is None or not any(draws.values()):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.4), layout="constrained")
        axis = figure.subplots()
        for name, values in draws.items():
            if values:
                axis.hist(values, bins=24, color=NULLS[name], alpha=0.55, label=SYSTEMS[name].removeprefix("null: "))
        axis.axvspan(observed.low, observed.high, color=DARK, alpha=0.12, linewidth=0)
        axis.axvline(observed.value, color=DARK, linewidth=1.6, label="network, with its interval")
        for name, color in BESIDE.items():
            if found := scores.get(task, name, R):
                axis.axvline(found.value, color=color, linewidth=1.2, linestyle="--", label=name)
        axis.set(xlabel="mean r over test songs", ylabel="draws")
        axis.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=3)
        return vector(figure, "The network's r beside its null distributions.")
