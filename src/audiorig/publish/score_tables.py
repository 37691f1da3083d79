"""The scores of ``metrics.json`` as Markdown: before and after, beside the controls, and what they rest on.

Read and written here without the report's modules, which bring torch along: a look at what would be
published takes half a second so, not five.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

BEFORE = "before adaptation"
ACCURACY = "accuracy"
METRICS = (ACCURACY, "balanced_accuracy", "macro_f1")
CALLED = {"random-init": "untrained encoder"}
SAID = {
    "above": "Higher after the training than before",
    "below": "Lower after the training than before",
    "uncertain": "Not certain to have changed",
}
NOTHING = "No probe was run: nothing is known of what its features are good for."
HOW = (
    "Linear probes on frozen features; values with 95 % intervals, differences in percentage points, paired item by "
    "item. A difference whose interval holds 0 is no finding."
)

Row = Mapping[str, Any]


class ProbeScores:
    """The rows of the tasks on which a system was probed by accuracy."""

    def __init__(self, rows: Iterable[Row], system: str) -> None:
        self.system = system
        self._rows = {(row["task"], row["system"], row["metric"]): row for row in rows}
        self.tasks = list(dict.fromkeys(task for task, who, what in self._rows if (who, what) == (system, ACCURACY)))

    def get(self, task: str, system: str, metric: str = ACCURACY) -> Row | None:
        return self._rows.get((task, system, metric))

    def difference(self, task: str, control: str, metric: str = ACCURACY) -> Row | None:
        """The system minus a control, paired."""
        return self.get(task, f"{self.system} minus {control}", metric)

    def controls(self, task: str) -> list[str]:
        """All other systems of a task, without layers, seeds and differences."""
        names = [who for which, who, what in self._rows if (which, what) == (task, ACCURACY)]
        return [
            name for name in names if name not in (self.system, BEFORE) and ", " not in name and " minus " not in name
        ]


def score_tables(rows: Iterable[Row], system: str) -> str:
    """All that the card says about scores."""
    scores = ProbeScores(rows, system)
    if not scores.tasks:
        return NOTHING
    return "\n\n".join(part for part in (_before_after(scores), _controls(scores), HOW, _basis(scores)) if part)


def _before_after(scores: ProbeScores) -> str:
    """A table, and what it says in one sentence for each direction; "" where nothing was there before."""
    lines: list[Sequence[str]] = []
    found: dict[str, list[str]] = {direction: [] for direction in SAID}
    for task in scores.tasks:
        for metric in METRICS:
            if (change := scores.difference(task, BEFORE, metric)) is None:
                continue
            before, after = scores.get(task, BEFORE, metric), scores.get(task, scores.system, metric)
            lines.append((_title(task), metric.replace("_", " "), _value(before), _value(after), _points(change)))
            if metric == ACCURACY:
                found[_direction(change)].append(_title(task))
    if not lines:
        return ""
    sentences = " ".join(f"{SAID[direction]}: {', '.join(tasks)}." for direction, tasks in found.items() if tasks)
    return f"{_table(('task', 'score', 'before', 'after', 'after minus before'), lines)}\n\n{sentences}"


def _controls(scores: ProbeScores) -> str:
    """The model beside what needs no training."""
    lines: list[Sequence[str]] = []
    for task in scores.tasks:
        lines.append((_title(task), "this model", _value(scores.get(task, scores.system)), ""))
        for name in scores.controls(task):
            change = _points(scores.difference(task, name))
            lines.append(("", CALLED.get(name, name), _value(scores.get(task, name)), change))
    return _table(("task", "system", "accuracy", "this model minus it"), lines)


def _basis(scores: ProbeScores) -> str:
    """How many items and groups the intervals rest on, and whether the model has heard some of them."""
    lines = []
    for task in scores.tasks:
        row = scores.get(task, scores.system) or {}
        over = "groups" if row.get("interval_over", "groups") == "groups" else "clips, because there are too few groups"
        heard = (
            f"; {row['num_pretrained']} of them it heard, unlabelled, in training" if row.get("num_pretrained") else ""
        )
        items = f"{row['n']} test items of {row['num_groups']} groups"
        lines.append(f"- {_title(task)}: {items}, intervals over {over}{heard}.")
    return "\n".join(lines)


def _direction(difference: Row) -> Literal["above", "below", "uncertain"]:
    if difference["low"] > 0:
        return "above"
    return "below" if difference["high"] < 0 else "uncertain"


def _value(row: Row | None) -> str:
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" if row else ""


def _points(row: Row | None) -> str:
    return f"{100 * row['value']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]" if row else ""


def _title(task: str) -> str:
    text = task.replace("-", " ").replace("_", " ")
    return text[:1].upper() + text[1:]


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (headers, ["---"] * len(headers), *lines))
