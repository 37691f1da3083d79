"""From songs to skin conductance: where coefficients, listeners' traces and network meet."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from audiorig.config import Audio2EdaRun
from audiorig.data.eda.scale import MfccScale, TraceScale
from audiorig.data.eda.songs import SongCollate, SongDataset
from audiorig.data.eda.trace_store import TraceStore
from audiorig.data.feature_store import FeatureStore
from audiorig.data.manifest import read_table
from audiorig.errors import ConfigError, DataError
from audiorig.experiments.inputs import Inputs
from audiorig.models.eda.model import Audio2Eda
from audiorig.train.experiment import Experiment

SIDES: tuple[Literal["train", "dev"], ...] = ("train", "dev")
SECTIONS = {"data", "audio", "eda", "model", "loss"}  # what is watched changes no step
OF_SOME_TRACES = {"dtw", "frechet"}  # of monitor.max_traces of each batch: another number of them, another best step


def build(settings: Audio2EdaRun, inputs: Inputs) -> Experiment:
    """Put the experiment together. Of the test side nothing is read.

    Raises:
        ConfigError: if coefficients or traces are not named, or the model would hold names of private subjects.
        DataError: if a side has no traces, or there is nothing to scale by.
    """
    if inputs.is_private and settings.eda.normalize == "subject_z_train":
        raise ConfigError(
            "eda.normalize is subject_z_train, for which the model keeps a mean and deviation by the name of each "
            "subject, and the corpus is private: take trace_z or onset_delta"
        )
    traces = _named(settings, inputs)
    rows = read_table(inputs.split / "train.parquet")
    scale = TraceScale.fit(rows, TraceStore(traces), settings.eda)
    _check_rate(scale.rate_hz, settings, traces)
    songs = {
        side: SongDataset(
            inputs.split / f"{side}.arrow",
            inputs.mfcc,
            traces,
            settings.data,
            settings.audio,
            settings.eda,
            scale,
            settings.seed,
            side=side,
        )
        for side in SIDES
    }
    last_step = max(songs["train"].num_steps(item) for item in range(len(songs["train"]))) - 1
    mfcc_scale = MfccScale.fit(rows, FeatureStore(inputs.mfcc))
    model = Audio2Eda.of_run(settings, mfcc_scale, scale, last_step / settings.frame_rate_hz)
    torch.manual_seed(settings.seed)  # dropout
    collate = SongCollate()
    return Experiment(
        model=model,
        train_dataset=songs["train"],
        dev_dataset=songs["dev"],
        collate=collate,
        collate_dev=collate,
        item_sec=songs["train"].item_sec(),
        fingerprint=_fingerprint(settings, inputs, songs),
        about={
            "num_songs": rows["song_id"].nunique(),
            "num_traces": len(rows),
            "num_subjects": rows["participant_id"].nunique(),
            "receptive_sec": None if model.receptive_steps is None else model.receptive_steps / settings.frame_rate_hz,
        },
    )


def _named(settings: Audio2EdaRun, inputs: Inputs) -> Path:
    """Where the traces are."""
    if not inputs.mfcc:
        raise ConfigError(f"songs are heard as coefficients: name the shards of {settings.audio.key} (--mfcc)")
    if inputs.traces is None:
        key = settings.eda.key(settings.audio)
        raise ConfigError(f"this training predicts listeners' traces: name traces.arrow of {key} (--traces)")
    return inputs.traces


def _check_rate(found_hz: float, settings: Audio2EdaRun, traces: Path) -> None:
    if not math.isclose(found_hz, settings.frame_rate_hz, rel_tol=1e-6):
        raise DataError(
            f"{traces}: has {found_hz:g} steps a second, and the run predicts {settings.frame_rate_hz:g}: name the "
            f"traces of {settings.eda.key(settings.audio)}"
        )


def _fingerprint(
    settings: Audio2EdaRun, inputs: Inputs, songs: Mapping[Literal["train", "dev"], SongDataset]
) -> dict[str, Any]:
    """Of the arrays, what the sides hold is hashed, not the files: those hold the test side too, whose change
    is no other training, and the same arrays in other shards are the same."""
    follows_dev = settings.train.follows_dev
    sides = SIDES if follows_dev else SIDES[:1]
    judged_by_some = follows_dev and settings.train.selection.metric in OF_SOME_TRACES
    return {
        **settings.model_dump(mode="json", include=SECTIONS, exclude={"audio": {"num_shards"}}),
        **inputs.split_digests(settings.train),
        "features_sha256": {side: songs[side].digest() for side in sides},
        **({"max_traces": settings.monitor.max_traces} if judged_by_some else {}),
    }
