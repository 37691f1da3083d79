"""The scores of a tuned model as Markdown: each target beside its controls, and what the intervals rest on.

Read and written without the modules that made the scores, which bring torch along.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What a kind of target is judged by, and what tables call it.
JUDGED_BY = {
    "class": ("balanced_accuracy", "macro_f1", "auc"),
    "binary": ("balanced_accuracy", "auc"),
    "rating": ("spearman", "mae", "auc"),
}
CALLED = {
    "balanced_accuracy": "unweighted average recall",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "spearman": "Spearman correlation",
    "mae": "mean error (lower is better)",
}
NOTHING = "It was not scored: nothing is known of how good its answers are."
HOW = (
    "Values with 95 % intervals; differences are paired, clip by clip. Permuted labels: what the same answers score "
    "when the true labels are dealt out anew. A difference whose interval holds 0 is no finding."
)

Row = Mapping[str, Any]


def answer_tables(rows: Iterable[Row], system: str) -> str:
    """All that the card says about scores.

    Args:
        rows: of ``metrics.json``.
        system: what they call the tuned model.
    """
    found = {(row["task"], row["system"], row["metric"]): row for row in rows if row.get("kind") in JUDGED_BY}
    kinds = {task: row["kind"] for (task, who, _), row in found.items() if who == system}
    if not kinds:
        return NOTHING
    lines = []
    for task, kind in kinds.items():
        for metric in JUDGED_BY[kind]:
            if (task, system, metric) in found:
                lines += _lines(found, task, system, metric)
    basis = [f"- {task}: {_basis(found, task, system)}" for task in kinds]
    table = _table(("target", "score", "system", "value", "this model minus it"), lines)
    return "\n\n".join([table, HOW, "\n".join(basis)])


def _lines(found: Mapping[tuple[str, str, str], Row], task: str, system: str, metric: str) -> list[Sequence[str]]:
    """The model, then its controls."""
    lines: list[Sequence[str]] = [(task, CALLED[metric], "this model", _value(found[task, system, metric]), "")]
    for (other, who, what), row in found.items():
        if (other, what) == (task, metric) and who != system and " minus " not in who:
            change = found.get((task, f"{system} minus {who}", metric))
            lines.append(("", "", who, _value(row), _value(change, "+") if change else ""))
    return lines


def _basis(found: Mapping[tuple[str, str, str], Row], task: str, system: str) -> str:
    row = next(row for (other, who, _), row in found.items() if (other, who) == (task, system))
    over = "groups" if row.get("interval_over", "groups") == "groups" else "clips, because there are too few groups"
    return f"{row['n']} test clips of {row['num_groups']} groups, intervals over {over}."


def _value(row: Row, sign: str = "") -> str:
    return f"{row['value']:{sign}.3f} [{row['low']:{sign}.3f}, {row['high']:{sign}.3f}]"


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (headers, ["---"] * len(headers), *lines))
