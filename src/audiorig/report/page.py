"""One run as one page: everything inside it, nothing fetched."""

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from audiorig.config import ProbeTask
from audiorig.report import origins, probes, rebuilt, training
from audiorig.report.audio import Player, players
from audiorig.report.doubts import warnings
from audiorig.report.figures import Picture
from audiorig.report.inputs import W2V_LEARNT, RunInputs
from audiorig.report.spectrograms import clip_pictures
from audiorig.report.tables import Table, beside_table
from audiorig.report.verdict import verdict
from audiorig.report.wording import duration, task_title


@dataclass(frozen=True)
class TaskSection:
    """One probe task as the page shows it."""

    title: str
    question: str
    table: Table


@dataclass(frozen=True)
class Example:
    """One test clip to look at and to listen to."""

    picture: Picture
    players: list[Player]


def build_report(inputs: RunInputs) -> str:
    """The HTML page of one run."""
    scores, system, clips = inputs.scores, inputs.system, examples(inputs)
    return render(
        "run.html",
        name=inputs.name,
        title=inputs.run.report.title or inputs.name,
        achieves=inputs.run.achieves,
        verdict=verdict(inputs),
        warnings=warnings(inputs),
        facts=facts(inputs),
        settings=origins.settings_table(inputs.run),
        corpus=inputs.corpus,
        corpus_name=inputs.run.data.corpus,
        validation=inputs.validation,
        reasons=origins.validation_table(inputs.validation),
        invalid=origins.invalid_files_table(inputs.invalid),
        invalid_link=inputs.invalid_link,
        split=inputs.split,
        split_name=inputs.run.data.split,
        sides=origins.split_table(inputs.split),
        labels=origins.label_table(inputs.split),
        losses=training.loss_curves(inputs.history, training.loss_weights(inputs.run.model)),
        loss_parts=training.loss_table(inputs.history, inputs.run.model),
        watch=training.watch_curves(inputs.history),
        probe_label=inputs.run.train.probe.label,
        probe_in_training=training.probe_in_training(inputs.history),
        training=training_facts(inputs),
        distances=rebuilt.distance_curves(scores, system),
        reconstruction=rebuilt.reconstruction_table(scores, system),
        frame_distances=rebuilt.frame_distance_table(scores, system),
        pitch=rebuilt.pitch_table(scores, system),
        clips=clips,
        has_sounds=any(clip.players for clip in clips),
        mask_ratio=inputs.run.model.mask_ratio,
        dots=probes.probe_dots(scores, system),
        tasks=task_sections(inputs),
        layer_rule=inputs.run.probe.layer,
        layers=probes.layer_curves(scores, system),
        beside=[(each.name, beside_table(each)) for each in inputs.beside],
        times=origins.time_table(inputs.provenance),
        code=origins.code_table(inputs.provenance, inputs.environment),
        versions=origins.version_table(inputs.environment),
        machines=machines(inputs),
    )


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


def examples(inputs: RunInputs) -> list[Example]:
    """Spectrograms and sounds of each example clip."""
    data = inputs.run.data
    pictures = clip_pictures(inputs.examples, data, inputs.run.spectrogram)
    sounds = [players(clip.name, clip.audio, data.sample_rate_hz) for clip in inputs.examples]
    return [Example(picture, sound) for picture, sound in zip(pictures, sounds, strict=True)]


def facts(inputs: RunInputs) -> dict[str, str]:
    """The run in a few lines: what, on what, how long, by which code."""
    run, train = inputs.run, inputs.provenance.get("train", {})
    parameters = train.get("num_parameters")
    return {
        "experiment": run.experiment,
        "corpus": f"{run.data.corpus} ({inputs.corpus.title})" if inputs.corpus.title else run.data.corpus,
        "split": run.data.split,
        "encoder": f"width {run.model.width}, {run.model.depth} blocks, {run.model.encoder_mode}",
        "w2v target": ": ".join(filter(None, (inputs.w2v_target, W2V_LEARNT.get(inputs.w2v_target)))),
        "parameters": f"{parameters:,}" if parameters else "not known",
        "seed": str(run.seed),
        "git commit": str(train.get("git_commit") or "not known"),
        "trained": f"{train['started'].replace('T', ' ')[:16]} UTC" if train.get("started") else "not known",
    }


def training_facts(inputs: RunInputs) -> dict[str, str]:
    """How much was heard, in which time."""
    settings, record = inputs.run.train, inputs.provenance.get("train", {})
    steps = max((int(entry.get("step", 0)) for entry in inputs.history), default=0)
    heard_sec = settings.max_steps * settings.batch_size * settings.accumulation * inputs.crop_sec
    facts = {
        "steps": f"{steps:,} of {settings.max_steps:,}",
        "items a step": f"{settings.batch_size * settings.accumulation} crops of {inputs.crop_sec:.2f} s",
        "audio taken in": f"{heard_sec / 3600:.2f} h, crops counted as full and as often as they were read",
        "peak learning rate": f"{settings.learning_rate:g}, {settings.schedule}",
    }
    if wall_sec := float(record.get("wall_sec", 0)):
        facts["wall time"] = f"{duration(wall_sec)}, with start, dev evaluations and checkpoints"
        first = int(record.get("first_step", 0))
        if first:
            facts["wall time"] += f"; of the last piece, from step {first:,} on"
        facts["audio per second"] = f"{heard_sec * (1 - first / settings.max_steps) / wall_sec:,.0f} s"
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
                f"learnt where {task.column} is {', '.join(task.train_values)} (a quarter of it is dev), "
                f"tested where it is {', '.join(task.test_values)}"
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
    kept = "".join(f"; only rows whose {column} is {' or '.join(values)}" for column, values in task.where.items())
    cut = f"; clips cut into pieces of {task.piece_sec:g} s" if task.piece_sec else ""
    channel = "; every piece with its own simulated channel" if task.random_channel else ""
    return f"Label {task.label}: {rows}{kept}{cut}{channel}. Resampled for the intervals: {task.group}."


def machines(inputs: RunInputs) -> list[str]:
    """Each machine that took part, once."""
    found = []
    for record in inputs.provenance.values():
        machine = {"system": "?", "processor": "?", "cores": "?", "gpus": [], **record.get("machine", {})}
        gpus = ", ".join(machine["gpus"]) or "no GPU"
        found.append(f"{machine['system']}, {machine['processor']}, {machine['cores']} cores, {gpus}")
    return list(dict.fromkeys(found))
