"""What the scores of a tuned model say, in sentences."""

from collections.abc import Mapping

from audiorig.config import TargetConfig, TuningRun
from audiorig.report.answers import LUCK, chance, change_unit, headline, luck_text, systems
from audiorig.report.inputs import RunInputs
from audiorig.report.ladder import is_short, ladder_verdict
from audiorig.report.scores import Beside, Estimate, Metric, Scores
from audiorig.report.wording import difference_text, listed, metric_text, share, task_title

SELDOM = 0.05  # what shuffled labels may reach so often and no more


def tuned_verdict(inputs: RunInputs, run: TuningRun, where: str) -> list[str]:
    """A sentence for each target, then what other splits would have promised, and where training ended.

    Of several targets the sentences about the ladder stand beside its table: here they would hide the others.
    """
    found = [
        target_sentence(
            inputs.scores,
            inputs.system,
            name,
            target,
            where,
            p_value=inputs.luck.get((name, headline(target.kind)[0])),
            shuffles=run.score.shuffles,
        )
        for name, target in run.used_targets.items()
    ]
    found += ladder_verdict(inputs.ladder) if is_short(inputs.ladder) else []
    found.append(outcome_sentence(inputs, run))
    return [sentence for sentence in found if sentence]


def target_sentence(
    scores: Scores,
    system: str,
    name: str,
    target: TargetConfig,
    where: str = "",
    *,
    p_value: float | None = None,
    shuffles: int = 0,
) -> str:
    """E.g. "Reason on held-out participants: unweighted recall (UAR) .412 [.350, .470], above luck (.200; ...); ...".

    Args:
        p_value: how often shuffled labels score as well, the true ones counted as one of ``shuffles`` + 1.
    """
    metric, about = headline(target.kind)
    mine = scores.get(name, system, metric)
    if mine is None:
        return ""
    luck = chance(target, scores, name, system)
    reached = "; ".join(filter(None, (luck_text(luck, about), shuffles_text(p_value, shuffles))))
    clauses = [
        f"{about.title} {metric_text(mine, about)}, {against_luck(mine, luck, p_value)} ({reached})",
        *compared(
            {
                who: difference
                for who in systems(scores, name, system)[1:]
                if who not in LUCK and (difference := scores.difference(name, system, who, metric)) is not None
            },
            about,
        ),
    ]
    return f"{task_title(name)}{where}: {'; '.join(clauses)}."


def against_luck(mine: Estimate, luck: float, p_value: float | None) -> str:
    """Above luck is what lies above it with its whole interval, and what shuffled labels seldom reach."""
    if mine.low > luck and (p_value is None or p_value <= SELDOM):
        return "above luck"
    return "below luck" if mine.high < luck else "not certain to be above luck"


def shuffles_text(p_value: float | None, shuffles: int) -> str:
    """E.g. "luck alone reaches this in 1 of 201 shuffles", where the true labels are counted as one."""
    if p_value is None:
        return ""
    reached = p_value * (shuffles + 1)
    if abs(reached - round(reached)) > 0.01:  # some shuffles had no score
        return f"luck alone reaches this with p = {share(p_value)}"
    return f"luck alone reaches this in {round(reached)} of {shuffles + 1} shuffles"


def compared(differences: Mapping[str, Estimate], about: Metric) -> list[str]:
    """Differences to controls in words; one whose interval holds 0 is no finding."""
    unit, clauses, uncertain = change_unit(about), [], []
    for control, difference in differences.items():
        text = difference_text(difference, about)
        if difference.direction == "uncertain":
            uncertain.append(f"{control} ({text.replace(' [', f'{unit} [', 1)})")
        else:
            value, interval = text.split(" ", 1)
            clauses.append(f"{value.lstrip('+−')}{unit} {difference.direction} {control} {interval}")
    return [*clauses, *([f"not certain to differ from {listed(uncertain)}"] if uncertain else [])]


def outcome_sentence(inputs: RunInputs, run: TuningRun) -> str:
    """Where training ended, and which weights were kept, if it chose."""
    found = next((entry for entry in reversed(inputs.history) if "weights_step" in entry), None)
    if found is None:
        return ""
    last, kept, best = (int(found[name] or 0) for name in ("step", "weights_step", "best_step"))
    ended = f"Training ended with step {last:,}"
    if found.get("stopped_early_at") is not None:
        patience = run.train.selection.patience
        ended = f"Training stopped early, at step {last:,} of {run.train.max_steps:,}"
        if patience:
            ended += f": {patience} evaluation{'' if patience == 1 else 's'} in a row brought no gain on dev"
    if not best:
        return f"{ended}. The weights are those of step {kept:,}; no evaluation on dev gave a number to choose by."
    by = f"{selected_by(run)} {_plain(found['best_value'])}"
    if kept == best:
        return f"{ended}. The weights are those of step {kept:,}, the best on dev ({by})."
    return f"{ended}, whose weights these are; dev was best at step {best:,} ({by})."


def selected_by(run: TuningRun) -> str:
    """What dev was judged by, in words."""
    metric = run.train.selection.metric
    if metric == "total":
        return "whole loss"
    if metric == "uar":
        return "mean UAR of all targets"
    kind, _, target = metric.partition("_")
    known = {"uar": "UAR", "mae": "mean error", "accuracy": "accuracy"}
    return f"{known[kind]} of {task_title(target).lower()}" if kind in known and target else metric.replace("_", " ")


def _plain(value: float) -> str:
    return f"{float(value):.3g}".replace("-", "−")


def beside_sentences(beside: Beside, run: TuningRun) -> list[str]:
    """A sentence a target against another run, by the headline; e.g. "Reason: UAR +1.4 points [...] against x"."""
    words = {"above": "better", "below": "worse", "uncertain": "not certain"}
    found = []
    for name, target in run.used_targets.items():
        metric, about = headline(target.kind)
        if (difference := beside.differences.get((name, metric))) is not None:
            text = difference_text(difference, about).replace(" [", f"{change_unit(about)} [", 1)
            found.append(
                f"{task_title(name)}: {about.title} {text} against {beside.name}: {words[difference.direction]}."
            )
    return found


def accuracy_note(inputs: RunInputs, run: TuningRun) -> list[str]:
    """That accuracy flatters where one class is most of the clips."""
    return [
        sentence
        for name, target in run.used_targets.items()
        if target.kind == "class" and (sentence := flattered(inputs.scores, name))
    ]


def flattered(scores: Scores, name: str) -> str:
    """Of a target whose commonest class is half of the clips or more."""
    majority = scores.get(name, "majority", "accuracy")
    if majority is None or majority.value < 0.5:
        return ""
    return (
        f"{task_title(name)}: always answering the commonest class has an accuracy of {share(majority.value)} and an "
        "unweighted recall of luck. Read the recall, not the accuracy."
    )


def unreadable(inputs: RunInputs) -> str:
    """How many clips of test no score is about."""
    number = inputs.num_unreadable
    if not number:
        return ""
    clips, them = ("1 clip", "it") if number == 1 else (f"{number:,} clips", "them")
    return f"{clips} of test could not be read: no score is about {them}."
