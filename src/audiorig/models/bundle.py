"""A bundle: what a run has learnt, in a small folder that answers.

    bundle.json          what it is, and how it wants its clips: plain, to be read
    head.safetensors     head, pooling, prompts, and what of the encoder's own weights changed
    adapter/             low-rank updates, as PEFT writes them
    seal.json            digests of the others

What the encoder's weights were, and still are, is not in it: they are found where the record says,
or where somebody says, and compared by their digest. Changed weights are stored as they are and
not as differences: a difference is of the same size, and its sum with the base is rounded. Where
all of them changed, the bundle needs nothing else.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiorig.config import SIDES, InfantCryRun, Run, SpeechTuneRun
from audiorig.errors import ConfigError, DataError
from audiorig.files import file_digest, flush_to_disk, read_json, write_json
from audiorig.models.answers import Decision, decisions_of
from audiorig.models.bundle_answers import READING, Bundle, Prediction
from audiorig.models.bundle_origin import base_weights, find_encoder, portable_record
from audiorig.models.tuner import SpeechTuner, TunerConfig
from audiorig.models.tuning.lora import load_adapter, lora_layers, save_adapter

__all__ = ["Bundle", "Prediction", "load_bundle", "pack", "save_bundle"]

FORMAT = 1
ABOUT, HEAD, ADAPTER, SEAL = "bundle.json", "head.safetensors", "adapter", "seal.json"
ENCODER = "encoder."
MADE = ("started", "git_commit", "git_changed_files", "package_digest", "python", "versions")  # of a training's record
SHAPE = ("encoder", "tuning", "pooling", "head", "targets", "losses", "seed")  # what a tuner is built of


def save_bundle(
    folder: Path,
    model: SpeechTuner,
    *,
    run: SpeechTuneRun | InfantCryRun,
    encoder_record: Mapping[str, Any],
    split_sha256: str | Mapping[str, str],
    thresholds: Mapping[str, Decision],
    provenance: Mapping[str, Any],
) -> None:
    """Write a bundle, whole or not at all.

    Args:
        folder: replaced once everything is there.
        model: tuned; with its adapters, if they are to be in PEFT's format.
        run: its settings.
        encoder_record: as ``encoders.record.encoder_record`` makes it; the encoder still lies there.
        split_sha256: of the tables that it was trained and judged on.
        thresholds: what was chosen on dev, by target.
        provenance: what made it: plain data.

    Raises:
        DataError: if the encoder that it was tuned from is not where the record says, or another.
    """
    place = Path(str(encoder_record.get("checkpoint") or encoder_record["folder"]))
    base = base_weights(place, encoder_record, model.encoder.description())
    about = {
        "format": FORMAT,
        "experiment": run.experiment,
        "encoder": portable_record(encoder_record, run.encoder),
        "model": {name: getattr(model.config, name) for name in SHAPE},
        "targets": {target.name: list(target.answers) for target in model.targets},
        "thresholds": {name: decision.to_dict() for name, decision in thresholds.items()},
        "reading": {
            "sample_rate_hz": model.encoder.sample_rate_hz,
            **{name: getattr(run.data, name) for name in READING},
        },
        "split_sha256": split_sha256,
        "provenance": provenance,
    }
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        save_file(_learnt_weights(model, base), aside / HEAD, {"format": "pt"})
        if lora_layers(model.encoder):
            save_adapter(model.encoder, aside / ADAPTER, str(encoder_record.get("hub_id") or encoder_record["name"]))
        write_json(aside / ABOUT, about)
        _seal(aside)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(aside, folder)
        flush_to_disk(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_bundle(folder: Path, encoder: Path | None = None) -> Bundle:
    """The model of a bundle, ready to answer: on the CPU, in evaluation mode, without a network connection.

    Args:
        encoder: folder or file of the encoder's weights, if they are not where the record says.

    Raises:
        DataError: if a file is missing or not what was written, or the encoder is missing or another.
    """
    about = _opened(folder)
    model = SpeechTuner(TunerConfig(**about["model"])).eval()
    weights = _read(folder / HEAD)
    if (folder / ADAPTER).is_dir():
        load_adapter(model.encoder, folder / ADAPTER)
        weights |= {name: value for name, value in model.state_dict().items() if _is_adapter(name)}
    if lacking := [name for name in model.state_dict() if name not in weights]:
        place = find_encoder(about["encoder"], folder, encoder)
        base = base_weights(place, about["encoder"], model.encoder.description())
        weights |= {name: base[_base_name(name)] for name in lacking}
    model.load_state_dict(weights)
    return Bundle(model, about)


def pack(run: Run, *, model: Path, base: Path, split: Path, scores: Path, training: Path, output: Path) -> None:
    """Write the bundle of a run that is trained and scored.

    Args:
        run: its settings.
        model: folder of the tuned model.
        base: folder of the encoder that it began with, or the bare file of weights.
        split: folder of the split.
        scores: scores.json; where dev chose something, a row of the target has it as ``decision``.
        training: record of the training, which names the encoder.
        output: the bundle.

    Raises:
        ConfigError: if the run is none that tunes an encoder.
        DataError: as ``save_bundle``.
    """
    if not isinstance(run, SpeechTuneRun | InfantCryRun):
        raise ConfigError(f"a run of {run.experiment} tunes nothing to labels: there is no bundle of it")
    record = read_json(training)
    tuned = SpeechTuner.from_pretrained(model)
    chosen = decisions_of(read_json(scores))
    save_bundle(
        output,
        tuned,
        run=run,
        encoder_record=record["base"] | {"checkpoint" if base.is_file() else "folder": base.as_posix()},
        split_sha256={side: file_digest(split / f"{side}.parquet") for side in SIDES},
        thresholds={target.name: chosen.get(target.name, Decision()) for target in tuned.targets},
        provenance={name: record[name] for name in MADE if name in record},
    )


# ------------------------------------------------------------------- weights


def _is_adapter(name: str) -> bool:
    return ".lora_" in name


def _base_name(name: str) -> str:
    """What a weight of a tuned model is called in the encoder that it was tuned from."""
    return name.removeprefix(ENCODER).replace(".base_layer.", ".")


def _learnt_weights(model: SpeechTuner, base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that the base encoder does not have, or has otherwise; low-rank updates apart."""
    learnt = {}
    for name, weight in model.state_dict().items():
        before = base.get(_base_name(name)) if name.startswith(ENCODER) else None
        if not _is_adapter(name) and (before is None or not torch.equal(weight.cpu(), before)):
            learnt[name] = weight.detach().cpu().contiguous().clone()
    return learnt


# --------------------------------------------------------------------- files


def _seal(folder: Path) -> None:
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in members:
        shutil.copymode(folder / ABOUT, path)  # safetensors makes files that nobody else can read
        flush_to_disk(path)
    write_json(folder / SEAL, {"sha256": {path.relative_to(folder).as_posix(): file_digest(path) for path in members}})


def _opened(folder: Path) -> dict[str, Any]:
    """bundle.json, if every file is what was written.

    Raises:
        DataError: otherwise.
    """
    try:
        digests: dict[str, str] = read_json(folder / SEAL)["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{folder}: no bundle: expected {ABOUT}, {HEAD} and {SEAL}, as results/RUN/bundle has"
        ) from None
    for name in sorted({ABOUT, HEAD, *digests}):
        found = file_digest(folder / name) if (folder / name).is_file() else None
        if found is None or found != digests.get(name):
            what = "is gone" if found is None else "is not what was written"
            raise DataError(f"{folder / name}: {what} ({SEAL}): take the bundle anew from where it was made")
    about: dict[str, Any] = read_json(folder / ABOUT)
    if about.get("format") != FORMAT:
        raise DataError(f"{folder / ABOUT}: format is {about.get('format')}, expected {FORMAT}: make the bundle anew")
    return about


def _read(path: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as safetensors: {error}") from None
    return weights
