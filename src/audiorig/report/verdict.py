"""What the numbers say, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from audiorig.config import Audio2EdaRun, HomeWav2Vec2Run, ProbeTask, TuningRun
from audiorig.evaluate.baselines import LOG_MEL, LOG_MEL_DELTAS, LOG_MEL_LEVELLED, MFCC
from audiorig.evaluate.systems import BEFORE, RANDOM
from audiorig.report.adaptation import change_clauses, overall_verdict
from audiorig.report.eda.verdict import eda_verdict
from audiorig.report.inputs import RunInputs
from audiorig.report.rebuilt import pitch_verdict, reconstruction_verdict
from audiorig.report.scores import Beside
from audiorig.report.tuned_verdict import beside_sentences, tuned_verdict
from audiorig.report.wording import compared, points_in_words, task_title

CALLED = {LOG_MEL: "log-mel", RANDOM: "an untrained encoder"}
OTHERS = (LOG_MEL_LEVELLED, LOG_MEL_DELTAS, MFCC)
GROUPS = {"participant": "participants", "recording": "recordings", "clip": "clips"}


def verdict(inputs: RunInputs) -> list[str]:
    """What adaptation changed; a sentence for each task, alone and against another run; reconstruction and pitch."""
    if isinstance(inputs.run, TuningRun):
        held = f" on held-out {GROUPS.get(kept_apart(inputs.split), 'groups')}"
        beside = [beside_sentences(each, inputs.run) for each in inputs.beside]
        return [*tuned_verdict(inputs, inputs.run, held), *(sentence for each in beside for sentence in each)]
    if isinstance(inputs.run, Audio2EdaRun):
        return eda_verdict(inputs)
    tasks = inputs.run.probe.tasks
    sentences = [overall_verdict(inputs)] if isinstance(inputs.run, HomeWav2Vec2Run) else []
    sentences += [task_verdict(inputs, name, held_out(tasks.get(name), inputs.split)) for name in inputs.scores.tasks]
    for each in inputs.beside:
        sentences += beside_verdict(each, inputs.scores.tasks)
    sentences.append(reconstruction_verdict(inputs.scores, inputs.system))
    sentences.append(pitch_verdict(inputs.scores, inputs.system))
    return [sentence for sentence in sentences if sentence]


def kept_apart(split: Mapping[str, Any]) -> str:
    """What lies on one side only: of people who are not known it is recordings."""
    group = str(split.get("group"))
    has_unknown = any(side.get("num_unknown") for side in split.get("sides", {}).values())
    return "recording" if group == "participant" and has_unknown else group


def held_out(task: ProbeTask | None, split: Mapping[str, Any]) -> str:
    """What the tested clips have not in common with those learnt from."""
    if task is None:
        return ""
    match task.assign:
        case "split":
            return f" on held-out {GROUPS.get(kept_apart(split), 'groups')}"
        case "values":
            return f" ({task.column} {', '.join(task.train_values)} to {', '.join(task.test_values)})"
        case "shots":
            return f" ({task.shots} clip{'' if task.shots == 1 else 's'} of each to learn from)"
        case "rotate":
            return f" (each of {task.folds} parts tested once)"


def task_verdict(inputs: RunInputs, task: str, where: str = "") -> str:
    """E.g. "Language on held-out participants: accuracy .965 [...]; 31.9 points above log-mel [...]".

    Of the spectral controls but log-mel the best is named, and each that the encoder is not certain to be above.
    Where further training is asked about, what that changed goes first, and of those controls the best must do.
    """
    scores, system = inputs.scores, inputs.system
    if scores.get(task, system) is None:
        return ""
    differences = {control: scores.difference(task, system, control) for control in (*CALLED, *OTHERS)}
    best = max((LOG_MEL, *OTHERS), key=lambda control: getattr(scores.get(task, control), "value", -1.0))
    names_all = scores.difference(task, system, BEFORE) is None
    named = {
        CALLED.get(control, control): difference
        for control, difference in differences.items()
        if difference and (control in CALLED or control == best or (names_all and difference.direction != "above"))
    }
    clauses = [*change_clauses(inputs, task), *compared(named)]
    return f"{task_title(task)}{where}: {'; '.join(clauses)}."


def beside_verdict(beside: Beside, tasks: Sequence[str]) -> list[str]:
    """One sentence a probe task, e.g. "Language: +1.4 points [+0.2, +2.9] against wavemae: better"."""
    wording = {"above": "better", "below": "worse", "uncertain": "not certain"}
    sentences = []
    for task in tasks:
        if difference := beside.differences.get((task, "accuracy")):
            change = f"{points_in_words(difference)} against {beside.name}"
            sentences.append(f"{task_title(task)}: {change}: {wording[difference.direction]}.")
    return sentences
