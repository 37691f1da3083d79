"""The scores of predicted traces as Markdown: each dataset's, beside baselines and nulls, in the same table.

Read and written without the modules that made the scores, which bring torch along.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

METRICS = {"pearson": "r", "mse": "mse", "sd_ratio": "sd_ratio"}  # what tables call them
JUDGED_BY = "pearson"
# One p-value for each null: the metric that holds it, and what the null does.
NULLS = {"p_permuted_songs": "of other songs", "p_shifted": "shifted in time"}
NOTHING = "It was not scored: nothing is known of how good its curves are."
HOW = (
    "Of each trace, then the mean over a song's listeners and over songs, with 95 % intervals. A null is what the same "
    "predictions score where they cannot know anything of the song: a raw r says nothing without it, for all traces "
    "drift alike. The ceiling is how well listeners of one song agree; the mean of other listeners (song-mean) is no "
    "prediction for a new song. sd_ratio: how much of a trace's deviation a prediction has."
)

Row = Mapping[str, Any]


def trace_tables(rows: Iterable[Row], system: str, normalization: str) -> str:
    """All that the card says about scores.

    Args:
        rows: of ``metrics.json``.
        system: what they call the network.
        normalization: what the traces are in, for the sentence above the table.
    """
    found = {(row["task"], row["system"], row["metric"]): row for row in rows}
    datasets = list(dict.fromkeys(task for task, who, what in found if (who, what) == (system, JUDGED_BY)))
    if not datasets:
        return NOTHING
    lines: list[Sequence[str]] = []
    for dataset in datasets:
        systems = dict.fromkeys(who for task, who, _ in found if task == dataset and " minus " not in who)
        for who in sorted(systems, key=lambda name: name != system):
            values = [_value(found.get((dataset, who, metric))) for metric in METRICS]
            if any(values):
                lines.append((dataset if who == system else "", "this network" if who == system else who, *values))
    table = _table(("dataset", "system", *METRICS.values()), lines)
    basis = "\n".join(_basis(found, dataset, system) for dataset in datasets)
    return "\n\n".join((f"Scores are of {normalization}.", table, HOW, basis))


def _basis(found: Mapping[tuple[str, str, str], Row], dataset: str, system: str) -> str:
    """What the intervals rest on, and what the nulls say."""
    row = found[dataset, system, JUDGED_BY]
    line = f"- {dataset}: {row['n']} test traces of {row['num_groups']} songs"
    for metric, what in NULLS.items():
        if (null := found.get((dataset, system, metric))) is not None:
            line += f"; p {null['value']:.3f} against predictions {what}"
    return f"{line}."


def _value(row: Row | None) -> str:
    if row is None or row.get("value") is None:
        return ""
    if row.get("low") is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (headers, ["---"] * len(headers), *lines))
