"""Results as plain tables, before any HTML."""

from dataclasses import dataclass

from audiorig.report.scores import Beside, Scores, metric_of
from audiorig.report.wording import CHANGE, difference_text, task_title


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first column names the row.

    Attributes:
        numeric: columns that are set to the right.
        strong: rows that are set off.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()


def what_was_resampled(scores: Scores, task: str) -> str:
    """What the intervals of a task rest on."""
    for (which, _, _), estimate in scores.estimates.items():
        if which == task:
            unit = "groups" if estimate.interval_over == "groups" else "clips, because there are too few groups"
            groups = f"{estimate.num_groups} group{'' if estimate.num_groups == 1 else 's'}"
            return f"{estimate.num_items} test items of {groups}; 95 % intervals: a bootstrap over {unit}."
    return ""


def what_was_pretrained(scores: Scores, task: str, system: str) -> str:
    """Whether the encoder has heard what it is tested on."""
    mine = scores.get(task, system)
    if mine is None or not mine.num_pretrained:
        return ""
    return (
        f" {mine.num_pretrained} of the test items are of the encoder's own training side, which it heard unlabelled."
    )


def beside_table(beside: Beside) -> Table:
    """This run minus another, score by score."""
    rows = []
    for (task, name), estimate in beside.differences.items():
        metric = metric_of(name)
        direction = CHANGE[estimate.direction]
        if metric.is_error:
            direction += "" if estimate.direction == "uncertain" else ", less is better"
        rows.append(
            (
                task_title(task),
                metric.title,
                f"{difference_text(estimate, metric)} {metric.unit or 'points'}",
                direction,
                f"{estimate.num_items:,}",
                f"{estimate.num_groups:,}",
            )
        )
    headers = ("task", "metric", f"this run minus {beside.name}", "it is", "test items", "groups")
    caption = "Both runs on the same items and the same draws (paired)."
    return Table(headers, tuple(rows), caption, numeric=frozenset({2, 4, 5}))
