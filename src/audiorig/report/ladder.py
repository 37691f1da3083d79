"""The leakage ladder as a table, a picture and sentences: one model, with one thing changed in each row."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from audiorig.evaluate.ladder import HEADLINE
from audiorig.evaluate.systems import MAJORITY
from audiorig.report.answer_figures import span_of_scores
from audiorig.report.answers import METRICS, change_unit, constant
from audiorig.report.figures import BLUE, DASHED, GREEN, GREY, ORANGE, STYLE, Picture, draw_dot, vector
from audiorig.report.scores import Estimate, Metric
from audiorig.report.tables import Table
from audiorig.report.wording import difference_text, listed, metric_text, task_title

Row = Mapping[str, Any]
Ladder = Mapping[str, Any]
THIS_RUN = "this run"


def headline_rows(ladder: Ladder, task: str) -> list[Row]:
    """A row for each case, of the headline metric."""
    rows = [row for row in ladder.get("rows", []) if row["task"] == task]
    return [row for row in rows if row["metric"] == HEADLINE[row["kind"]]]


def tasks_of(ladder: Ladder) -> list[str]:
    return list(dict.fromkeys(row["task"] for row in ladder.get("rows", [])))


def ladder_table(ladder: Ladder, mine: str = THIS_RUN) -> Table:
    """Cases by rows: the headline with its difference to the run itself, the other metrics, and the support.

    Args:
        mine: what the reference is called.
    """
    tasks = [task for task in tasks_of(ladder) if headline_rows(ladder, task)]
    shown: dict[str, Metric] = {}
    for task in tasks:
        shown |= METRICS[headline_rows(ladder, task)[0]["kind"]]
    rows: list[tuple[str, ...]] = []
    strong: set[int] = set()
    for task in tasks:
        for row in headline_rows(ladder, task):
            if row["case"] == ladder["reference"]:
                strong.add(len(rows))
            title = _title(ladder, row, mine)
            rows.append(
                (
                    title if len(tasks) == 1 else f"{task_title(task)}: {title}",
                    _difference(row),
                    *_values(ladder, row, shown),
                    f"{row['n']:,} of {row['num_groups']:,}",
                    ", ".join(f"{task_title(label)} {count:,}" for label, count in row.get("support", {}).items()),
                )
            )
    headers = (
        "what is changed",
        f"minus {mine}{_points(ladder, tasks)}",
        *(metric.title for metric in shown.values()),
        "test clips of groups",
        "test clips of each answer",
    )
    numeric = frozenset(range(1, len(headers) - 1))
    return Table(headers, tuple(rows), _caption(ladder), numeric=numeric, strong=frozenset(strong))


def _points(ladder: Ladder, tasks: Sequence[str]) -> str:
    """What the differences of the headlines are counted in."""
    rows = [headline_rows(ladder, task)[0] for task in tasks]
    units = dict.fromkeys(f"{_about(row).title},{change_unit(_about(row))}".rstrip(",") for row in rows)
    return f": {' or '.join(units)}" if units else ""


def _values(ladder: Ladder, row: Row, shown: Mapping[str, Metric]) -> list[str]:
    """All metrics of one case; one answer for all clips stands without intervals."""
    metrics = METRICS[row["kind"]]
    of_case = {
        each["metric"]: each for each in ladder["rows"] if (each["task"], each["case"]) == (row["task"], row["case"])
    }
    texts = [_value(of_case.get(metric) if metric in metrics else None, about) for metric, about in shown.items()]
    return [text.split(" [")[0] for text in texts] if row["case"] == MAJORITY else texts


def _caption(ladder: Ladder) -> str:
    seeds = sorted({seed for row in ladder.get("rows", []) for seed in row.get("seeds", [])})
    if not seeds:
        return ""
    many = f"Means over seeds {', '.join(map(str, seeds))}. " if len(seeds) > 1 else "One seed each. "
    return (
        f"{many}Brackets: 95 % intervals of a bootstrap over groups{' and seeds' if len(seeds) > 1 else ''}. Where both "
        "rows were tested on the same clips, the difference is paired."
    )


def ladder_dots(ladder: Ladder, mine: str = THIS_RUN) -> Picture | None:
    """Headline scores of all cases, the run itself first, with what luck reaches."""
    tasks = [task for task in tasks_of(ladder) if headline_rows(ladder, task)]
    if not tasks:
        return None
    titles = list(
        dict.fromkeys(
            [_title(ladder, row, mine) for task in tasks for row in headline_rows(ladder, task) if not _is_luck(row)]
            + [_title(ladder, row, mine) for task in tasks for row in headline_rows(ladder, task) if _is_luck(row)]
        )
    )
    columns = min(2, len(tasks))
    height = math.ceil(len(tasks) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, height * (0.95 + 0.26 * len(titles))), layout="constrained")
        grid = figure.subplots(height, columns, squeeze=False, sharey=True)
        for axis in grid.flat[len(tasks) :]:
            axis.set_visible(False)
        for axis, task in zip(grid.flat, tasks, strict=False):
            rows = headline_rows(ladder, task)
            shown = [constant(_estimate(row)) if _is_luck(row) else _estimate(row) for row in rows]
            for row, estimate in zip(rows, shown, strict=True):
                draw_dot(axis, titles.index(_title(ladder, row, mine)), estimate, _color(ladder, row), not _is_luck(row))
            if rows[0]["chance"] is not None:
                axis.axvline(rows[0]["chance"], linewidth=1, zorder=0.5, **DASHED)
            axis.set(title=task_title(task), xlabel=_about(rows[0]).title)
            span_of_scores(axis, shown)
            axis.set_yticks(range(len(titles)), titles)
            axis.set_ylim(len(titles) - 0.5, -0.5)
        return vector(
            figure,
            f"Headline scores with 95 % intervals: {', '.join(titles)}.",
            _what_colors_mean(ladder, mine),
        )


def _what_colors_mean(ladder: Ladder, mine: str) -> str:
    cases = [row for row in ladder["rows"] if row["case"] != ladder["reference"] and not _is_luck(row)]
    found = [f"Blue: {mine}."]
    found += ["Green: tested on the same clips."] if any(row["is_same_test"] for row in cases) else []
    if not all(row["is_same_test"] for row in cases):
        found.append("Orange: tested on other clips, among which individuals of the training side may be.")
    return f"{' '.join(found)} Dashed: luck."


def _is_luck(row: Row) -> bool:
    return bool(row["case"] == MAJORITY)


def _color(ladder: Ladder, row: Row) -> str:
    if row["case"] == ladder["reference"]:
        return BLUE
    if _is_luck(row):
        return GREY
    return GREEN if row.get("is_same_test") else ORANGE


def ladder_verdict(ladder: Ladder, mine: str = THIS_RUN) -> list[str]:
    """Which case is better on the same clips, what other clips would have promised, and how far the best is above luck.

    Args:
        mine: what the reference is called.
    """
    sentences = []
    for task in tasks_of(ladder):
        rows = [row for row in headline_rows(ladder, task) if row.get("minus_reference")]
        sentences += _same_clips(ladder, task, [row for row in rows if row["is_same_test"]], mine)
        sentences += _other_clips(ladder, task, [row for row in rows if not row["is_same_test"]], mine)
    return sentences + [best_verdict(ladder, each, mine) for each in ladder.get("best", [])]


def _same_clips(ladder: Ladder, task: str, rows: Sequence[Row], mine: str) -> list[str]:
    """E.g. "Reason, against this run on the same test clips: better is WavLM (+5.1 points [...])"."""
    if not rows:
        return []
    words = {"above": "better is", "below": "worse is", "uncertain": "not certain to differ is"}
    told = [
        f"{word} {listed(found)}"
        for direction, word in words.items()
        if (found := [_told(ladder, row) for row in rows if _direction(row) == direction])
    ]
    return [f"{task_title(task)}, {_about(rows[0]).title} against {mine} on the same test clips: {'; '.join(told)}."]


def _other_clips(ladder: Ladder, task: str, rows: Sequence[Row], mine: str) -> list[str]:
    """E.g. "Reason, what other test clips would have promised in UAR against this run: by clip +21.0 points [...]"."""
    if not rows:
        return []
    told = listed([_told(ladder, row, ", not certain" * (_direction(row) == "uncertain")) for row in rows])
    promised = f"what other splits would have promised in {_about(rows[0]).title}, against {mine}"
    return [f"{task_title(task)}, {promised}: {told}."]


def _told(ladder: Ladder, row: Row, doubt: str = "") -> str:
    return f"{_title(ladder, row)} ({change_text(row, row['minus_reference'])}{doubt})"


def change_text(row: Row, change: Row) -> str:
    """+5.1 points [+2.0, +8.2]; of a correlation +0.05 [...]."""
    return difference_text(_estimate(change), _about(row)).replace(" [", f"{change_unit(_about(row))} [", 1)


def _direction(row: Row) -> str:
    return _estimate(row["minus_reference"]).direction


def best_verdict(ladder: Ladder, best: Row, mine: str = THIS_RUN) -> str:
    """How far the best case is above luck, on the clips of the run itself."""
    above, about = best["above_chance"], METRICS[_kind(ladder, best["task"])][best["metric"]]
    num_cases = int(best.get("num_cases", 1))
    which = f"the best of {num_cases} on these test clips is" if num_cases > 1 else "on these test clips"
    chosen = ", partly the luckiest of them" if num_cases > 2 else ""
    change = difference_text(_estimate(above), about).replace(" [", f"{change_unit(about)} [", 1)
    return (
        f"{task_title(best['task'])}, {which} {_title(ladder, best, mine)}{chosen}: "
        f"{about.title} {metric_text(_estimate(best), about)}, {change} against luck"
        f"{'' if above['is_certain'] else ', not certain'}."
    )


def _kind(ladder: Ladder, task: str) -> str:
    return next(str(row["kind"]) for row in ladder["rows"] if row["task"] == task)


def _title(ladder: Ladder, row: Row, mine: str = THIS_RUN) -> str:
    """The reference is called by what it is to the reader."""
    return mine if row["case"] == ladder["reference"] else str(row["title"])


def _about(row: Row) -> Metric:
    return METRICS[row["kind"]][row["metric"]]


def _value(row: Row | None, metric: Metric) -> str:
    return metric_text(_estimate(row), metric) if row is not None else "–"


def _difference(row: Row) -> str:
    change = row.get("minus_reference")
    return difference_text(_estimate(change), _about(row)) if change else ""


def _estimate(row: Row) -> Estimate:
    return Estimate(
        row["value"],
        row["low"],
        row["high"],
        int(row.get("n") or 0),
        int(row.get("num_groups") or 0),
        str(row.get("interval_over", "groups")),
    )
