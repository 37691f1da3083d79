"""What a tuned model answers, beside answers that need no encoder: tables, target by target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audiorig.config import TargetConfig, TuningRun
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import PERMUTED
from audiorig.evaluate.intervals import MIN_GROUPS
from audiorig.evaluate.systems import MAJORITY
from audiorig.report.scores import Beside, Estimate, Metric, Scores
from audiorig.report.tables import Table
from audiorig.report.wording import difference_text, listed, metric_text, share, task_title

UAR = "balanced_accuracy"
# Correlations have a unit of their own, so that their differences are not written as points.
# The first metric of a kind is its headline; recall of each class is a row of its own table.
METRICS: dict[str, dict[str, Metric]] = {
    "class": {
        UAR: Metric("unweighted recall (UAR)"),
        "macro_f1": Metric("macro-F1"),
        "auc": Metric("AUC"),
        "accuracy": Metric("accuracy"),
    },
    "binary": {
        UAR: Metric("unweighted recall (UAR)"),
        "auc": Metric("AUC"),
        "macro_f1": Metric("macro-F1"),
        "accuracy": Metric("accuracy"),
    },
    "rating": {
        "spearman": Metric("Spearman's ρ", "ρ", 2),
        "mae": Metric("mean error on the scale", "of the scale", 2, is_error=True),
        "kappa": Metric("kappa, quadratic", "κ", 2),
        "auc": Metric("AUC of high"),
    },
}
LIMITS = {"spearman": (-1.0, 1.0), "kappa": (-1.0, 1.0), "mae": (0.0, math.inf)}
RECALL = "recall/"
MOST_RECALLS = 2  # systems whose recalls stand side by side
FEW_CLIPS = 10
LUCK = (MAJORITY, PERMUTED)  # what knows nothing of the clip


@dataclass(frozen=True)
class TargetScores:
    """One target as pages show it."""

    name: str
    title: str
    question: str
    table: Table
    recalls: Table | None


def bounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of scores whose interval ends where its metric does; few seeds stretch it beyond.

    Differences are left as they are: a row with neither metric nor system of its own, or of "a minus b".
    """
    low, high = LIMITS.get(str(row.get("metric")), (-math.inf, math.inf))
    if " minus " in str(row.get("system", "")):
        return dict(row)
    return {**row, "low": max(low, row["low"]), "high": min(high, row["high"])}


def headline(kind: str) -> tuple[str, Metric]:
    """The metric that a kind of target is summed up by."""
    return next(iter(METRICS[kind].items()))


def change_unit(metric: Metric) -> str:
    """What differences of a metric are counted in, with the space before it; of a correlation, or of steps, nothing."""
    return "" if metric.unit else " points"


def short(metric: Metric) -> str:
    """UAR of "unweighted recall (UAR)"."""
    return metric.title.partition("(")[2].rstrip(")") or metric.title


def luck_text(value: float, metric: Metric) -> str:
    """What luck reaches: .200 of a share, 0 of a correlation."""
    return share(value) if not metric.unit else f"{value:g}".replace("-", "−")


def chance(target: TargetConfig, scores: Scores, name: str, system: str) -> float:
    """What luck reaches on the headline: one over the classes of test, a half, or no correlation."""
    if target.kind == "rating":
        return 0.0
    return 0.5 if target.kind == "binary" else 1 / max(1, len(recalls(scores, name, system)))


def recalls(scores: Scores, name: str, system: str) -> dict[str, Estimate]:
    """Recall of each class that test has."""
    return {
        metric.removeprefix(RECALL): estimate
        for (task, who, metric), estimate in scores.estimates.items()
        if task == name and who == system and metric.startswith(RECALL)
    }


def systems(scores: Scores, name: str, system: str) -> list[str]:
    """The model, then what it is compared with, in the order of the file; what knows nothing goes last."""
    found = dict.fromkeys(who for task, who, _ in scores.estimates if task == name and " minus " not in who)
    others = [who for who in found if who != system]
    return [system, *(who for who in others if who not in LUCK), *(who for who in others if who in LUCK)]


def target_scores(scores: Scores, run: TuningRun, system: str, targets: Sequence[Target] = ()) -> list[TargetScores]:
    """A table for each target that was learnt.

    Args:
        targets: as the training side settled them.
    """
    settled = {target.name: target for target in targets}
    return [
        TargetScores(
            name,
            task_title(name),
            question(name, target, settled[name].answers if name in settled else ()),
            _table(scores, name, target, system),
            _recall_table(scores, name, system) if target.kind == "class" else None,
        )
        for name, target in run.used_targets.items()
        if name in scores.tasks
    ]


def question(name: str, target: TargetConfig, answers: Sequence[str] = ()) -> str:
    """What is asked of a clip."""
    column = target.column or name
    match target.kind:
        case "class":
            classes = [task_title(each).lower() for each in answers or target.classes]
            among = f": {', '.join(classes[:-1])} or {classes[-1]}" if len(classes) > 1 else ""
            merged = ", ".join(f"{one} counts as {other}" for one, other in target.merge.items())
            return f"Which {column}{among}?{f' {merged[:1].upper()}{merged[1:]}.' if merged else ''}"
        case "binary":
            return f"{task_title(column)}: yes or no? How sure the model must be for a yes was chosen on dev."
        case "rating":
            first, last = (f"{step:g}" for step in (target.steps[0], target.steps[-1]))
            return (
                f"Which step of {column}, from {first} to {last}? AUC asks whether it is {target.threshold:g} or more."
            )


def constant(estimate: Estimate) -> Estimate:
    """The score of one answer for all clips, without its interval.

    In a draw that lacks a class such an answer has a higher mean recall: its interval would tell of
    the draws, not of what guessing reaches.
    """
    return replace(estimate, low=estimate.value, high=estimate.value)


def value_text(estimate: Estimate | None, metric: Metric) -> str:
    """A value without its interval."""
    return metric_text(estimate, metric).split(" [")[0]


def _value(scores: Scores, name: str, who: str, metric: str, about: Metric) -> str:
    write = value_text if who == MAJORITY else metric_text
    return write(scores.get(name, who, metric), about)


def _table(scores: Scores, name: str, target: TargetConfig, system: str) -> Table:
    metrics = {
        metric: about for metric, about in METRICS[target.kind].items() if scores.get(name, system, metric) is not None
    }
    first, about_first = headline(target.kind)
    rows = tuple(
        (
            who,
            *(_value(scores, name, who, metric, about) for metric, about in metrics.items()),
            difference_text(scores.difference(name, system, who, first), about_first) if who != system else "",
        )
        for who in systems(scores, name, system)
    )
    unit = change_unit(about_first)
    headers = (
        "system",
        *(about.title for about in metrics.values()),
        f"model minus system: {short(about_first)}{unit and f',{unit}'}",
    )
    return Table(
        headers,
        rows,
        _what_it_rests_on(scores, name, system),
        numeric=frozenset(range(1, len(headers))),
        strong=frozenset({0}),
    )


def _what_it_rests_on(scores: Scores, name: str, system: str) -> str:
    """Clips and groups, and what brackets mean in each row."""
    mine = next(each for (task, who, _), each in scores.estimates.items() if (task, who) == (name, system))
    unit = "groups" if mine.interval_over == "groups" else "clips, as there are too few groups"
    groups = f"{mine.num_groups:,} group{'' if mine.num_groups == 1 else 's'}"
    found = [f"{mine.num_items:,} test clips of {groups}. Brackets: 95 % intervals of a bootstrap over {unit}."]
    present = systems(scores, name, system)
    if PERMUTED in present:
        found.append("Those of permuted labels: where 95 % of the shuffles lie.")
    if MAJORITY in present:
        found.append("Majority always gives one answer and stands without them.")
    return " ".join(found)


def _recall_table(scores: Scores, name: str, system: str) -> Table:
    """Recall by class with its support: the clips of test that are of the class."""
    of_system: Mapping[str, Mapping[str, Estimate]] = {
        who: found for who in systems(scores, name, system) if who not in LUCK and (found := recalls(scores, name, who))
    }
    shown = list(of_system)[:MOST_RECALLS]
    rows = tuple(
        (
            task_title(label),
            f"{each.num_items:,}",
            f"{each.num_groups:,}",
            *(_recall(of_system[who].get(label)) for who in shown),
        )
        for label, each in of_system.get(system, {}).items()
    )
    headers = ("class", "test clips", "groups", *(f"recall, {who}" for who in shown))
    few = [row[0] for row, each in zip(rows, of_system.get(system, {}).values(), strict=True) if _is_little(each)]
    caption = f"Of {listed(few)} there are few clips or groups: the recall says little." if few else ""
    return Table(headers, rows, caption, numeric=frozenset(range(1, len(headers))))


def _is_little(recall: Estimate) -> bool:
    return recall.num_items < FEW_CLIPS or recall.num_groups < MIN_GROUPS


def _recall(each: Estimate | None) -> str:
    return "–" if each is None else f"{share(each.value)} [{share(each.low)}, {share(each.high)}]"


def beside_answers(beside: Beside, run: TuningRun) -> Table:
    """This run minus another, score by score, each in its own unit."""
    rows = []
    for (task, name), estimate in beside.differences.items():
        about = METRICS[run.targets[task].kind].get(name) if task in run.targets else None
        if about is None:
            continue
        is_better = estimate.direction == ("below" if about.is_error else "above")
        rows.append(
            (
                task_title(task),
                about.title,
                f"{difference_text(estimate, about)}{change_unit(about)}",
                "not certain" if estimate.direction == "uncertain" else "better" if is_better else "worse",
                f"{estimate.num_items:,}",
                f"{estimate.num_groups:,}",
            )
        )
    headers = ("target", "metric", f"this run minus {beside.name}", "it is", "test clips", "groups")
    caption = "Both runs on the same clips and the same draws (paired)."
    return Table(headers, tuple(rows), caption, numeric=frozenset({2, 4, 5}))
