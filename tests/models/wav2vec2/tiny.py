"""A wav2vec2 of 10,000 weights in the published format, and batches of noise for it; no test in here.

Subprocesses load this file by its path as well, so it needs no pytest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiorig.config import LongCropConfig, SeededConfig, Wav2Vec2TrainingConfig
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.wav2vec2.batches import FrameCounter, PretrainingCollate
from audiorig.models.wav2vec2.checkpoint import load_base
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer

HOP = 320
SHAPE: dict[str, Any] = {
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [8, 8, 5],
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 16,
    "num_codevector_groups": 2,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
}


@dataclass(frozen=True)
class Place:
    """Stands for a LongCrop."""

    epoch: int
    item: int
    row: int = 0
    start: int = 0
    num_samples: int = 16000
    num_redraws: int = 0
    is_silent: bool = False


def tiny_settings(**settings: Any) -> Wav2Vec2TrainingConfig:
    """Ten negatives and no dropout, unless said otherwise."""
    return Wav2Vec2TrainingConfig(**{"dropout": 0.0, "num_negatives": 10, "mask_time_length": 5, **settings})


def seeded_folder(folder: Path, **shape: Any) -> Path:
    """A published folder of random weights; ``shape`` lays over the tiny one."""
    make_seeded(SeededConfig(seeded="wav2vec2", settings={**SHAPE, **shape}), folder)
    return folder


def tiny_model(folder: Path, **settings: Any) -> Wav2Vec2Pretrainer:
    """The pretrainer of a tiny folder, which is made if it is not there."""
    if not folder.exists():
        seeded_folder(folder)
    return load_base(folder, tiny_settings(**settings))


def tiny_collate(
    settings: Wav2Vec2TrainingConfig | None = None, do_normalize: bool = True, seed: int = 0, **data: Any
) -> PretrainingCollate:
    """Makes training batches for a tiny model."""
    counter = FrameCounter(tuple(SHAPE["conv_kernel"]), tuple(SHAPE["conv_stride"]))
    crops = LongCropConfig(crop_sec=1.0, **data)
    return PretrainingCollate(settings or tiny_settings(), crops, seed, counter, do_normalize, "train")


def noise_items(
    count: int, num_samples: int = 16000, epoch: int = 0, **place: Any
) -> list[tuple[Place, np.ndarray[Any, Any]]]:
    """Crops of coloured noise, each of its own seed."""
    items = []
    for item in range(count):
        noise = np.random.default_rng(item).standard_normal(num_samples + 2).cumsum()
        samples = (0.05 * (noise[2:] - noise[:-2])).astype(np.float32)
        items.append((Place(epoch, item, **{"num_samples": num_samples, **place}), samples))
    return items


def random_batch(count: int, *, unequal: bool = False, **settings: Any) -> dict[str, Tensor]:
    """A batch of noise as the model takes it (without ``seen``).

    Args:
        count: items B.
        unequal: let the share of hidden frames differ between items, from a fifth to four fifths.
        settings: as for ``tiny_settings``.
    """
    items = noise_items(count)
    if unequal:
        collates = [tiny_collate(tiny_settings(**{**settings, "mask_time_prob": prob})) for prob in (0.2, 0.5, 0.8)]
        batches = [collates[index % 3]([each]) for index, each in enumerate(items)]
    else:
        batches = [tiny_collate(tiny_settings(**settings))(items)]
    return {name: torch.cat([each[name] for each in batches]) for name in batches[0] if name != "seen"}


def taken(batch: dict[str, Tensor], first: int, end: int) -> dict[str, Tensor]:
    """Some items of a batch."""
    return {name: tensor[first:end] for name, tensor in batch.items()}
