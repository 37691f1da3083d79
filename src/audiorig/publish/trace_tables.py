"""What the card of a network of traces says: what it learnt from, and its scores beside baselines and nulls.

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

TRACE_GROUPS = {
    "song": "songs of which it heard nothing (their listeners may be on several sides)",
    "subject": "listeners of whom it learnt nothing (the songs may be on several sides)",
    "both": "songs and listeners of which it learnt nothing",
    "ordered": "other traces: songs and listeners are on several sides, so that their scores say nothing of new ones",
}

Row = Mapping[str, Any]


def trained_on(split: Mapping[str, Any], heard: str, *, is_control: bool, is_private: bool) -> str:
    """How much the network learnt from, and how the other sides differ.

    Args:
        split: its ``split_summary.json``.
        heard: for how long it was trained.
        is_control: the traces were those of other songs.
    """
    sides, group = split.get("sides", {}), str(split.get("group", "song"))
    lines = [f"{_traces(sides['train'])} are on the training side."] if "train" in sides else []
    lines.append(heard)
    others = [f"{name} ({_traces(sides[name])})" for name in ("dev", "test") if name in sides]
    if others:
        lines.append(f"The other sides, {' and '.join(others)}, are {TRACE_GROUPS[group]}.")
    if is_control:
        lines.append("It is a control: the traces it learnt from are those of other songs than it heard.")
    if is_private:
        lines.append("Songs and traces are private: nothing of them is here but these weights and counts.")
    return "\n".join(lines)


def _traces(side: Row) -> str:
    return f"{side['num_files']:,} traces of {side['num_subjects']:,} listeners hearing {side['num_songs']:,} songs"


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
