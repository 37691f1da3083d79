"""Hidden frames and their pitch: what the model rebuilt, beside what guessing reaches."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from audiorig.evaluate.reconstruction import INTERPOLATION, LAST_PITCH, VISIBLE_MEAN
from audiorig.report.figures import BLUE, GREEN, ORANGE, STYLE, Picture, vector
from audiorig.report.scores import (
    ON_FRAMES,
    ON_PITCH,
    PITCH,
    RECONSTRUCTION,
    Estimate,
    Metric,
    Scores,
    metric_of,
    r2_at,
)
from audiorig.report.tables import Table, what_was_resampled
from audiorig.report.wording import compared, difference_text, metric_text, share, with_interval

ANCHORS = (INTERPOLATION, VISIBLE_MEAN)
BANDS = {"at 2 to 5 frames": ("2-3", "4-5"), "at 1": ("1",), "beyond 5": ("6-8", "over 8")}
REPEATING = "repeating the last visible one"


def reconstruction_table(scores: Scores, system: str) -> Table:
    """R2 of hidden frames by distance: the model, the anchors, the paired differences."""
    systems = (system, *ANCHORS, *(f"{system} minus {name}" for name in ANCHORS))
    by_system = {name: found for name in systems if (found := scores.by_distance(name))}
    distances = list(dict.fromkeys(distance for found in by_system.values() for distance in found))
    rows = tuple(
        (name, *(with_interval(found.get(distance), 2) for distance in distances)) for name, found in by_system.items()
    )
    return Table(
        ("frames to the nearest visible one", *distances),
        rows,
        what_was_resampled(scores, RECONSTRUCTION),
        numeric=frozenset(range(1, len(distances) + 1)),
        strong=frozenset({0} if system in by_system else ()),
    )


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
        return vector(figure, alt, "Band: 95 % interval of the model. 0: the training mean of each frequency.")


def frame_distance_table(scores: Scores, system: str) -> Table:
    """How far rebuilt spectra are from the true ones, where frames were hidden and where not."""
    return _measured_table(scores, RECONSTRUCTION, system, ANCHORS, ON_FRAMES)


def pitch_table(scores: Scores, system: str) -> Table:
    """The pitch of hidden frames, beside repeating the last visible one."""
    return _measured_table(scores, PITCH, system, (LAST_PITCH,), ON_PITCH)


def _measured_table(
    scores: Scores, task: str, system: str, anchors: Sequence[str], known: Mapping[str, Metric]
) -> Table:
    """A row for the model and each anchor, then one for each paired difference; a column a metric."""
    differences = [f"{system} minus {anchor}" for anchor in anchors]
    metrics = {name: metric for name, metric in known.items() if scores.get(task, system, name)}
    rows = [
        (name, *(metric_text(scores.get(task, name, key), metric) for key, metric in metrics.items()))
        for name in (system, *anchors)
    ]
    rows += [
        (name, *(difference_text(scores.get(task, name, key), metric) for key, metric in metrics.items()))
        for name in differences
    ]
    rows = [row for row in rows if set(row[1:]) - {"–"}]
    units = [f"{metric.title}, {metric.unit}" if metric.unit else metric.title for metric in metrics.values()]
    less = [metric.title for metric in metrics.values() if metric.is_error]
    notes = [what_was_resampled(scores, task)]
    notes += ["Differences of shares are in points."] if any(not each.unit for each in metrics.values()) else []
    if less:
        notes.append("Less is better." if len(less) == len(metrics) else f"Less is better: {'; '.join(less)}.")
    return Table(
        ("system", *units),
        tuple(rows),
        " ".join(notes),
        numeric=frozenset(range(1, len(units) + 1)),
        strong=frozenset({0} if rows else ()),
    )


def reconstruction_verdict(scores: Scores, system: str) -> str:
    """R2 of hidden frames against the better anchor: at 2 to 5 frames from a visible one, then nearer and beyond."""
    clauses = []
    for where, distances in BANDS.items():
        found = {
            name: (scores.get(RECONSTRUCTION, system, r2_at(name)), _to_better(scores, system, name))
            for name in distances
        }
        known = {name: (mine, difference) for name, (mine, difference) in found.items() if mine and difference}
        if known:
            clauses.append(f"{where} {_against_better(known)}")
    if not clauses:
        return ""
    return f"Hidden frames, R² against the better of interpolation and visible mean: {'; '.join(clauses)}."


def _against_better(found: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    """E.g. "above it (2-3: .58, +.19 [+.15, +.24]; 4-5: .49, +.12 [+.08, +.15])"."""
    wording = {"above": "above it", "below": "below it", "uncertain": "not certain to differ"}
    by_direction: dict[str, list[str]] = {}
    for name, (mine, difference) in found.items():
        where = f"{name}: " if len(found) > 1 else ""
        numbers = f"{where}{share(mine.value, 2)}, {difference_text(difference, metric_of(r2_at(name)))}"
        by_direction.setdefault(wording[difference.direction], []).append(numbers)
    return ", ".join(f"{words} ({'; '.join(numbers)})" for words, numbers in by_direction.items())


def _to_better(scores: Scores, system: str, distance: str) -> Estimate | None:
    """The lesser of the two paired differences: the one to the anchor that is better at this distance."""
    found = [scores.difference(RECONSTRUCTION, system, anchor, r2_at(distance)) for anchor in ANCHORS]
    return min((each for each in found if each), key=lambda each: each.value, default=None)


def pitch_verdict(scores: Scores, system: str) -> str:
    """Pitch and voicing of hidden frames, beside repeating the last visible pitch."""
    clauses = []
    for metric, words, other in (
        ("rpa50", "{} within 50 cents", REPEATING),
        ("vuv_error", "voicing wrong in {}", "it"),
    ):
        if mine := scores.get(PITCH, system, metric):
            difference = scores.difference(PITCH, system, LAST_PITCH, metric)
            clauses += [words.format(with_interval(mine)), *(compared({other: difference}) if difference else [])]
    return f"Pitch of hidden frames: {'; '.join(clauses)}." if clauses else ""
