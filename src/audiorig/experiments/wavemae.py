"""WaveMAE's experiment: where its data, model, logs and probe meet."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from audiorig.config import DataConfig, PitchConfig, SpectrogramConfig, WaveMAERun
from audiorig.data.crops import CropDataset
from audiorig.data.feature_store import FeatureStore
from audiorig.errors import ConfigError, DataError
from audiorig.evaluate.stages import PitchLookup
from audiorig.experiments.inputs import Inputs
from audiorig.experiments.wavemae_items import (
    CachedPitch,
    CachedTeacher,
    LivePitch,
    LiveTeacher,
    MaskedCollate,
    PitchSource,
    TeacherSource,
    WaveMAEDataset,
)
from audiorig.files import file_digest
from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.spectrogram import SpectrumStatistics
from audiorig.models.teachers.reduction import Reduction
from audiorig.models.teachers.w2v_bert import W2VBertTeacher
from audiorig.train.audio_log import AudioLog
from audiorig.train.experiment import Experiment
from audiorig.train.probe_log import build_probe

log = logging.getLogger(__name__)


def crop_samples(data: DataConfig, spectrogram: SpectrogramConfig) -> int:
    """Samples whose STFT has ``crop_frames`` frames."""
    return (data.crop_frames - 1) * spectrogram.hop


def build(settings: WaveMAERun, inputs: Inputs) -> Experiment:
    """Put the experiment together."""
    length, rate = crop_samples(settings.data, settings.spectrogram), settings.data.sample_rate_hz
    model = build_model(settings, inputs)
    datasets = {
        side: WaveMAEDataset(
            CropDataset(
                inputs.split / f"{side}.arrow",
                inputs.root,
                length,
                rate,
                settings.seed,
                is_random=side == "train",
                grid=settings.spectrogram.hop,
            ),
            pitch_source(settings, inputs.pitch),
            teacher_source(settings, inputs),
        )
        for side in ("train", "dev")
    }
    collate = {
        side: MaskedCollate(settings.model, settings.spectrogram, length, settings.seed, side == "train")
        for side in ("train", "dev")
    }
    return Experiment(
        model=model,
        train_dataset=datasets["train"],
        dev_dataset=datasets["dev"],
        collate=collate["train"],
        collate_dev=collate["dev"],
        item_sec=length / rate,
        fingerprint=_fingerprint(settings, inputs),
        about={"w2v_target": model.w2v_target},
        callbacks=tuple(_watchers(settings, inputs, model, datasets["dev"], collate["dev"])),
    )


def _watchers(
    settings: WaveMAERun, inputs: Inputs, model: WaveMAE, dev: WaveMAEDataset, collate: MaskedCollate
) -> Iterator[TrainerCallback]:
    """Audio logs and the probe in training."""
    if settings.train.audio_steps and inputs.is_private:
        log.info("the corpus is private: no audio is logged")
    elif settings.train.audio_steps:
        batch = collate([dev[0, item] for item in range(min(settings.train.audio_clips, len(dev)))])
        yield AudioLog(inputs.folder, model, batch, settings.train.audio_steps)
    if settings.train.probe.every_steps:
        try:
            yield build_probe(settings.train.probe, inputs.split, inputs.root, model, settings.seed)
        except DataError as error:  # runs inherit the probe; a corpus without its label can still be trained on
            log.warning("no probe while training: %s", error)


def build_model(settings: WaveMAERun, inputs: Inputs) -> WaveMAE:
    """The model with its initial weights."""
    torch.manual_seed(settings.seed)  # initial weights and dropout
    sections = {
        name: getattr(settings, name).model_dump(mode="json") for name in ("spectrogram", "model", "pitch", "teacher")
    }
    width = Reduction.load(inputs.reduction).num_features if inputs.reduction else 0
    model = WaveMAE(WaveMAEConfig(settings.data.sample_rate_hz, num_teacher_features=width, **sections))
    if inputs.statistics is None:
        raise ConfigError("WaveMAE standardises spectra: name the statistics of the training side (--statistics)")
    model.set_statistics(SpectrumStatistics.load(inputs.statistics))
    return model


def pitch_source(settings: WaveMAERun, shards: tuple[Path, ...]) -> PitchSource | None:
    """Where the pitch of crops comes from; None if the loss does not ask for it."""
    if not settings.model.weights.aux_crepe:
        return None
    return _pitch(settings.pitch, settings.data.sample_rate_hz, settings.spectrogram.hop, shards)


def pitch_of_clips(model: WaveMAE, settings: PitchConfig, shards: Sequence[Path]) -> PitchLookup:
    """The pitch of stretches of files, for a model that has a pitch decoder; for others, of none."""
    if model.pitch_decoder is None:
        return lambda wav_path, start, samples: None
    return _pitch(settings, model.config.sample_rate_hz, model.stft.hop, shards).of


def _pitch(settings: PitchConfig, rate_hz: int, hop: int, shards: Sequence[Path]) -> PitchSource:
    if settings.source == "live":
        return LivePitch(PitchTracker(settings, rate_hz, hop))
    if not shards:
        raise ConfigError(
            "the pitch loss has a weight (model.weights.aux_crepe), but no measured pitch is given: "
            "name its shards (--pitch), or set pitch.source=live"
        )
    return CachedPitch(FeatureStore(shards), hop)


def teacher_source(settings: WaveMAERun, inputs: Inputs) -> TeacherSource | None:
    """Where the teacher's features come from; None if it is BEST-RQ, whose codes the model computes."""
    if not settings.model.weights.aux_w2v or settings.teacher.kind == "bestrq":
        return None
    grid = (settings.model.stride, settings.spectrogram.hop, settings.data.sample_rate_hz)
    if settings.teacher.source == "cached":
        return CachedTeacher(FeatureStore(inputs.teacher), *grid)
    assert inputs.pretrained is not None
    assert inputs.reduction is not None
    teacher = W2VBertTeacher(inputs.pretrained, settings.teacher.layer)
    return LiveTeacher(teacher, Reduction.load(inputs.reduction), *grid)


def _fingerprint(settings: WaveMAERun, inputs: Inputs) -> dict[str, Any]:
    sections = ("data", "spectrogram", "model", "pitch", "teacher")
    return {
        **{name: getattr(settings, name).model_dump(mode="json") for name in sections},
        **inputs.split_digests(settings.train),
        "statistics_sha256": file_digest(inputs.statistics) if inputs.statistics else None,
        "features_sha256": [file_digest(path) for path in (*inputs.pitch, *inputs.teacher)],
        "reduction_sha256": file_digest(inputs.reduction) if inputs.reduction else None,
    }
