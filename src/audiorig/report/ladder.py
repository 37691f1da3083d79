"""The leakage ladder as a table, a picture and sentences: one model, with one thing changed in each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiorig.evaluate.ladder import HEADLINE
from audiorig.evaluate.systems import MAJORITY
from audiorig.report.answer_figures import Sized, score_panels
from audiorig.report.answers import METRICS, bounded, change_unit, constant, short, value_text
from audiorig.report.figures import BLUE, GREEN, GREY, ORANGE, Dot, Panel
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


@dataclass(frozen=True)
class TargetLadder:
    """The cases of one target: their scores, and how many clips of each answer they were tested on."""

    title: str
    scores: Table
    support: Table


def ladder_tables(ladder: Ladder, mine: str = THIS_RUN) -> list[TargetLadder]:
    """Cases by rows, target by target.

    Args:
        mine: what the reference is called.
    """
    return [
        TargetLadder(task_title(task), _scores_table(ladder, task, mine), _support_table(ladder, task, mine))
        for task in tasks_of(ladder)
        if headline_rows(ladder, task)
    ]


def _scores_table(ladder: Ladder, task: str, mine: str) -> Table:
    """The headline and its difference to the run itself, the other metrics, and on how many clips."""
    found = headline_rows(ladder, task)
    metrics, about = METRICS[found[0]["kind"]], _about(found[0])
    (headline, *others) = metrics.items()
    rows = tuple(
        (
            _title(ladder, row, mine),
            *_values(ladder, row, dict([headline])),
            _difference(row),
            *_values(ladder, row, dict(others)),
        )
        for row in found
    )
    unit = change_unit(about)
    headers = (
        "what is changed",
        about.title,
        f"minus {mine}{unit and f',{unit}'}",
        *(metric.title for _, metric in others),
    )
    strong = frozenset(number for number, row in enumerate(found) if row["case"] == ladder["reference"])
    return Table(headers, rows, _caption(ladder), numeric=frozenset(range(1, len(headers))), strong=strong)


def _support_table(ladder: Ladder, task: str, mine: str) -> Table:
    """Test clips of each answer."""
    found = [row for row in headline_rows(ladder, task) if not _is_luck(row)]
    answers = dict.fromkeys(label for row in found for label in row.get("support", {}))
    rows = tuple(
        (
            _title(ladder, row, mine),
            f"{row['n']:,}",
            f"{row['num_groups']:,}",
            *(f"{row['support'].get(label, 0):,}" for label in answers),
        )
        for row in found
    )
    headers = ("what is changed", "test clips", "groups", *(task_title(label) for label in answers))
    return Table(headers, rows, numeric=frozenset(range(1, len(headers))))


def _values(ladder: Ladder, row: Row, shown: Mapping[str, Metric]) -> list[str]:
    """Some metrics of one case; one answer for all clips stands without intervals."""
    of_case = {
        each["metric"]: each for each in ladder["rows"] if (each["task"], each["case"]) == (row["task"], row["case"])
    }
    write = value_text if _is_luck(row) else metric_text
    return [write(_estimate(of_case[metric]) if metric in of_case else None, about) for metric, about in shown.items()]


def _caption(ladder: Ladder) -> str:
    seeds = sorted({seed for row in ladder.get("rows", []) for seed in row.get("seeds", [])})
    if not seeds:
        return ""
    many = f"Means over seeds {', '.join(map(str, seeds))}. " if len(seeds) > 1 else "One seed each. "
    return (
        f"{many}Brackets: 95 % intervals of a bootstrap over groups{' and seeds' if len(seeds) > 1 else ''}. Where "
        "both rows were tested on the same clips, the difference is paired. All rows share their draws, so an interval "
        "may differ a little from that of the same score elsewhere."
    )


def ladder_dots(ladder: Ladder, mine: str = THIS_RUN) -> Sized | None:
    """Headline scores of all cases, the run itself first, with what luck reaches."""
    panels = []
    for task in tasks_of(ladder):
        rows = headline_rows(ladder, task)
        dots = [
            Dot(
                _title(ladder, row, mine),
                constant(_estimate(row)) if _is_luck(row) else _estimate(row),
                _color(ladder, row),
                not _is_luck(row),
            )
            for row in rows
        ]
        if rows:
            panels.append(Panel(task_title(task), dots, rows[0]["chance"], _about(rows[0]).title))
    if not panels:
        return None
    return score_panels(
        panels,
        "Headline scores of the cases with 95 % intervals, by target.",
        _what_colors_mean(ladder, mine),
        most_columns=2,
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


def is_short(ladder: Ladder) -> bool:
    """Whether the sentences about a ladder are few enough to stand at the top of a page."""
    return len(tasks_of(ladder)) == 1


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
    told = [each for each in ladder.get("best", []) if each["case"] != ladder["reference"] or each["num_cases"] > 1]
    return sentences + [best_verdict(ladder, each, mine) for each in told]


def _same_clips(ladder: Ladder, task: str, rows: Sequence[Row], mine: str) -> list[str]:
    """E.g. "Reason, by UAR against this run on the same test clips, better: WavLM (+5.1 points [...]); worse: ..."."""
    if not rows:
        return []
    words = {"above": "better", "below": "worse", "uncertain": "not certain to differ"}
    told = [
        f"{word}: {listed(found)}"
        for direction, word in words.items()
        if (found := [_told(ladder, row) for row in rows if _direction(row) == direction])
    ]
    return [
        f"{task_title(task)}, by {short(_about(rows[0]))} against {mine} on the same test clips, {'; '.join(told)}."
    ]


def _other_clips(ladder: Ladder, task: str, rows: Sequence[Row], mine: str) -> list[str]:
    """E.g. "Reason, what other test clips would have promised in UAR against this run: by clip +21.0 points [...]"."""
    if not rows:
        return []
    told = listed([_told(ladder, row, ", not certain" * (_direction(row) == "uncertain")) for row in rows])
    promised = f"what other splits would have promised in {short(_about(rows[0]))}, against {mine}"
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
        f"{short(about)} {metric_text(_estimate(best), about)}, {change} against luck"
        f"{'' if above['is_certain'] else ', not certain'}."
    )


def _kind(ladder: Ladder, task: str) -> str:
    return next(str(row["kind"]) for row in ladder["rows"] if row["task"] == task)


def _title(ladder: Ladder, row: Row, mine: str = THIS_RUN) -> str:
    """The reference is called by what it is to the reader."""
    return mine if row["case"] == ladder["reference"] else str(row["title"])


def _about(row: Row) -> Metric:
    return METRICS[row["kind"]][row["metric"]]


def _difference(row: Row) -> str:
    change = row.get("minus_reference")
    return difference_text(_estimate(change), _about(row)) if change else ""


def _estimate(row: Row) -> Estimate:
    row = bounded(row)
    return Estimate(
        row["value"],
        row["low"],
        row["high"],
        int(row.get("n") or 0),
        int(row.get("num_groups") or 0),
        str(row.get("interval_over", "groups")),
    )
