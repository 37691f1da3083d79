"""One run as one page: everything inside it, nothing fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from audiorig.config import Audio2EdaRun, HomeWav2Vec2Run, ProbeTask, TuningRun, WaveMAERun
from audiorig.data.pseudonyms import IDENTIFYING
from audiorig.report import homewav2vec2_page, origins, probes, training, tuned_page, wavemae_page
from audiorig.report.answers import beside_answers
from audiorig.report.doubts import warnings
from audiorig.report.eda import page as eda_page
from audiorig.report.inputs import RunInputs
from audiorig.report.privacy import without_names
from audiorig.report.tables import Table, beside_table
from audiorig.report.tuned_privacy import answers_without_names
from audiorig.report.verdict import verdict
from audiorig.report.wording import duration, task_title


@dataclass(frozen=True)
class TaskSection:
    """One probe task as the page shows it."""

    title: str
    question: str
    table: Table


def build_report(inputs: RunInputs) -> str:
    """The HTML page of one run; of a private corpus without a name or a sound."""
    inputs = without_names(answers_without_names(inputs))
    match inputs.run:
        case WaveMAERun() as run:
            return render("wavemae.html", **shared(inputs), **probed(inputs), **wavemae_page.content(inputs, run))
        case HomeWav2Vec2Run() as run:
            own = homewav2vec2_page.content(inputs, run)
            return render("homewav2vec2.html", **shared(inputs), **probed(inputs), **own)
        case TuningRun() as run:
            return render("tuned.html", **shared(inputs), **tuned_page.content(inputs, run))
        case Audio2EdaRun() as run:
            return render("audio2eda.html", **shared(inputs), **eda_page.content(inputs, run))
    raise TypeError(f"{type(inputs.run).__name__}: no page is known for this experiment")


def shared(inputs: RunInputs) -> dict[str, Any]:
    """What the page of every experiment shows."""
    run = inputs.run
    tables_of = (lambda each: beside_answers(each, run)) if isinstance(run, TuningRun) else beside_table
    return {
        "name": inputs.name,
        "title": inputs.run.report.title or inputs.name,
        "achieves": inputs.run.achieves,
        "verdict": verdict(inputs),
        "warnings": warnings(inputs),
        "settings": origins.settings_table(inputs.run),
        "corpus": inputs.corpus,
        "corpus_name": inputs.run.data.corpus,
        "validation": inputs.validation,
        "reasons": origins.validation_table(inputs.validation),
        "invalid": origins.invalid_files_table(inputs.invalid),
        "invalid_link": inputs.invalid_link,
        "split": inputs.split,
        "split_name": inputs.run.data.split,
        "sides": origins.split_table(inputs.split),
        "labels": origins.label_table(inputs.split),
        "training": training_facts(inputs),
        "watch": training.watch_curves(inputs.history),
        "probe_label": inputs.run.train.probe.label,
        "probe_in_training": training.probe_in_training(inputs.history),
        "beside": [(each.name, tables_of(each)) for each in inputs.beside],
        "times": origins.time_table(inputs.provenance),
        "code": origins.code_table(inputs.provenance, inputs.environment),
        "versions": origins.version_table(inputs.environment),
        "machines": machines(inputs),
    }


def probed(inputs: RunInputs) -> dict[str, Any]:
    """What the page of every encoder that is probed shows."""
    return {
        "dots": probes.probe_dots(inputs.scores, inputs.system),
        "tasks": task_sections(inputs),
        "layer_rule": inputs.run.probe.layer,
        "layers": probes.layer_curves(inputs.scores, inputs.system),
    }


def render(template: str, **content: Any) -> str:
    """Fill in one of the package's templates; text is escaped, an absent name is an error."""
    environment = Environment(
        loader=PackageLoader("audiorig.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content) + "\n"


def training_facts(inputs: RunInputs) -> dict[str, str]:
    """How much was heard, in which time."""
    settings, record = inputs.run.train, inputs.training
    steps = max((int(entry.get("step", 0)) for entry in inputs.history), default=0)
    made = steps or settings.max_steps  # fewer where training stopped early
    heard_sec = made * settings.batch_size * settings.accumulation * inputs.crop_sec
    counted = [entry["hours_heard"] for entry in inputs.history if entry.get("hours_heard") is not None]
    match inputs.run:  # a clip or a song may be shorter than the longest crop
        case TuningRun():
            most, crops = "at most ", "clips"
        case Audio2EdaRun() as run:
            most, crops = "at most ", "songs with all of their listeners" if run.data.group_songs else "traces"
        case _:
            most, crops = "", "crops"
    facts = {
        "steps": f"{steps:,} of {settings.max_steps:,}",
        "items a step": f"{settings.batch_size * settings.accumulation} {crops} of {most}{inputs.crop_sec:.2f} s",
        "audio taken in": f"{counted[-1]:.2f} h, counted as often as it was read"
        if counted
        else f"{most}{heard_sec / 3600:.2f} h, {crops} counted as full and as often as they were read",
        "peak learning rate": f"{settings.learning_rate:g}, {settings.schedule}",
    }
    if wall_sec := float(record.get("wall_sec", 0)):
        facts["wall time"] = f"{duration(wall_sec)}, with start, dev evaluations and checkpoints"
        first = int(record.get("first_step", 0))
        if first:
            facts["wall time"] += f"; of the last piece, from step {first:,} on"
        facts["audio per second"] = f"{most}{heard_sec * (1 - first / made) / wall_sec:,.0f} s"
    return facts


def task_sections(inputs: RunInputs) -> list[TaskSection]:
    """A table for each task, and the question in words."""
    asked = inputs.run.probe.tasks
    return [
        TaskSection(
            task_title(name),
            question(asked[name], inputs.run.data.split) if name in asked else "",
            probes.probe_table(inputs.scores, name, inputs.system),
        )
        for name in inputs.scores.tasks
    ]


def question(task: ProbeTask, split: str) -> str:
    """Which label is learnt from what and tested on what."""
    match task.assign:
        case "split":
            rows = f"learnt on train, tested on test of split {split}"
        case "values":
            rows = (
                f"learnt where {task.column} is {_values(task.column, task.train_values, ', ')} (a quarter of it is "
                f"dev), tested where it is {_values(task.column, task.test_values, ', ')}"
            )
        case "shots":
            rows = (
                f"learnt from {task.shots} clip{'' if task.shots == 1 else 's'} of each, as many for dev, tested on "
                f"all others; mean of {task.draws} draws"
            )
        case "rotate":
            rows = (
                f"groups are dealt into {task.folds} parts; each is tested once, the next one is dev, the others are "
                "learnt from"
            )
    kept = "".join(
        f"; only rows whose {name} is {_values(name, values, ' or ')}" for name, values in task.where.items()
    )
    cut = f"; clips cut into pieces of {task.piece_sec:g} s" if task.piece_sec else ""
    channel = "; every piece with its own simulated channel" if task.random_channel else ""
    what = " of labelled stretches" if task.items == "segments" else ""
    most = f"; of each side {task.max_items:,} at most" if task.max_items else ""
    return f"Label {task.label}{what}: {rows}{most}{kept}{cut}{channel}. Resampled for the intervals: {task.group}."


def _values(column: str | None, values: Sequence[str], between: str) -> str:
    """Values of a label; of what names people or files only how many."""
    return f"one of {len(values)}" if column in IDENTIFYING else between.join(values)


def machines(inputs: RunInputs) -> list[str]:
    """Each machine that took part, once."""
    found = []
    for record in inputs.provenance.values():
        machine = {"system": "?", "processor": "?", "cores": "?", "gpus": [], **record.get("machine", {})}
        gpus = ", ".join(machine["gpus"]) or "no GPU"
        found.append(f"{machine['system']}, {machine['processor']}, {machine['cores']} cores, {gpus}")
    return list(dict.fromkeys(found))
