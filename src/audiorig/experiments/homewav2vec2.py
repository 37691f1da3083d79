"""Continued pre-training of wav2vec2 on long recordings: where crops, network and watchers meet."""

from pathlib import Path
from typing import Any, Literal

import torch

from audiorig.config import HomeWav2Vec2Run
from audiorig.data.coverage import Coverage
from audiorig.data.long_crops import LongCropDataset
from audiorig.errors import ConfigError
from audiorig.experiments.inputs import Inputs
from audiorig.files import file_digest, read_json
from audiorig.models.wav2vec2.batches import FrameCounter, PretrainingCollate
from audiorig.models.wav2vec2.checkpoint import load_base
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer
from audiorig.train import ranks
from audiorig.train.collapse import CollapseGuard
from audiorig.train.experiment import Experiment
from audiorig.train.gumbel import GumbelSchedule

NOT_OF_A_STEP = {"dev_crops", "log_crops"}  # settings of data that change no training step
SIDES: tuple[Literal["train", "dev"], ...] = ("train", "dev")


def build(settings: HomeWav2Vec2Run, inputs: Inputs) -> Experiment:
    """Put the experiment together.

    Raises:
        ConfigError: if no checkpoint to go on from is given.
        DataError: if it is of another family, lacks the quantizer, or the split has nothing to draw from.
    """
    if inputs.pretrained is None:
        raise ConfigError("this training goes on from a checkpoint: name its manifest (--pretrained)")
    base = base_record(inputs.pretrained)
    model = load_base(inputs.pretrained, settings.model, settings.data.sample_rate_hz, settings.seed)
    torch.manual_seed(settings.seed)  # dropout
    crops = {
        side: LongCropDataset(inputs.split / f"{side}.arrow", inputs.root, settings.data, settings.seed, side=side)
        for side in SIDES
    }
    collate = {side: _collate(settings, model, side) for side in SIDES}
    crop_log = inputs.folder / "crops" if settings.data.log_crops and ranks.is_main() else None
    return Experiment(
        model=model,
        train_dataset=crops["train"],
        dev_dataset=crops["dev"],
        collate=collate["train"],
        collate_dev=collate["dev"],
        item_sec=settings.data.crop_sec,
        fingerprint=_fingerprint(settings, inputs),
        about={"base": base, "most_perplexity": most_perplexity(model)},
        callbacks=(
            GumbelSchedule(settings.model.gumbel, is_seeded=base["seeded"] or model.is_quantizer_new),
            CollapseGuard(settings.model.collapse, most_perplexity(model)),
        ),
        ledger=Coverage(inputs.split / "train.arrow", settings.data, crop_log),
    )


def _collate(settings: HomeWav2Vec2Run, model: Wav2Vec2Pretrainer, side: Literal["train", "dev"]) -> PretrainingCollate:
    normalises = bool(model.preprocessor["do_normalize"])
    counter = FrameCounter.of(model.config)
    return PretrainingCollate(settings.model, settings.data, settings.seed, counter, normalises, side)


def most_perplexity(model: Wav2Vec2Pretrainer) -> float:
    """Perplexity, summed over the codebooks, of codes that are used alike."""
    return float(model.config.num_codevector_groups * model.config.num_codevectors_per_group)


def base_record(folder: Path) -> dict[str, Any]:
    """Which checkpoint a run goes on from."""
    manifest = read_json(folder / "manifest.json")
    record = {"name": folder.name, "seeded": bool(manifest.get("seeded"))}
    return record | {key: manifest[key] for key in ("hub_id", "revision") if key in manifest}


def _fingerprint(settings: HomeWav2Vec2Run, inputs: Inputs) -> dict[str, Any]:
    assert inputs.pretrained is not None
    return {
        "data": settings.data.model_dump(mode="json", exclude=NOT_OF_A_STEP),
        "model": settings.model.model_dump(mode="json", exclude={"collapse"}),
        **inputs.split_digests(settings.train),
        "base_sha256": file_digest(inputs.pretrained / "model.safetensors"),
    }
