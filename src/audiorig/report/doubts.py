"""What a reader must know before believing the numbers of a run."""

from collections.abc import Mapping
from typing import Any

from audiorig.config import HomeWav2Vec2Run, TuningRun, WaveMAERun
from audiorig.evaluate.systems import MAJORITY, SHUFFLED
from audiorig.report.adaptation import scratch_warnings
from audiorig.report.answers import RECALL
from audiorig.report.crops import crop_warnings
from audiorig.report.eda.verdict import eda_warnings
from audiorig.report.inputs import W2V_LEARNT, RunInputs
from audiorig.report.pretraining import pretraining_warnings
from audiorig.report.privacy import PRIVATE
from audiorig.report.scores import Scores
from audiorig.report.tuned_verdict import accuracy_note, unreadable
from audiorig.report.wording import listed, share, task_title, with_interval

SHOWN_DIGITS = 16  # of a digest
LEAST_LEAK = 0.03  # balanced accuracy above chance that shuffled labels may reach by luck


def warnings(inputs: RunInputs) -> list[str]:
    """Everything that weakens the numbers, the run's own notes first."""
    return [
        *inputs.run.report.notes,
        *_adaptation_warnings(inputs),
        *_tuning_warnings(inputs),
        *eda_warnings(inputs),
        *_split_warnings(inputs.split),
        *_interval_warnings(inputs.scores),
        *leak_warnings(inputs.scores),
        *_teacher_warnings(inputs),
        *_settings_warnings(inputs),
        *_uncommitted_warnings(inputs.provenance),
        *digest_warnings(inputs.provenance, inputs.environment),
        *([PRIVATE] if inputs.corpus.private else []),
    ]


def _adaptation_warnings(inputs: RunInputs) -> list[str]:
    """What continued pre-training began with, heard and learnt."""
    if not isinstance(inputs.run, HomeWav2Vec2Run):
        return []
    return [
        *scratch_warnings(inputs),
        *crop_warnings(inputs, inputs.run),
        *pretraining_warnings(inputs, inputs.run),
    ]


def _tuning_warnings(inputs: RunInputs) -> list[str]:
    """That nothing pre-trained was tuned, that accuracy flatters, that clips were missing."""
    if not isinstance(inputs.run, TuningRun):
        return []
    found = accuracy_note(inputs, inputs.run)
    if inputs.base.get("seeded"):
        found.insert(
            0,
            f"The encoder was trained from random numbers ({inputs.base.get('name')}, in the published format): the "
            "page shows that tuning works, not what a pre-trained model reaches.",
        )
    if lost := unreadable(inputs):
        found.append(lost)
    return found


def _split_warnings(split: Mapping[str, Any]) -> list[str]:
    sentences = {
        "clip": "The split is clip-disjoint, not speaker-disjoint: one speaker's clips lie on both sides, so scores "
        "may rest on known voices.",
        "recording": "The split is recording-disjoint, not speaker-disjoint: recordings of one speaker may lie on "
        "both sides.",
    }
    disjoint = sentences.get(str(split.get("group")))
    if unknown := sum(side.get("num_unknown", 0) for side in split.get("sides", {}).values()):
        disjoint = disjoint or (
            f"The participants of {unknown:,} files are not known: their recordings are kept apart one by one, and one "
            "person's may lie on several sides."
        )
    found = [f"Split: {warning}, so no score can be given for it." for warning in split.get("warnings", [])]
    return [*([disjoint] if disjoint else []), *found]


def _interval_warnings(scores: Scores) -> list[str]:
    few = {
        task: each.num_groups
        for (task, _, metric), each in scores.estimates.items()
        if each.interval_over == "clips" and not metric.startswith(RECALL)  # that of a rare class is told by its table
    }
    tasks_of: dict[int, list[str]] = {}
    for task, number in few.items():
        tasks_of.setdefault(number, []).append(task_title(task))
    return [
        f"{listed(tasks)}: the test items come from {number} group{'' if number == 1 else 's'}, too few to "
        "resample, so intervals are over clips and too narrow for new speakers."
        for number, tasks in tasks_of.items()
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
    if not isinstance(inputs.run, WaveMAERun) or inputs.run.model.weights.aux_w2v == 0 or inputs.w2v_target != "bestrq":
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
    return [f"No commit holds the code that ran {listed(stages)}: files had been changed since the last one."]


def digest_warnings(provenance: Mapping[str, Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    """Stages of the run that other code made than the one that makes the page."""
    now = str(environment.get("package_digest"))[:SHOWN_DIGITS]
    stages: dict[str, list[str]] = {}
    for stage, record in provenance.items():
        if (digest := str(record.get("package_digest"))[:SHOWN_DIGITS]) != now:
            stages.setdefault(digest, []).append(stage)
    if not stages:
        return []
    made = "; ".join(f"{listed(names)} by {digest}" for digest, names in stages.items())
    return [
        f"The package was edited between the stages and this page. Package digests: {made}; this page by {now}. "
        "An edit of the code reruns nothing by itself: force the rule if the edit matters to its result."
    ]
