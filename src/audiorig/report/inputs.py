"""All that a run's page is made of, read from the files that earlier rules wrote."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from audiorig.config import Corpus, CorpusSection, Run
from audiorig.config_checks import read_yaml
from audiorig.config_stages import run_name
from audiorig.data.manifest import read_table
from audiorig.evaluate.rebuild import RebuiltClip, load_examples
from audiorig.files import read_json
from audiorig.provenance import environment
from audiorig.report.scores import Beside, Scores, beside_others

W2V_LEARNT = {"bestrq": "BEST-RQ codes, not W2V-BERT features", "w2v-bert": "W2V-BERT features"}


@dataclass(frozen=True)
class RunInputs:
    """What one run left behind.

    Attributes:
        history: entries of the training log.
        validation: counts of the corpus' validation; ``invalid`` holds a row per file and reason.
        invalid_link: where ``invalid_files.parquet`` lies, seen from the page.
        split: counts, labels and digests of the three sides.
        provenance: stage -> what made its result.
        environment: code and versions that make the page.
        beside: differences to other runs.
    """

    name: str
    run: Run
    history: list[dict[str, Any]]
    scores: Scores
    examples: list[RebuiltClip]
    corpus: CorpusSection
    validation: dict[str, Any]
    invalid: pd.DataFrame
    invalid_link: str
    split: dict[str, Any]
    provenance: dict[str, dict[str, Any]]
    environment: dict[str, Any]
    beside: list[Beside] = field(default_factory=list)

    @property
    def system(self) -> str:
        """The name that the trained encoder has among the scores."""
        return self.run.experiment

    @property
    def crop_sec(self) -> float:
        """Length of a training crop."""
        return (self.run.data.crop_frames - 1) * self.run.spectrogram.hop / self.run.data.sample_rate_hz

    @property
    def w2v_target(self) -> str:
        """What the W2V decoder learnt: bestrq, w2v-bert or none; by the training's record, else by the settings."""
        return str(self.provenance.get("train", {}).get("w2v_target") or w2v_target(self.run))


def w2v_target(run: Run) -> str:
    """What the W2V decoder of a run learns: bestrq, w2v-bert or, without such a decoder, none."""
    return run.teacher.kind if run.model.weights.aux_w2v > 0 else "none"


def seen_from(page: Path, file: Path) -> str:
    """A link from a page to a file, which holds wherever both lie."""
    return Path(os.path.relpath(file, page.parent)).as_posix()


def read_run(configs: Iterable[Path]) -> Run:
    """A run's settings, put together again from the files of its stages."""
    merged: dict[str, Any] = {}
    for path in configs:
        merged |= read_yaml(path)
    return TypeAdapter(Run).validate_python(merged)


def read_corpus(path: Path) -> CorpusSection:
    """A corpus' settings; unlike ``load_corpus`` it does not ask for the audio to be there."""
    return TypeAdapter(Corpus).validate_python(read_yaml(path))


def read_provenance(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Records by stage, in the order in which they were made."""
    records = sorted((read_json(path) for path in paths), key=lambda record: str(record.get("started")))
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        stage = str(record["stage"])
        shards = sum(name == stage or name.startswith(f"{stage}, ") for name in found)
        found[f"{stage}, share {shards + 1}" if shards else stage] = record
    return found


def read_inputs(
    *,
    configs: Iterable[Path],
    history: Path,
    metrics: Path,
    examples: Path,
    corpus: Path,
    validation: Path,
    invalid: Path,
    split: Path,
    provenance: Iterable[Path],
    page: Path,
    against: Path | None = None,
) -> RunInputs:
    """Read everything for the page that will lie at ``page``; ``against`` holds differences to another run."""
    return RunInputs(
        name=run_name(page.parent),
        run=read_run(configs),
        history=read_json(history),
        scores=Scores(read_json(metrics)),
        examples=load_examples(examples),
        corpus=read_corpus(corpus),
        validation=read_json(validation),
        invalid=read_table(invalid),
        invalid_link=seen_from(page, invalid),
        split=read_json(split),
        provenance=read_provenance(provenance),
        environment=environment(),
        beside=beside_others(read_json(against)) if against else [],
    )
