"""What a tuned model answers, beside answers that need no encoder: tables, target by target."""

from collections.abc import Mapping
from dataclasses import dataclass

from audiorig.config import TargetConfig, TuningRun
from audiorig.report.scores import Estimate, Metric, Scores
from audiorig.report.tables import Table, what_was_resampled
from audiorig.report.wording import difference_text, metric_text, share, task_title

UAR = "balanced_accuracy"
# Recall of each class is a row of its own table; the first metric of a kind is its headline.
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
        "spearman": Metric("Spearman's ρ"),
        "mae": Metric("mean error, steps", "steps", 2, is_error=True),
        "kappa": Metric("kappa, quadratic"),
        "auc": Metric("AUC of high"),
    },
}
RECALL = "recall/"


@dataclass(frozen=True)
class TargetScores:
    """One target as pages show it."""

    name: str
    title: str
    question: str
    table: Table
    recalls: Table | None


def headline(kind: str) -> tuple[str, Metric]:
    """The metric that a kind of target is summed up by."""
    return next(iter(METRICS[kind].items()))


def chance(target: TargetConfig, scores: Scores, name: str, system: str) -> float:
    """What luck reaches on the headline: one over the classes, a half, or no correlation."""
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
    """The model, then what it is compared with, in the order of the file."""
    found = dict.fromkeys(who for task, who, _ in scores.estimates if task == name and " minus " not in who)
    return [system, *(who for who in found if who != system)]


def target_scores(scores: Scores, run: TuningRun, system: str) -> list[TargetScores]:
    """A table for each target that was learnt."""
    return [
        TargetScores(
            name,
            task_title(name),
            question(name, target),
            _table(scores, name, target, system),
            _recall_table(scores, name, system) if target.kind == "class" else None,
        )
        for name, target in run.used_targets.items()
        if name in scores.tasks
    ]


def question(name: str, target: TargetConfig) -> str:
    """What is asked of a clip."""
    column = target.column or name
    match target.kind:
        case "class":
            merged = ", ".join(f"{one} counts as {other}" for one, other in target.merge.items())
            return f"Which {column}?{f' ({merged}.)' if merged else ''}"
        case "binary":
            return f"Is {column} true? The threshold is the one that is best on dev."
        case "rating":
            steps = ", ".join(f"{step:g}" for step in target.steps)
            return f"Which step of {column} ({steps})? High is {target.threshold:g} and above."


def _table(scores: Scores, name: str, target: TargetConfig, system: str) -> Table:
    metrics = {
        metric: about for metric, about in METRICS[target.kind].items() if scores.get(name, system, metric) is not None
    }
    first, about_first = headline(target.kind)
    rows = tuple(
        (
            who,
            *(metric_text(scores.get(name, who, metric), about) for metric, about in metrics.items()),
            difference_text(scores.difference(name, system, who, first), about_first) if who != system else "",
        )
        for who in systems(scores, name, system)
    )
    headers = ("system", *(about.title for about in metrics.values()), f"model minus system, {about_first.title}")
    return Table(
        headers,
        rows,
        what_was_resampled(scores, name),
        numeric=frozenset(range(1, len(headers))),
        strong=frozenset({0}),
    )


def _recall_table(scores: Scores, name: str, system: str) -> Table:
    """Recall by class with its support: the clips of test that are of the class."""
    of_system: Mapping[str, Mapping[str, Estimate]] = {
        who: recalls(scores, name, who) for who in systems(scores, name, system)[:3]
    }
    shown = [who for who, found in of_system.items() if found]
    rows = tuple(
        (
            task_title(label),
            f"{each.num_items:,}",
            f"{each.num_groups:,}",
            *(_recall(of_system[who].get(label)) for who in shown),
        )
        for label, each in of_system[system].items()
    )
    headers = ("class", "test clips", "groups", *(f"recall, {who}" for who in shown))
    caption = "A class of few clips or groups has a recall that says little."
    return Table(headers, rows, caption, numeric=frozenset(range(1, len(headers))))


def _recall(each: Estimate | None) -> str:
    return "–" if each is None else f"{share(each.value)} [{share(each.low)}, {share(each.high)}]"
