"""What a run heard of its recordings, crop by crop."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiorig.config import HomeWav2Vec2Run
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.shares import cap
from audiorig.report.curves import by_step, series, thinned
from audiorig.report.figures import BLUE, DASHED, STYLE, Picture, vector
from audiorig.report.inputs import RunInputs
from audiorig.report.tables import Table

History = Sequence[Mapping[str, Any]]

LEAST_COVERAGE = 0.5  # of the audio, below which the page warns
MOST_SILENT = 0.3  # of the crops, above which it warns
FEW_PARTICIPANTS = 10
MOST_ROWS = 50


def last(history: History, key: str) -> float | None:
    """The newest value of what was logged."""
    values = series(history, key)[1]
    return values[-1] if values else None


def train_hours(inputs: RunInputs) -> float:
    """Hours of the training side; 0 if not known."""
    return float(inputs.split.get("sides", {}).get("train", {}).get("hours", 0))


def crop_facts(inputs: RunInputs, run: HomeWav2Vec2Run) -> dict[str, str]:
    """How crops were drawn, and how much of the audio they came to."""
    history, data = inputs.history, run.data
    heard, distinct, coverage, redraws, silent = (
        last(history, key) for key in ("hours_heard", "distinct_hours", "coverage", "redraws", "silent_crops")
    )
    facts = {
        "crops": f"{data.crop_sec:g} s at {data.sample_rate_hz:,} Hz, drawn anew every epoch",
        "hours of the training side": f"{train_hours(inputs):.2f}",
    }
    if heard is not None:
        facts["hours heard"] = f"{heard:.2f}, counted as often as they were heard"
    if distinct is not None:
        share = "" if coverage is None else f", {percent(coverage)} of the audio"
        facts["distinct hours heard"] = f"{distinct:.2f}{share}"
    if redraws is not None:
        facts["redraws"] = f"{redraws:.2f} a crop, at most {data.silence.max_redraws}"
    if silent is not None:
        fate = {"accept": "learnt from like any other", "mark": "no part of the loss"}[data.silence.when_silent]
        facts["too silent after all redraws"] = f"{percent(silent)} of the crops, {fate}"
    facts["most of one participant"] = f"{percent(data.max_participant_share)} of the crops"
    facts["shorter recordings"] = {"pad": "zeros behind them", "leave_out": "never drawn"}[data.short_recordings]
    return facts


def percent(share: float) -> str:
    """31 %; below 10 % with one digit."""
    return f"{100 * share:.{0 if share >= 0.0995 or share == 0 else 1}f} %"


def crop_curves(history: History, hours: float) -> Picture | None:
    """Hours heard and distinct hours, redraws and silent crops, by step.

    Args:
        hours: of the whole training side; 0 if not known.
    """
    titles = {
        "hours_heard": "hours heard",
        "distinct_hours": "distinct hours heard",
        "redraws": "redraws a crop",
        "silent_crops": "share of crops too silent",
    }
    shown = [key for key in titles if series(history, key)[0]]
    if not shown:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.3), layout="constrained")
        for axis, key in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            steps, values, _ = thinned(*series(history, key))
            axis.plot(steps, values, color=BLUE, linewidth=1.4)
            axis.set_title(titles[key])
            axis.set_ylim(bottom=0)
            by_step(axis)
            if key == "distinct_hours" and hours:
                _mark_whole(axis, hours)
        whole = f" Dashed: all {hours:.2f} h of the training side; on the right their share." if hours else ""
        alt = f"By step: {', '.join(titles[key] for key in shown)}."
        return vector(figure, alt, f"Distinct: each second counted once, however often it was heard.{whole}")


def _mark_whole(axis: Axes, hours: float) -> None:
    """Distinct hours are also a share of all there are."""
    axis.axhline(hours, linewidth=1, zorder=0.5, **DASHED)
    axis.set_ylim(0, 1.05 * hours)
    to_share, to_hours = np.vectorize(lambda value: value / hours), np.vectorize(lambda value: value * hours)
    right = axis.secondary_yaxis("right", functions=(to_share, to_hours))
    right.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
    right.spines["right"].set_visible(True)


def participants_table(inputs: RunInputs, run: HomeWav2Vec2Run) -> Table:
    """Participants of the training side, the longest first: hours, and how many of the crops are theirs."""
    files = inputs.files[inputs.files["side"] == "train"]
    people = files["participant_id"].where(files["participant_id"] != UNKNOWN, files["recording_id"])
    seconds = files["duration_sec"].astype(float).fillna(0.0).groupby(people.astype(str)).agg(["sum", "size"])
    total = float(seconds["sum"].sum())
    seconds["crops"] = cap(seconds["sum"].to_numpy(np.float64), run.data.max_participant_share)
    ordered = seconds.sort_values("sum", ascending=False, kind="stable")
    rows = tuple(
        (str(name), f"{size:,}", f"{sec / 3600:.2f}", percent(sec / total) if total else "–", percent(crops))
        for name, sec, size, crops in ordered.head(MOST_ROWS).itertuples(name=None)
    )
    more = f"The first {MOST_ROWS} of {len(ordered)}. " if len(ordered) > MOST_ROWS else ""
    caption = f"{more}Crops: by duration, with at most {percent(run.data.max_participant_share)} for one participant."
    headers = ("participant", "files", "hours", "share of the audio", "share of the crops")
    return Table(headers, rows, caption, numeric=frozenset(range(1, 5)))


def crop_warnings(inputs: RunInputs, run: HomeWav2Vec2Run) -> list[str]:
    """What was hardly heard, and from how few."""
    found = []
    coverage, silent = last(inputs.history, "coverage"), last(inputs.history, "silent_crops")
    num_groups = int(inputs.split.get("sides", {}).get("train", {}).get("num_groups", 0))
    if 0 < num_groups < FEW_PARTICIPANTS:
        found.append(
            f"Training heard {num_groups} {inputs.split.get('group', 'group')}s only: what it learnt may be theirs."
        )
    if 0 < num_groups < 1 / run.data.max_participant_share:
        found.append(
            f"{num_groups} {inputs.split.get('group', 'group')}s cannot each stay below "
            f"{percent(run.data.max_participant_share)} of the crops: all were heard alike."
        )
    if coverage is not None and coverage < LEAST_COVERAGE:
        found.append(
            f"Only {percent(coverage)} of the training side's audio was heard: train for more steps before taking the "
            "scores for what the corpus can give."
        )
    if silent is not None and silent > MOST_SILENT:
        fate = "taught nothing" if run.data.silence.when_silent == "mark" else "were learnt from all the same"
        found.append(
            f"{percent(silent)} of the crops were too silent even after {run.data.silence.max_redraws} redraws, and "
            f"{fate}: look at data.silence, or at the recordings."
        )
    return found
