"""All that a run's page is made of, read from the files that earlier rules wrote."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from audiorig.config import SIDES, Audio2EdaRun, Corpus, CorpusSection, HomeWav2Vec2Run, Run, TuningRun, WaveMAERun
from audiorig.config_checks import read_yaml
from audiorig.config_stages import run_name
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import PERMUTED, read_answers
from audiorig.evaluate.rebuild import RebuiltClip, load_examples
from audiorig.files import read_json
from audiorig.provenance import environment
from audiorig.report.eda.inputs import Heard, read_heard
from audiorig.report.look_inside import load_inside
from audiorig.report.scores import Beside, Scores, beside_others

FILE_COLUMNS = ["wav_path", "participant_id", "recording_id", "duration_sec"]
W2V_LEARNT = {"bestrq": "BEST-RQ codes, not W2V-BERT features", "w2v-bert": "W2V-BERT features"}


def no_files() -> pd.DataFrame:
    return pd.DataFrame(columns=[*FILE_COLUMNS, "side"])


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
        examples: clips that a masked autoencoder rebuilt; other experiments have none.
        predictions: answers to each clip of dev and test, by the model and its controls, of tuned encoders.
        inside: what there is to look at inside a tuned model: arrays by name.
        luck: how often labels that were dealt out anew score as well as the true ones, by task and metric, the
            true ones counted among the shuffles.
        num_unreadable: test clips of a tuned model that no score is about, as they could not be read.
        ladder: the run beside its ladder, as ``ladder.json`` has it.
        heard: traces that were predicted, and what was found in the listeners' own.
        files: every file of the corpus with its participant, recording, length and side ("" in none), where
            the page speaks of participants or must not name them.
        beside: differences to other runs.
    """

    name: str
    run: Run
    history: list[dict[str, Any]]
    scores: Scores
    corpus: CorpusSection
    validation: dict[str, Any]
    invalid: pd.DataFrame
    invalid_link: str
    split: dict[str, Any]
    provenance: dict[str, dict[str, Any]]
    environment: dict[str, Any]
    examples: list[RebuiltClip] = field(default_factory=list)
    files: pd.DataFrame = field(default_factory=no_files)
    beside: list[Beside] = field(default_factory=list)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    inside: dict[str, Any] = field(default_factory=dict)
    luck: dict[tuple[str, str], float] = field(default_factory=dict)
    num_unreadable: int = 0
    ladder: dict[str, Any] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)

    @property
    def system(self) -> str:
        """The name that the trained encoder has among the scores."""
        return self.run.experiment

    @property
    def crop_sec(self) -> float:
        """Length of a training crop."""
        match self.run:
            case WaveMAERun(data=data, spectrogram=spectrogram):
                return (data.crop_frames - 1) * spectrogram.hop / data.sample_rate_hz
            case HomeWav2Vec2Run(data=data):
                return data.crop_sec
            case TuningRun(data=data):
                return data.max_sec
            case Audio2EdaRun(data=songs):
                return songs.max_sec
        raise TypeError(f"{type(self.run).__name__} has no crops that are known here")

    @property
    def training(self) -> dict[str, Any]:
        """The record of the training."""
        return self.provenance.get("train", {})

    @property
    def base(self) -> dict[str, Any]:
        """What training began with, by its record: name, whether it was ``seeded`` (random weights), revision, ..."""
        return dict(self.training.get("base") or {})

    @property
    def w2v_target(self) -> str:
        """What the W2V decoder learnt: bestrq, w2v-bert or none; by the training's record, else by the settings."""
        return str(self.training.get("w2v_target") or w2v_target(self.run))


def w2v_target(run: Run) -> str:
    """What the W2V decoder of a run learns: bestrq, w2v-bert or, without such a decoder, none."""
    return run.teacher.kind if isinstance(run, WaveMAERun) and run.model.weights.aux_w2v > 0 else "none"


def seen_from(page: Path, file: Path) -> str:
    """A link from a page to a file, which holds wherever both lie."""
    return Path(os.path.relpath(file, page.parent)).as_posix()


def read_run(configs: Iterable[Path]) -> Run:
    """A run's settings, put together again from the files of its stages."""
    merged: dict[str, Any] = {}
    for path in configs:
        merged |= read_yaml(path)
    run: Run = TypeAdapter(Run).validate_python(merged)
    return run


def read_corpus(path: Path) -> CorpusSection:
    """A corpus' settings; unlike ``load_corpus`` it does not ask for the audio to be there."""
    return TypeAdapter(Corpus).validate_python(read_yaml(path))


def read_files(manifest: Path, split: Path) -> pd.DataFrame:
    """Every file of a manifest, and the side of the split beside ``split`` (its summary) on which it is."""
    files = pd.read_parquet(manifest, columns=FILE_COLUMNS)
    tables = {side: split.with_name(f"{side}.parquet") for side in SIDES}
    sides = [
        pd.read_parquet(path, columns=["wav_path"]).assign(side=side) for side, path in tables.items() if path.exists()
    ]
    if not sides:
        return files.assign(side="")
    of_file = pd.concat(sides).set_index("wav_path")["side"]
    return files.assign(side=files["wav_path"].map(of_file).fillna("").astype(str))


def read_provenance(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Records by stage, in the order in which they were made."""
    records = sorted((read_json(path) for path in paths), key=lambda record: str(record.get("started")))
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        stage = str(record["stage"])
        shards = sum(name == stage or name.startswith(f"{stage}, ") for name in found)
        found[f"{stage}, share {shards + 1}" if shards else stage] = record
    return found


def luck_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """Shares of the shuffles of ``metrics.json``, by task and metric; none where nothing was shuffled."""
    shuffled = [row for row in rows if row["system"] == PERMUTED and row.get("p_value") is not None]
    return {(str(row["task"]), str(row["metric"])): float(row["p_value"]) for row in shuffled}


def num_unreadable(rows: Iterable[Mapping[str, Any]]) -> int:
    """Test clips that could not be read; every row of the model says the same."""
    return max((int(row.get("num_unreadable") or 0) for row in rows), default=0)


def read_inputs(
    *,
    configs: Iterable[Path],
    history: Path,
    metrics: Path,
    corpus: Path,
    validation: Path,
    invalid: Path,
    split: Path,
    provenance: Iterable[Path],
    page: Path,
    examples: Path | None = None,
    manifest: Path | None = None,
    against: Path | None = None,
    predictions: Path | None = None,
    ladder: Path | None = None,
    heard: tuple[Path, Path] | None = None,
) -> RunInputs:
    """Read everything for the page that will lie at ``page``.

    Args:
        examples: clips that were masked and rebuilt, or what there is to see inside a tuned model.
        manifest: the corpus' files; asked for where the page speaks of participants.
        against: differences to another run.
        predictions: answers of a tuned model.
        ladder: the run beside its ladder.
        heard: folders of scored traces, of the run and of the corpus.

    Raises:
        DataError: if the corpus is private, and no manifest says which names must not appear; if the answers of a
            tuned model are not given.
    """
    run, about = read_run(configs), read_corpus(corpus)
    if about.private and manifest is None:
        raise DataError(
            f"{corpus}: the corpus is private, so the page needs its manifest to know the names that it must not "
            "show; give --manifest"
        )
    is_tuned = isinstance(run, TuningRun)
    if is_tuned and predictions is None:
        raise DataError(f"{metrics}: the page of a tuned model shows its answers; give --predictions")
    rows = read_json(metrics)
    wants_files = about.private or isinstance(run, HomeWav2Vec2Run)
    return RunInputs(
        name=run_name(page.parent),
        run=run,
        history=read_json(history),
        scores=Scores(rows),
        corpus=about,
        validation=read_json(validation),
        invalid=read_table(invalid),
        invalid_link=seen_from(page, invalid),
        split=read_json(split),
        provenance=read_provenance(provenance),
        environment=environment(),
        examples=load_examples(examples) if examples and not about.private and not is_tuned else [],
        files=read_files(manifest, split) if manifest and wants_files else no_files(),
        beside=beside_others(read_json(against)) if against else [],
        predictions=read_answers(predictions) if predictions else pd.DataFrame(),
        inside=load_inside(examples) if examples and is_tuned else {},
        luck=luck_of(rows),
        num_unreadable=num_unreadable(rows),
        ladder=read_json(ladder) if ladder else {},
        heard=read_heard(*heard) if heard else Heard(),
    )
