"""What a page may show of a private corpus: no name of a participant, a recording or a file, and no sound."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from audiorig.config import CorpusSection, ProbeConfig, Run
from audiorig.data.pseudonyms import IDENTIFYING, CorpusPseudonyms
from audiorig.data.reasons import MEANINGS
from audiorig.report.inputs import RunInputs

PRIVATE = (
    "The corpus is private: participants and recordings have pseudonyms on this page, in an order that says nothing "
    "of their names, and no audio is shown."
)


def without_names(inputs: RunInputs) -> RunInputs:
    """The same of a public corpus; of a private one with pseudonyms for names, and without examples."""
    if not inputs.corpus.private:
        return inputs
    names = CorpusPseudonyms(inputs.files)
    return replace(
        inputs,
        name=names.scrubbed(inputs.name),
        run=_run(inputs.run, names),
        corpus=_corpus(inputs.corpus, names),
        invalid=_problems(inputs.invalid, names),
        split=_split(inputs.split, names),
        provenance=_records(inputs.provenance, names),
        examples=[],
        files=_files(inputs.files, names),
        beside=[replace(each, name=names.scrubbed(each.name)) for each in inputs.beside],
    )


def _run(run: Run, names: CorpusPseudonyms) -> Run:
    """Settings: what a person wrote, and probes that name participants or files."""
    watching = run.train.probe.model_copy(update={"where": _where(run.train.probe.where, names)})
    notes = tuple(names.scrubbed(note) for note in run.report.notes)
    report = run.report.model_copy(update={"title": names.scrubbed(run.report.title), "notes": notes})
    hub = run.hub.model_copy(update={"repo_id": run.hub.repo_id and names.scrubbed(run.hub.repo_id)})
    changed = {
        "achieves": names.scrubbed(run.achieves),
        "train": run.train.model_copy(update={"probe": watching}),
        "probe": _probe(run.probe, names),
        "report": report,
        "hub": hub,
    }
    return run.model_copy(update=changed)


def _probe(probe: ProbeConfig, names: CorpusPseudonyms) -> ProbeConfig:
    def _values(column: str | None, values: Sequence[str]) -> tuple[str, ...]:
        return tuple(names.value(column or "", value) for value in values)

    tasks = {
        name: task.model_copy(
            update={
                "where": _where(task.where, names),
                "train_values": _values(task.column, task.train_values),
                "test_values": _values(task.column, task.test_values),
            }
        )
        for name, task in probe.tasks.items()
    }
    return probe.model_copy(update={"tasks": tasks})


def _where(where: Mapping[str, Sequence[str]], names: CorpusPseudonyms) -> dict[str, tuple[str, ...]]:
    return {column: tuple(names.value(column, value) for value in values) for column, values in where.items()}


def _corpus(corpus: CorpusSection, names: CorpusPseudonyms) -> CorpusSection:
    texts = {name: names.scrubbed(getattr(corpus, name)) for name in ("title", "license", "source")}
    return corpus.model_copy(update=texts)


def _problems(problems: pd.DataFrame, names: CorpusPseudonyms) -> pd.DataFrame:
    """Problems by pseudonym, in their order: that of the paths would tell the alphabet.

    What a decoder says may hold a path, so the meaning of the reason stands in its place.
    """
    shown = problems.assign(
        wav_path=[names.file(str(path)) for path in problems["wav_path"]],
        detail=[MEANINGS[reason].when if reason in MEANINGS else "" for reason in problems["reason"]],
    )
    return shown.sort_values(["wav_path", "reason"], kind="stable", ignore_index=True)


def _split(split: Mapping[str, Any], names: CorpusPseudonyms) -> dict[str, Any]:
    sides = {side: {**of_side, "labels": _labels(of_side, names)} for side, of_side in split.get("sides", {}).items()}
    # Which participant a side lacks is what a split is for.
    kept = [warning for warning in split.get("warnings", []) if str(warning).split(" ")[0] not in IDENTIFYING]
    return {**split, "sides": sides, "warnings": [names.scrubbed(str(warning)) for warning in kept]}


def _labels(side: Mapping[str, Any], names: CorpusPseudonyms) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for label, counts in side.get("labels", {}).items():
        of_label = found.setdefault(label, {})
        for value, count in counts.items():
            shown = names.value(label, str(value))
            of_label[shown] = of_label.get(shown, 0) + count
    return found


def _files(files: pd.DataFrame, names: CorpusPseudonyms) -> pd.DataFrame:
    shown = [names.file(str(path)) for path in files["wav_path"]]
    participants = [names.participants[str(name)] for name in files["participant_id"]]
    recordings = [name.split(" of ")[0] for name in shown]
    hidden = files.assign(wav_path=shown, participant_id=participants, recording_id=recordings)
    return hidden.sort_values("wav_path", kind="stable", ignore_index=True)


def _records(provenance: Mapping[str, Mapping[str, Any]], names: CorpusPseudonyms) -> dict[str, dict[str, Any]]:
    """Records of the stages: pages show nothing of them that could name anybody, but the settings of the training."""
    records = {stage: dict(record) for stage, record in provenance.items()}
    settings = records.get("train", {}).get("settings", {})
    if where := settings.get("train", {}).get("probe", {}).get("where"):
        hidden = {column: list(values) for column, values in _where(where, names).items()}
        watching = {**settings["train"]["probe"], "where": hidden}
        records["train"]["settings"] = {**settings, "train": {**settings["train"], "probe": watching}}
    return records
