"""Whether further training helped: the encoder after it beside the one that it began with."""

from collections.abc import Mapping

from audiorig.config import HomeWav2Vec2Run
from audiorig.evaluate.systems import BEFORE
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import ON_PRETEXT, PRETEXT, Estimate
from audiorig.report.tables import Table, what_was_resampled
from audiorig.report.wording import difference_text, listed, metric_text, points_in_words, task_title, with_interval

CERTAIN = {"above": "better", "below": "worse", "uncertain": "not certain to differ"}


def what_it_is(inputs: RunInputs) -> str:
    """What the training is called: from random numbers there is nothing to adapt."""
    return "training from scratch" if inputs.base.get("seeded") else "adaptation"


def overall_verdict(inputs: RunInputs) -> str:
    """E.g. "Does adaptation help? Yes on Voice class; not certain on Activity and Language."."""
    changes = {
        task: change
        for task in inputs.scores.tasks
        if (change := inputs.scores.difference(task, inputs.system, BEFORE))
    }
    asked = f"Does {what_it_is(inputs)} help?"
    if not changes:
        return (
            f"{asked} It was not asked: the encoder that it began with was not probed." if inputs.scores.tasks else ""
        )
    answers = {"above": "yes, on", "uncertain": "not certain on", "below": "no, worse on"}
    found = []
    for direction, answer in answers.items():
        if tasks := [task_title(task) for task, each in changes.items() if each.direction == direction]:
            found.append(f"{answer} {listed(tasks)}")
    against = " (against the random checkpoint that it began with)" if inputs.base.get("seeded") else ""
    text = "; ".join(found)
    return f"{asked} {text[:1].upper()}{text[1:]}{against}.{_how_few(changes)}"


def _how_few(changes: Mapping[str, Estimate]) -> str:
    """That an interval over clips says nothing of other people."""
    few = [each.num_groups for each in changes.values() if _over(each)]
    return f" Tested on {max(few)} groups, so this is certain of these alone." if few else ""


def change_clauses(inputs: RunInputs, task: str) -> list[str]:
    """E.g. "accuracy .712 [.650, .770] after, .650 [.590, .700] before" and "+6.2 points [+2.1, +10.4], better"."""
    after, before = inputs.scores.get(task, inputs.system), inputs.scores.get(task, BEFORE)
    change = inputs.scores.difference(task, inputs.system, BEFORE)
    if before is None or change is None:
        return [f"accuracy {with_interval(after)}"]
    return [
        f"accuracy {with_interval(after)} after, {with_interval(before)} before",
        f"{points_in_words(change)}, {CERTAIN[change.direction]}{_over(change)}",
    ]


def _over(change: Estimate) -> str:
    return " for these participants" if change.interval_over == "clips" and change.direction != "uncertain" else ""


def pretext_table(inputs: RunInputs) -> Table:
    """The pre-training task on the test side, before and after: the same crops, the same hidden frames."""
    scores, system = inputs.scores, inputs.system
    rows = []
    for name, metric in ON_PRETEXT.items():
        after, before = (scores.get(PRETEXT, each, name) for each in (system, BEFORE))
        if after is not None:
            change = scores.difference(PRETEXT, system, BEFORE, name)
            title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
            texts = (metric_text(after, metric), metric_text(before, metric), difference_text(change, metric))
            rows.append((title, *texts))
    caption = what_was_resampled(scores, PRETEXT)
    return Table(("on test", "after", "before", "change"), tuple(rows), caption, numeric=frozenset({1, 2, 3}))


def base_facts(inputs: RunInputs, run: HomeWav2Vec2Run) -> dict[str, str]:
    """What the training began with."""
    base = inputs.base
    name = str(base.get("name") or run.model.base)
    if base.get("seeded"):
        return {"base checkpoint": f"{name}: random numbers in the published format, so trained from scratch"}
    source = base.get("hub_id") or base.get("repo")
    return {
        "base checkpoint": f"{name} ({source})" if source else name,
        "its revision": str(base.get("revision") or "not known"),
    }


def scratch_warnings(inputs: RunInputs) -> list[str]:
    """That nothing was adapted."""
    base = inputs.base
    if not base.get("seeded"):
        return []
    return [
        f"The model was trained from scratch: {base.get('name', 'its base')} holds random numbers, made here in the "
        "published format. The page shows that training teaches something, not what a published model gains from home "
        "recordings. “Before adaptation” is that random checkpoint."
    ]
