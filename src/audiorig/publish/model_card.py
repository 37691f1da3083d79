"""README.md for the Hub, written from what was measured: nothing in it that no file of the run says.

Of a private corpus it takes counts and hours, its title and its licence; names of participants and
files, paths, notes and sources are not read at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from pydantic import TypeAdapter

from audiorig.config import (
    Audio2EdaRun,
    Corpus,
    CorpusSection,
    HomeWav2Vec2Run,
    InfantCryRun,
    Run,
    SpeechTuneRun,
    TuningRun,
    WaveMAERun,
)
from audiorig.config_checks import check, read_yaml
from audiorig.config_stages import run_name
from audiorig.errors import DataError
from audiorig.files import read_json
from audiorig.publish.answer_tables import answer_tables
from audiorig.publish.score_tables import score_tables
from audiorig.publish.trace_tables import trace_tables, trained_on
from audiorig.report.card import (
    TARGETS,
    UNITS,
    corpus_title,
    encoder_name,
    loading,
    tags,
    targets_named,
    trace_network,
    trace_sentence,
    w2v_sentence,
    without_names,
)

GROUPS = {
    "participant": "participants of whom it heard nothing",
    "recording": "recordings of which it heard nothing (participants may be on several sides)",
    "clip": "clips that it did not hear (participants and recordings may be on several sides)",
}
TEXT = """---
{{ card_data }}
---

# {{ title }}

{{ what }}

{{ loading }}

## What it was trained on

{{ training }}

## What it reaches

{{ scores }}

## What made it

{{ made }}
"""


@dataclass(frozen=True)
class CardInputs:
    """What a card is written from.

    Attributes:
        scores: rows of ``metrics.json``.
        history: entries of the training log.
        training: the training's record: settings, versions, time.
        split: counts and hours of the three sides.
        base: the manifest of the checkpoint that it went on from, if any.
        manifest: the corpus' files, whose names a card of a private corpus must not hold.
    """

    name: str
    run: Run
    corpus: CorpusSection
    scores: list[dict[str, Any]]
    history: list[dict[str, Any]]
    training: Mapping[str, Any]
    split: Mapping[str, Any]
    base: Mapping[str, Any] | None = None
    manifest: Path | None = None


def read_card_inputs(run_folder: Path) -> CardInputs:
    """Read what earlier rules wrote of a run, where they write it.

    Args:
        run_folder: ``results/{run}``, beside ``results/corpora``.

    Raises:
        DataError: if one of the files is not there.
    """
    configs = sorted((run_folder / "config").glob("*.yaml"))
    if not configs:
        raise DataError(f"{run_folder}: found no settings of a run: name a folder like results/homewav2vec2")
    raw: dict[str, Any] = {}
    for path in configs:
        raw |= read_yaml(path)
    run: Run = check(TypeAdapter(Run), raw, str(run_folder / "config"))
    results = next((place for place in (run_folder, *run_folder.parents) if place.name == "results"), run_folder.parent)
    corpus = results / "corpora" / run.data.corpus
    about = corpus / "corpus.yaml"
    base_name = _base_name(run)
    return CardInputs(
        name=run_name(run_folder),
        run=run,
        corpus=check(TypeAdapter(Corpus), read_yaml(_present(about)), str(about)),
        scores=read_json(_present(run_folder / "metrics.json")),
        history=read_json(_present(run_folder / "history.json")),
        training=read_json(_present(run_folder / "final.ckpt.provenance.json")),
        manifest=_present(corpus / "manifest.parquet"),
        split=read_json(_present(corpus / "splits" / run.data.split / "split_summary.json")),
        base=read_json(_present(results.parent / "pretrained" / base_name / "manifest.json")) if base_name else None,
    )


def _base_name(run: Run) -> str | None:
    """The entry of config/pretrained.yaml that a run began with, if it did."""
    if isinstance(run, HomeWav2Vec2Run):
        return run.model.base
    return run.encoder.pretrained if isinstance(run, TuningRun) and run.encoder.checkpoint is None else None


def _present(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: found no file, and the card is written from it: make it first")
    return path


def hub_card(inputs: CardInputs, repo_id: str) -> str:
    """README.md of the model on the Hub."""
    inputs = _without_names(inputs)
    hub_base = _hub_base(inputs)
    data = ModelCardData(
        library_name="transformers",
        license=inputs.run.hub.license,
        base_model=hub_base,
        pipeline_tag=_pipeline(inputs.run),
        tags=[*tags(inputs.run), *(["trained-from-scratch"] if _is_from_scratch(inputs) else [])],
    )
    card = ModelCard.from_template(
        data,
        template_str=TEXT,
        title=inputs.run.report.title or inputs.name,
        what=_what(inputs),
        loading=loading(inputs.run, repo_id),
        training=_training(inputs),
        scores=_scores(inputs),
        made=_made(inputs),
    )
    return f"{card}\n"


def _pipeline(run: Run) -> str | None:
    """The Hub's word for what a model does; it has none for traces."""
    if isinstance(run, Audio2EdaRun):
        return None
    return "audio-classification" if isinstance(run, TuningRun) else "feature-extraction"


def _scores(inputs: CardInputs) -> str:
    run = inputs.run
    match run:
        case Audio2EdaRun():
            return trace_tables(
                inputs.scores, run.experiment, f"{TARGETS[run.eda.target]}, in {UNITS[run.eda.normalize]}"
            )
        case SpeechTuneRun() | InfantCryRun():
            return answer_tables(inputs.scores, run.experiment)
    return score_tables(inputs.scores, run.experiment)


def _without_names(inputs: CardInputs) -> CardInputs:
    """The same of a public corpus; of a private one with pseudonyms in what people wrote."""
    if not inputs.corpus.private:
        return inputs
    from audiorig.data.manifest import read_table  # pandas is slow to import, and most cards do without
    from audiorig.data.pseudonyms import CorpusPseudonyms

    if inputs.manifest is None:
        raise DataError(f"{inputs.name}: the corpus is private, and without its manifest its names are not known")
    names = CorpusPseudonyms(read_table(inputs.manifest))
    name, run, corpus = without_names(inputs.name, inputs.run, inputs.corpus, names)
    return replace(inputs, name=name, run=run, corpus=corpus)


def _hub_base(inputs: CardInputs) -> str | None:
    """The published model that it went on from; none where that one was made here of random numbers."""
    base = inputs.base or {}
    return None if base.get("seeded") else base.get("hub_id")


def _is_from_scratch(inputs: CardInputs) -> bool:
    """Whether every weight was a random number once in this project, as far as this run can tell."""
    if inputs.run.train.load_from_checkpoint is not None:
        return False
    if isinstance(inputs.run, TuningRun):
        return bool((inputs.base or {}).get("seeded"))
    return _hub_base(inputs) is None


def _what(inputs: CardInputs) -> str:
    project = "[audiorig](https://github.com/audiorig/audiorig)"
    corpus = f"{corpus_title(inputs.run, inputs.corpus)} (licence of the audio: {inputs.corpus.license})"
    match inputs.run:
        case WaveMAERun():
            sentence = f"A masked autoencoder of speech, trained from random weights by {project} on: {corpus}."
            return f"{sentence} {w2v_sentence(inputs.run)}".rstrip()
        case HomeWav2Vec2Run():
            how = "A wav2vec2, pre-trained from random weights"
            if _hub_base(inputs):
                how = f"{_linked_base(inputs)}, its pre-training continued"
            return f"{how} by {project} on: {corpus}."
        case SpeechTuneRun() | InfantCryRun():
            how = f"A {inputs.run.encoder.family} from random weights, tuned"
            if not _is_from_scratch(inputs):
                how = f"{_linked_base(inputs) if _hub_base(inputs) else _capital(encoder_name(inputs.run))}, tuned"
            return f"{how} to {targets_named(inputs.run)} by {project} on: {corpus}."
        case Audio2EdaRun():
            began = "random weights" if _is_from_scratch(inputs) else "weights of an earlier run"
            what = f"{trace_network(inputs.run)}, trained from {began} by {project} to predict listeners'"
            return f"{what} {TARGETS[inputs.run.eda.target]} on: {corpus}. {trace_sentence(inputs.run)}"


def _linked_base(inputs: CardInputs) -> str:
    """The published model that it went on from, with its commit and licence."""
    name, base = _hub_base(inputs), inputs.base or {}
    origin = f"commit {str(base.get('revision'))[:8]}, licence {base.get('license', 'unknown')}"
    return f"[{name}](https://huggingface.co/{name}) ({origin})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _training(inputs: CardInputs) -> str:
    if isinstance(inputs.run, Audio2EdaRun):
        is_control = inputs.run.data.permute_songs
        return trained_on(inputs.split, _heard(inputs), is_control=is_control, is_private=inputs.corpus.private)
    sides = inputs.split.get("sides", {})
    train = sides.get("train", {})
    group = str(inputs.split.get("group", "clip"))
    lines = (
        [f"{train['hours']:.2f} hours of {train['num_groups']:,} {group}s are on the training side."] if train else []
    )
    lines += [_heard(inputs)]
    if any(side.get("num_unknown") for side in sides.values()):
        group = "recording" if group == "participant" else group  # of unknown people, recordings are kept apart
    held_out = GROUPS.get(group, "groups of which it heard nothing")
    counts = [f"{name} ({sides[name]['num_groups']:,} {group}s)" for name in ("dev", "test") if name in sides]
    if counts:
        lines.append(f"The other sides, {' and '.join(counts)}, are {held_out}.")
    if inputs.corpus.private:
        lines.append("The recordings are private: nothing of them is here but these weights and counts.")
    return "\n".join(line for line in lines if line)


def _heard(inputs: CardInputs) -> str:
    """Steps, and how much audio they heard, as far as the log counts it."""
    steps = max((int(entry["step"]) for entry in inputs.history), default=0)
    last: dict[str, Any] = {}
    for entry in inputs.history:
        last |= entry
    text = f"It was trained for {steps:,} steps"
    if "hours_heard" in last:
        text += f", in which it heard {last['hours_heard']:.2f} hours"
        if "distinct_hours" in last:
            text += f", {last['distinct_hours']:.2f} of them distinct"
        if "coverage" in last:
            text += f" ({100 * last['coverage']:.0f} % of what there is)"
    return f"{text}."


def _made(inputs: CardInputs) -> str:
    record = inputs.training
    versions = record.get("versions", {})
    names = [f"{name} {versions[name]}" for name in ("torch", "transformers") if name in versions]
    machine = record.get("machine", {})
    where = ", ".join(machine.get("gpus", [])) or f"{machine.get('cores', '?')} cores, no GPU"
    commit, digest = record.get("git_commit") or "unknown", str(record.get("package_digest"))[:16]
    minutes = float(record.get("wall_sec", 0)) / 60
    lines = [
        f"- Run `{inputs.name}`, seed {inputs.run.seed}; {minutes:.1f} minutes on {where}",
        f"- Code: commit {commit}, package digest {digest}",
    ]
    return "\n".join([*lines, *([f"- {', '.join(names)}"] if names else [])])
