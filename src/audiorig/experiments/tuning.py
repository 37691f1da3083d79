"""Tuning a speech encoder to clips: where audio, targets, network and watchers meet.

``speechtune`` and ``infantcry`` differ in their corpora, targets and pages, not here.
"""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from audiorig.config import SIDES as ALL_SIDES
from audiorig.config import TuningRun
from audiorig.data.clips import ClipCollate, ClipDataset
from audiorig.data.manifest import read_table
from audiorig.data.replaced import ReplacedClips
from audiorig.data.targets import Target, absent_classes, resolve_targets, value_counts
from audiorig.errors import ConfigError, DataError
from audiorig.experiments.inputs import Inputs
from audiorig.experiments.vector_scale import measure_vector_scale
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.record import encoder_record
from audiorig.models.tuner import SpeechTuner
from audiorig.train import ranks
from audiorig.train.experiment import Experiment
from audiorig.train.gate import GradientGate
from audiorig.train.relations import relate

SIDES: tuple[Literal["train", "dev"], ...] = ("train", "dev")
GATE_CLIPS = 2  # enough to see that an output moves

log = logging.getLogger(__name__)


def build(settings: TuningRun, inputs: Inputs) -> Experiment:
    """Put the experiment together.

    Raises:
        ConfigError: if no encoder is given, or a setting does not fit it.
        DataError: if the encoder is of another family, or the split's targets are not what the settings say.
    """
    if inputs.pretrained is None:
        raise ConfigError("this training begins with an encoder: name its folder or manifest (--pretrained)")
    encoder = load_for_tuning(settings.encoder, inputs.pretrained, inputs.checkpoint)
    rows = {side: read_table(inputs.split / f"{side}.parquet") for side in ALL_SIDES}
    targets = resolve_targets(settings.used_targets, rows["train"])
    for target in targets:
        target.encode_all(rows["test"])  # a misspelt label there must not be found out once all is trained
    for sentence in absent_classes(targets, rows):
        log.warning("%s", sentence)
    model = SpeechTuner.assemble(encoder, settings, targets)
    _check_scales(model.targets, rows["dev"])
    torch.manual_seed(settings.seed)  # dropout

    def clips_of(arrow: str, side: Literal["train", "dev"]) -> ClipDataset:
        return ClipDataset(
            inputs.split / arrow,
            inputs.audio or inputs.root,
            settings.data,
            targets,
            encoder.sample_rate_hz,
            settings.seed,
            side=side,
            shortest=encoder.shortest,
        )

    clips = {side: clips_of(f"{side}.arrow", side) for side in SIDES}
    if settings.head.standardize:
        measure_vector_scale(model, clips_of("train.arrow", "dev"), settings.seed)
    collate = ClipCollate()

    def two_clips() -> dict[str, Tensor]:
        batch = collate([clips["dev"][0, item] for item in range(min(GATE_CLIPS, len(clips["dev"])))])
        return {name: batch[name] for name in ("waveform", "lengths")}

    base = encoder_record(settings.encoder, inputs.pretrained, inputs.checkpoint)
    return Experiment(
        model=model,
        train_dataset=clips["train"],
        dev_dataset=clips["dev"],
        collate=collate,
        collate_dev=collate,
        item_sec=settings.data.max_sec,
        fingerprint=_fingerprint(settings, inputs, base["weights_sha256"]),
        about={
            "base": base,
            "num_learning": sum(each.numel() for each in model.parameters() if each.requires_grad),
        },
        # A class or a head of its own may have no label in the first steps.
        callbacks=(GradientGate(two_clips, _answers, rare=("heads.", "cutpoints.")),),
        ledger=ReplacedClips(clips["train"], private=inputs.is_private, is_spoken=ranks.is_main()),
        relate=relate,
    )


def _check_scales(targets: Sequence[Target], dev: pd.DataFrame) -> None:
    """A rating that is only ranked gets its scale from dev once all is trained: see that it can, before."""
    for target in targets:
        if target.kind == "rating" and not target.has_cutpoints:
            num_different = sum(count > 0 for count in value_counts(target, dev))
            if num_different < 2:
                raise DataError(
                    f"target {target.name!r} is only ranked, and its scale is fitted to the dev side, which has "
                    f"{num_different} different ratings of it: expected two or more; add the loss coral, or take a "
                    "split with a larger dev side"
                )


def _answers(model: SpeechTuner, batch: dict[str, Tensor]) -> Tensor:
    """All logits of a batch side by side, (B, O)."""
    logits = model(**batch).logits
    return torch.cat([logits[name] for name in sorted(logits)], dim=-1)


def _fingerprint(settings: TuningRun, inputs: Inputs, weights_sha256: str | dict[str, str]) -> dict[str, Any]:
    sections = ("data", "encoder", "tuning", "pooling", "head", "targets", "groups", "use", "losses")
    return {
        **settings.model_dump(mode="json", include=set(sections)),
        **inputs.split_digests(settings.train),
        "base_sha256": weights_sha256,
    }
