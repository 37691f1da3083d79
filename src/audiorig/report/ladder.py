"""The leakage ladder as a table, a picture and sentences: one model, with one thing changed in each row."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from audiorig.evaluate.ladder import HEADLINE
from audiorig.evaluate.systems import MAJORITY
from audiorig.report.answers import METRICS
from audiorig.report.figures import BLUE, DASHED, GREY, ORANGE, STYLE, Picture, draw_dot, vector
from audiorig.report.scores import Estimate, Metric
from audiorig.report.tables import Table
from audiorig.report.wording import difference_text, listed, metric_text, points_in_words, share, task_title

Row = Mapping[str, Any]
Ladder = Mapping[str, Any]


def headline_rows(ladder: Ladder, task: str) -> list[Row]:
    """A row for each case, of the headline metric."""
    rows = [row for row in ladder.get("rows", []) if row["task"] == task]
    return [row for row in rows if row["metric"] == HEADLINE[row["kind"]]]


def tasks_of(ladder: Ladder) -> list[str]:
    return list(dict.fromkeys(row["task"] for row in ladder.get("rows", [])))


def ladder_table(ladder: Ladder) -> Table:
    """Cases by rows: the headline with its difference to the run itself, the other metrics, and the support."""
    tasks = tasks_of(ladder)
    rows: list[tuple[str, ...]] = []
    strong: set[int] = set()
    shown: dict[str, Metric] = {}
    for task in tasks:
        for row in headline_rows(ladder, task):
            metrics = METRICS[row["kind"]]
            shown |= metrics
            if row["case"] == ladder["reference"]:
                strong.add(len(rows))
            of_case = {
                each["metric"]: each for each in ladder["rows"] if (each["task"], each["case"]) == (task, row["case"])
            }
            rows.append(
                (
                    _title(ladder, row) if len(tasks) == 1 else f"{task_title(task)}: {_title(ladder, row)}",
                    _difference(row, metrics[row["metric"]]),
                    *(_value(of_case.get(metric), metrics[metric]) for metric in metrics),
                    f"{row['n']:,} of {row['num_groups']:,}",
                    ", ".join(f"{task_title(label)} {count}" for label, count in row.get("support", {}).items()),
                )
            )
    titles = [metric.title for metric in shown.values()]
    headers = (
        "what is changed",
        "minus the run itself, points",
        *titles,
        "test clips of groups",
        "clips of each class",
    )
    return Table(
        headers, tuple(rows), _caption(ladder), numeric=frozenset(range(1, len(headers) - 1)), strong=frozenset(strong)
    )


def _caption(ladder: Ladder) -> str:
    seeds = sorted({seed for row in ladder.get("rows", []) for seed in row.get("seeds", [])})
    if not seeds:
        return ""
    many = f"Means over seeds {', '.join(map(str, seeds))}. " if len(seeds) > 1 else "One seed each. "
    return (
        f"{many}95 % intervals: a bootstrap over groups{' and seeds' if len(seeds) > 1 else ''}. Where both rows were "
        "tested on the same clips, the difference is paired."
    )


def ladder_dots(ladder: Ladder) -> Picture | None:
    """Headline scores of all cases, the run itself first, with what luck reaches."""
    tasks = [task for task in tasks_of(ladder) if headline_rows(ladder, task)]
    if not tasks:
        return None
    longest = max(len(headline_rows(ladder, task)) for task in tasks)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.9 + 0.34 * longest), layout="constrained")
        for axis, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            rows = headline_rows(ladder, task)
            for height, row in enumerate(rows):
                draw_dot(axis, height, _estimate(row), _color(ladder, row), row["case"] != MAJORITY)
            if rows[0]["chance"] is not None:
                axis.axvline(rows[0]["chance"], linewidth=1, zorder=0.5, **DASHED)
            axis.set(
                title=task_title(task), xlim=(-0.03, 1.03), xlabel=METRICS[rows[0]["kind"]][rows[0]["metric"]].title
            )
            axis.set_yticks(range(len(rows)), [_title(ladder, row) for row in rows])
            axis.set_ylim(len(rows) - 0.5, -0.5)
        return vector(
            figure,
            "Headline scores with 95 % intervals of the run and of its ladder.",
            "Blue: the run itself. Orange: tested on other clips, among which individuals of the training side may be. "
            "Dashed: luck.",
        )


def _color(ladder: Ladder, row: Row) -> str:
    if row["case"] == ladder["reference"]:
        return BLUE
    return GREY if row.get("is_same_test") or row["case"] == MAJORITY else ORANGE


def ladder_verdict(ladder: Ladder) -> list[str]:
    """How much more each other split would have promised, and how far the best is above luck."""
    sentences = []
    for task in tasks_of(ladder):
        promised = [
            f"{points_in_words(_estimate(change))} {_title(ladder, row)}"
            for row in headline_rows(ladder, task)
            if (change := row.get("minus_reference")) and not row["is_same_test"]
        ]
        if promised:
            metric = METRICS[headline_rows(ladder, task)[0]["kind"]]
            about = next(iter(metric.values())).title
            sentences.append(
                f"{task_title(task)}, what other splits would have promised in {about}, against this one: "
                f"{listed(promised)}."
            )
    return sentences + [best_verdict(each) for each in ladder.get("best", [])]


def best_verdict(best: Row) -> str:
    """How far the best encoder is above luck, on the clips of the run itself."""
    above = best["above_chance"]
    doubt = "" if above["is_certain"] else ", not certain"
    of = f" of {best['num_cases']}" if best.get("num_cases", 1) > 1 else ""
    return (
        f"{task_title(best['task'])}, the best{of} on groups that were not heard ({best['title']}): "
        f"{share(best['value'])} [{share(best['low'])}, {share(best['high'])}], "
        f"{points_in_words(_estimate(above))} above luck{doubt}."
    )


def _title(ladder: Ladder, row: Row) -> str:
    """The reference is called by the run's own split."""
    return "this run" if row["case"] == ladder["reference"] else str(row["title"])


def _value(row: Row | None, metric: Metric) -> str:
    return metric_text(_estimate(row), metric) if row is not None else "–"


def _difference(row: Row, metric: Metric) -> str:
    change = row.get("minus_reference")
    return difference_text(_estimate(change), metric) if change else ""


def _estimate(row: Row) -> Estimate:
    return Estimate(
        row["value"],
        row["low"],
        row["high"],
        int(row.get("n") or 0),
        int(row.get("num_groups") or 0),
        str(row.get("interval_over", "groups")),
    )
