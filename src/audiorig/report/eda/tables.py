"""Scores of predicted traces beside baselines and nulls, and what was found in the listeners' traces: tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from audiorig.report.eda.inputs import SHOWN_OF_A_LIST, Heard
from audiorig.report.scores import ON_TRACES, Estimate, Scores
from audiorig.report.tables import Table, what_was_resampled
from audiorig.report.wording import difference_text, with_interval

R = "pearson"
METRICS = ON_TRACES
# In the order in which a reader goes from knowing nothing to knowing other listeners of the same song.
SYSTEMS = {
    "zero": "zero",
    "permuted-songs": "null: predictions of other songs",
    "shifted": "null: predictions shifted in time",
    "line": "straight line",
    "template": "time since onset (template)",
    "subject-mean": "mean trace of the subject",
    "loudness-ridge": "ridge on loudness",
    "ridge": "ridge on lagged coefficients",
    "song-mean": "mean of the song's other listeners (needs them)",
    "ceiling": "noise ceiling (needs them)",
}
OF_THE_SONG = ("song-mean", "ceiling")  # they ask other listeners of the same song
WITHOUT_SONG = tuple(name for name in SYSTEMS if name not in OF_THE_SONG)
WITHOUT_NEEDING = ("zero", "line", "template", "subject-mean", "loudness-ridge", "ridge")
BESIDE = ("template", "ridge")
BRACKETED = (R, "mse")  # intervals of all of them would make the table too wide to read


def score_table(scores: Scores, task: str, system: str, title: str) -> Table:
    """Every system of a dataset by every metric; the network's row is set off."""
    names = [*WITHOUT_SONG, system, *OF_THE_SONG]
    used = [name for name in names if any(scores.get(task, name, metric) for metric in METRICS)]
    metrics = [metric for metric in METRICS if any(scores.get(task, name, metric) for name in used)]
    rows = tuple(
        (
            title if name == system else SYSTEMS[name],
            *(_cell(scores.get(task, name, metric), metric) for metric in metrics),
        )
        for name in used
    )
    arrows = [f"{METRICS[metric].title}{' (less is better)' if METRICS[metric].is_error else ''}" for metric in metrics]
    return Table(
        ("predicted by", *arrows),
        rows,
        what_was_resampled(scores, task),
        numeric=frozenset(range(1, len(metrics) + 1)),
        strong=frozenset({used.index(system)} if system in used else ()),
    )


def _cell(estimate: Estimate | None, metric: str) -> str:
    if estimate is None:
        return "–"
    return in_cell(estimate, metric) if metric in BRACKETED else f"{estimate.value:.{METRICS[metric].digits}f}"


def difference_table(scores: Scores, task: str, system: str) -> Table:
    """The network minus what needs no network, song by song paired."""
    rows = []
    for control in (*WITHOUT_NEEDING, "song-mean"):
        for name in (R, "mse"):
            found = scores.difference(task, system, control, name)
            if found is not None:
                metric = METRICS[name]
                better = {"above": "more", "below": "less", "uncertain": "not certain"}[found.direction]
                rows.append((SYSTEMS[control], metric.title, f"{difference_text(found, metric)}", better))
    caption = "Paired by trace, drawn by song; an interval that holds 0 is not certain."
    return Table(("network minus", "metric", "difference", "it is"), tuple(rows), caption, numeric=frozenset({2}))


def quality_table(heard: Heard, excluding: Sequence[str]) -> Table:
    """Traces by what was flagged in them."""
    flags = heard.quality.get("flags", {})
    rows = tuple(
        (name.replace("_", " "), f"{number:,}", "left out" if name in excluding else "kept")
        for name, number in flags.items()
        if number
    )
    return Table(("flag", "traces", "trace is"), rows, numeric=frozenset({1}))


def excluded_table(heard: Heard) -> Table:
    """The first traces that are in no split."""
    return _first(heard.excluded, ("trace", "flags"), "traces")


def missing_table(heard: Heard) -> Table:
    """The first songs without audio."""
    return _first(heard.missing, tuple(map(str, heard.missing.columns)), "songs")


def assumption_table(assumptions: Sequence[Mapping[str, Any]], shows_files: bool) -> Table:
    """What was taken for granted, once each."""
    rows = tuple(
        (
            str(each["code"]),
            str(each["text"]),
            f"{each['count']:,}",
            *([", ".join(map(str, each["files"]))] if shows_files else []),
        )
        for each in assumptions
    )
    headers = ("code", "assumption", "files", *(["for example"] if shows_files else []))
    return Table(headers, rows, numeric=frozenset({2}))


def _first(table: pd.DataFrame, headers: tuple[str, ...], what: str) -> Table:
    shown = table.head(SHOWN_OF_A_LIST)
    caption = f"{len(shown)} of {len(table):,} {what}." if len(table) > len(shown) else ""
    return Table(headers, tuple(tuple(map(str, row)) for row in shown.itertuples(index=False)), caption)


def in_words(estimate: Estimate, metric: str = R) -> str:
    """E.g. "r .412 [.350, .470]"."""
    return f"{METRICS[metric].title} {with_interval(estimate)}"


def runs_table(runs: Sequence[tuple[str, str, str, Scores]], task: str) -> Table:
    """The networks of several runs on one dataset, each beside its own template and ridge, and its chance.

    Args:
        runs: name, corpus and split, name of the network among the scores, scores.
    """
    rows = []
    for name, data, system, scores in runs:
        if scores.get(task, system, R) is None:
            continue
        controls = [scores.get(task, control, R) for control in BESIDE]
        differences = [scores.difference(task, system, control, R) for control in BESIDE]
        p = scores.get(task, system, "p_permuted_songs")
        rows.append(
            (
                *(name, data, in_cell(scores.get(task, system, R), R), in_cell(scores.get(task, system, "mse"), "mse")),
                *(in_cell(each, R) for each in controls),
                *(difference_text(each, METRICS[R]) if each else "–" for each in differences),
                f"{p.value:.3f}" if p else "–",
            )
        )
    minus = (f"network minus {control}, r" for control in BESIDE)
    headers = ("run", "corpus, split", "network, r", "MSE", *(f"{name}, r" for name in BESIDE), *minus, "p")
    caption = "On whole test songs; p: the share of draws in which predictions of other songs reach the network's r."
    return Table(headers, tuple(rows), caption, numeric=frozenset(range(2, len(headers))))


def in_cell(estimate: Estimate | None, metric: str) -> str:
    """A value with its interval, or a dash."""
    if estimate is None:
        return "–"
    digits = METRICS[metric].digits
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
