"""What a trained network predicts of whole songs, a few at a time."""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

import audiorig.models  # noqa: F401  registers the network
from audiorig.config import Audio2EdaRun
from audiorig.data.eda.scale import TraceScale
from audiorig.data.eda.songs import SongCollate, SongDataset
from audiorig.errors import DataError
from audiorig.evaluate.clip_stages import device
from audiorig.evaluate.intervals import Floats
from audiorig.models.eda.model import Audio2Eda
from audiorig.randomness import random_state_fence

STEPS_AT_ONCE = 8000  # of a batch, padding included


def load_network(folder: Path) -> Audio2Eda:
    """A trained network, ready to be asked, on the device that there is.

    Raises:
        DataError: if the folder holds another kind of model.
    """
    model = AutoModel.from_pretrained(folder)
    if not isinstance(model, Audio2Eda):
        raise DataError(f"{folder}: a {type(model).__name__}: expected the network of a run of audio2eda")
    torch.nn.Module.to(model, device())
    return model.eval()


def scale_of(model: Audio2Eda, run: Audio2EdaRun, fitted: TraceScale, where: Path) -> TraceScale:
    """The scale of the traces that a network has learnt to predict.

    Args:
        run: settings of the scoring.
        fitted: to the training side that is at hand.
        where: the network's folder.

    Raises:
        DataError: if the network hears or predicts something else than is scored, or in other units
            than the baselines.
    """
    made_of = model.config.preprocessing
    for name, wanted in (
        ("audio", run.audio.model_dump(mode="json", exclude={"num_shards"})),
        ("eda", run.eda.model_dump(mode="json")),
    ):
        if different := [key for key, value in wanted.items() if made_of[name].get(key) != value]:
            key = different[0]
            raise DataError(
                f"{where}: was trained with {name}.{key} {made_of[name].get(key)!r}, and is to be scored with "
                f"{wanted[key]!r}: train it anew, or score it with the settings of its training"
            )
    own = TraceScale.from_dict(made_of["trace_scale"])
    known = own.normalize == fitted.normalize and set(own.subjects) == set(fitted.subjects)
    if not known or not np.allclose(_numbers(own), _numbers(fitted), rtol=1e-6):
        raise DataError(
            f"{where}: was trained on traces scaled as {own.normalize} by another training side than this split's "
            f"(expected {fitted.normalize} of {len(fitted.subjects)} subjects): train it anew, or name its own split"
        )
    return own


def _numbers(scale: TraceScale) -> Floats:
    return np.array([*scale.everybody, *(part for _, pair in sorted(scale.subjects.items()) for part in pair)])


def predict_songs(model: Audio2Eda, songs: SongDataset) -> dict[str, Floats]:
    """Song id -> what is predicted of every step, (M,)."""
    collate, found = SongCollate(), dict[str, Floats]()
    with torch.inference_mode(), random_state_fence():
        for items in batches([songs.num_steps(item) for item in range(len(songs))]):
            batch = collate([songs[0, item] for item in items])
            names = ("mfcc", "is_padding", "start")
            predicted = model(**{name: batch[name].to(model.device) for name in names}).predicted
            for item, line in zip(items, predicted.float().cpu().numpy(), strict=True):
                found[songs.songs[item].song_id] = line[len(line) - songs.num_steps(item) :].astype(np.float64)
    return found


def batches(lengths: list[int]) -> list[list[int]]:
    """Items of about the same length together, at most so many steps at once, longest first."""
    found: list[list[int]] = []
    for item in sorted(range(len(lengths)), key=lambda item: (-lengths[item], item)):
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= STEPS_AT_ONCE:
            found[-1].append(item)
        else:
            found.append([item])
    return found
