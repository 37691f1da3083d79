"""What the numbers say, in sentences; and what a reader must know before believing them."""

from collections.abc import Mapping, Sequence
from typing import Any

from audiorig.config import ProbeTask
from audiorig.evaluate.baselines import LOG_MEL, LOG_MEL_DELTAS, LOG_MEL_LEVELLED, MFCC
from audiorig.evaluate.reconstruction import INTERPOLATION, LAST_PITCH, VISIBLE_MEAN
from audiorig.evaluate.systems import MAJORITY, RANDOM, SHUFFLED
from audiorig.report.inputs import W2V_LEARNT, RunInputs
from audiorig.report.scores import (
    PITCH,
    RECONSTRUCTION,
    Beside,
    Estimate,
    Scores,
    difference_text,
    metric_of,
    points,
    share,
    with_interval,
)
from audiorig.report.tables import task_title

SHOWN_DIGITS = 16  # of a digest
LEAST_LEAK = 0.03  # balanced accuracy above chance that shuffled labels may reach by luck
CALLED = {LOG_MEL: "log-mel", RANDOM: "an untrained encoder"}
OTHERS = (LOG_MEL_LEVELLED, LOG_MEL_DELTAS, MFCC)
BANDS = {"at 2 to 5 frames": ("2-3", "4-5"), "at 1": ("1",), "beyond 5": ("6-8", "over 8")}
REPEATING = "repeating the last visible one"
GROUPS = {"participant": "participants", "recording": "recordings", "clip": "clips"}


def verdict(inputs: RunInputs) -> list[str]:
    """One sentence for each task, alone and against another run; one for the reconstruction, one for pitch."""
    tasks = inputs.run.probe.tasks
    sentences = [
        task_verdict(inputs.scores, name, inputs.system, held_out(tasks.get(name), inputs.split))
        for name in inputs.scores.tasks
    ]
    for each in inputs.beside:
        sentences += beside_verdict(each, inputs.scores.tasks)
    sentences.append(reconstruction_verdict(inputs.scores, inputs.system))
    sentences.append(pitch_verdict(inputs.scores, inputs.system))
    return [sentence for sentence in sentences if sentence]


def held_out(task: ProbeTask | None, split: Mapping[str, Any]) -> str:
    """What the tested clips have not in common with those learnt from."""
    if task is None:
        return ""
    match task.assign:
        case "split":
            return f" on held-out {GROUPS.get(str(split.get('group')), 'groups')}"
        case "values":
            return f" ({task.column} {', '.join(task.train_values)} to {', '.join(task.test_values)})"
        case "shots":
            return f" ({task.shots} clip{'' if task.shots == 1 else 's'} of each to learn from)"
        case "rotate":
            return f" (each of {task.folds} parts tested once)"


def task_verdict(scores: Scores, task: str, system: str, where: str = "") -> str:
    """E.g. "Language on held-out participants: accuracy .965 [...]; 31.9 points above log-mel [...]".

    Of the other spectral controls the best is named, and each that the encoder is not certain to be above.
    """
    mine = scores.get(task, system)
    if mine is None:
        return ""
    differences = {control: scores.difference(task, system, control) for control in (*CALLED, *OTHERS)}
    best = max((LOG_MEL, *OTHERS), key=lambda control: getattr(scores.get(task, control), "value", -1.0))
    named = {
        CALLED.get(control, control): difference
        for control, difference in differences.items()
        if difference and (control in CALLED or control == best or difference.direction != "above")
    }
    return "; ".join([f"{task_title(task)}{where}: accuracy {with_interval(mine)}", *compared(named)]) + "."


def compared(differences: Mapping[str, Estimate]) -> list[str]:
    """Differences in words; one whose interval holds 0 is no finding."""
    clauses, uncertain = [], []
    for control, difference in differences.items():
        interval = f"[{points(difference.low)}, {points(difference.high)}]"
        if difference.direction == "uncertain":
            uncertain.append(f"{control} ({points(difference.value)} points {interval})")
        else:
            clauses.append(f"{100 * abs(difference.value):.1f} points {difference.direction} {control} {interval}")
    return [*clauses, *([f"not certain to differ from {_listed(uncertain)}"] if uncertain else [])]


def reconstruction_verdict(scores: Scores, system: str) -> str:
    """R2 of hidden frames against the better anchor: at 2 to 5 frames from a visible one, then nearer and beyond."""
    clauses = []
    for where, distances in BANDS.items():
        found = {
            name: (scores.get(RECONSTRUCTION, system, _r2(name)), _to_better(scores, system, name))
            for name in distances
        }
        known = {name: (mine, difference) for name, (mine, difference) in found.items() if mine and difference}
        if known:
            clauses.append(f"{where} {_against_better(known)}")
    if not clauses:
        return ""
    return f"Hidden frames, R² against the better of interpolation and visible mean: {'; '.join(clauses)}."


def _against_better(found: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    """E.g. "above it (2-3: .58, +.19 [+.15, +.24]; 4-5: .49, +.12 [+.08, +.15])"."""
    wording = {"above": "above it", "below": "below it", "uncertain": "not certain to differ"}
    by_direction: dict[str, list[str]] = {}
    for name, (mine, difference) in found.items():
        where = f"{name}: " if len(found) > 1 else ""
        numbers = f"{where}{share(mine.value, 2)}, {difference_text(difference, metric_of(_r2(name)))}"
        by_direction.setdefault(wording[difference.direction], []).append(numbers)
    return ", ".join(f"{words} ({'; '.join(numbers)})" for words, numbers in by_direction.items())


def _to_better(scores: Scores, system: str, distance: str) -> Estimate | None:
    """The lesser of the two paired differences: the one to the anchor that is better at this distance."""
    found = [
        scores.difference(RECONSTRUCTION, system, anchor, _r2(distance)) for anchor in (INTERPOLATION, VISIBLE_MEAN)
    ]
    return min((each for each in found if each), key=lambda each: each.value, default=None)


def _r2(distance: str) -> str:
    return f"r2 at {distance} frames"


def pitch_verdict(scores: Scores, system: str) -> str:
    """Pitch and voicing of hidden frames, beside repeating the last visible pitch."""
    clauses = []
    for metric, words, other in (
        ("rpa50", "{} within 50 cents", REPEATING),
        ("vuv_error", "voicing wrong in {}", "it"),
    ):
        if mine := scores.get(PITCH, system, metric):
            difference = scores.difference(PITCH, system, LAST_PITCH, metric)
            clauses += [words.format(with_interval(mine)), *(compared({other: difference}) if difference else [])]
    return f"Pitch of hidden frames: {'; '.join(clauses)}." if clauses else ""


def beside_verdict(beside: Beside, tasks: Sequence[str]) -> list[str]:
    """One sentence a probe task, e.g. "Language: +1.4 points [+0.2, +2.9] against wavemae: better"."""
    wording = {"above": "better", "below": "worse", "uncertain": "not certain"}
    sentences = []
    for task in tasks:
        if difference := beside.differences.get((task, "accuracy")):
            interval = f"[{points(difference.low)}, {points(difference.high)}]"
            change = f"{points(difference.value)} points {interval} against {beside.name}"
            sentences.append(f"{task_title(task)}: {change}: {wording[difference.direction]}.")
    return sentences


def probe_in_training(history: Sequence[Mapping[str, Any]]) -> str:
    """What the linear probe gained from its first to its last look; empty where it looked less than twice."""
    looks = [entry for entry in history if entry.get("eval_linear_probe_gain") is not None]
    clips = "eval_linear_probe_clips"  # gains are to the first look at the same clips
    looks = [entry for entry in looks if entry.get(clips) == looks[-1].get(clips)]
    if len(looks) < 2:
        return ""
    gain, low, high = (float(looks[-1][f"eval_linear_probe_gain{edge}"]) for edge in ("", "_low", "_high"))
    first, last = (float(entry["eval_linear_probe_accuracy"]) for entry in (looks[0], looks[-1]))
    doubt = ", not certain" if low <= 0 <= high else ""
    return f"from {share(first, 2)} to {share(last, 2)}: {points(gain)} points [{points(low)}, {points(high)}]{doubt}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def warnings(inputs: RunInputs) -> list[str]:
    """Everything that weakens the numbers, the run's own notes first."""
    return [
        *inputs.run.report.notes,
        *_split_warnings(inputs.split),
        *_interval_warnings(inputs.scores),
        *leak_warnings(inputs.scores),
        *_teacher_warnings(inputs),
        *_settings_warnings(inputs),
        *_uncommitted_warnings(inputs.provenance),
        *digest_warnings(inputs.provenance, inputs.environment),
    ]


def _split_warnings(split: Mapping[str, Any]) -> list[str]:
    sentences = {
        "clip": "The split is clip-disjoint, not speaker-disjoint: one speaker's clips lie on both sides, so scores "
        "may rest on known voices.",
        "recording": "The split is recording-disjoint, not speaker-disjoint: recordings of one speaker may lie on "
        "both sides.",
    }
    disjoint = sentences.get(str(split.get("group")))
    found = [f"Split: {warning}, so no score can be given for it." for warning in split.get("warnings", [])]
    return [*([disjoint] if disjoint else []), *found]


def _interval_warnings(scores: Scores) -> list[str]:
    few = {task: each.num_groups for (task, _, _), each in scores.estimates.items() if each.interval_over == "clips"}
    return [
        f"{task_title(task)}: the test items come from {number} group{'' if number == 1 else 's'}, too few to "
        "resample, so intervals are over clips and too narrow for new speakers."
        for task, number in few.items()
    ]


def leak_warnings(scores: Scores) -> list[str]:
    """Tasks whose probe learns something even from shuffled labels.

    Balanced accuracy, because its chance does not depend on how often a label occurs.
    """
    sentences = []
    for task in scores.tasks:
        shuffled = scores.get(task, SHUFFLED, "balanced_accuracy")
        chance = scores.get(task, MAJORITY, "balanced_accuracy")
        if shuffled is None or chance is None or shuffled.low <= chance.value <= shuffled.high:
            continue
        if abs(shuffled.value - chance.value) > LEAST_LEAK:
            sentences.append(
                f"{task_title(task)}: with shuffled labels the probe has a balanced accuracy of "
                f"{with_interval(shuffled)}, and chance is {share(chance.value)}: something leaks, or the test is too "
                "small; do not trust this task."
            )
    return sentences


def _teacher_warnings(inputs: RunInputs) -> list[str]:
    """That the stand-in took the teacher's place."""
    if inputs.w2v_target != "bestrq" or inputs.run.model.weights.aux_w2v == 0:
        return []
    return [f"The w2v decoder learnt {W2V_LEARNT['bestrq']}."]


def _settings_warnings(inputs: RunInputs) -> list[str]:
    """Settings that the checkpoint was trained with and the config does not hold."""
    used = inputs.provenance.get("train", {}).get("settings")
    if not used:
        return []
    meant, used = _flat(inputs.run.stage("train")), _flat(used)
    differing = [
        f"{key} {used.get(key, 'absent')} (config: {meant.get(key, 'absent')})"
        for key in sorted(meant.keys() | used.keys())
        if meant.get(key) != used.get(key)
    ]
    return [f"The checkpoint was trained with other settings than the config holds: {', '.join(differing)}."] * bool(
        differing
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _uncommitted_warnings(provenance: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Stages whose code no commit holds."""
    stages = [stage for stage, record in provenance.items() if record.get("git_changed_files")]
    if not stages:
        return []
    return [f"No commit holds the code that ran {_listed(stages)}: files had been changed since the last one."]


def digest_warnings(provenance: Mapping[str, Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    """Stages of the run that other code made than the one that makes the page."""
    now = str(environment.get("package_digest"))[:SHOWN_DIGITS]
    stages: dict[str, list[str]] = {}
    for stage, record in provenance.items():
        if (digest := str(record.get("package_digest"))[:SHOWN_DIGITS]) != now:
            stages.setdefault(digest, []).append(stage)
    if not stages:
        return []
    made = "; ".join(f"{_listed(names)} by {digest}" for digest, names in stages.items())
    return [
        f"The package was edited between the stages and this page. Package digests: {made}; this page by {now}. "
        "An edit of the code reruns nothing by itself: force the rule if the edit matters to its result."
    ]
