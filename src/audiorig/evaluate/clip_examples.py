"""examples.npz: what there is to look at behind a tuned model's scores.

targets                      (K,) names
num_examples                 E, clips spread over the classes, with for each index i
  name_{i}, group_{i}        texts; pseudonyms for a private corpus
  seconds_{i}                what was read of it
  true_{i}, predicted_{i}    (K,) as in the predictions; NaN where missing
  envelope_{i}               float32 (2, P), lowest and highest sample of P stretches; not of a private corpus
  attention_{i}              float32 (N,), weights of the frames; only of a pooling that has some
map                          float32 (M, 2), vectors of test clips laid out in the plane (t-SNE)
  map_name, map_group        (M,) texts
  map_true                   (M, K)
change_part                  (P,) "front", "block 0", ...: parts of the encoder, where that before tuning is known
  change_relative            (P,) how far the part moved, relative to the norm of its weights
  change_weights             (P,) how many there are
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from audiorig.data.audio import Samples
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.errors import DataError
from audiorig.evaluate.clip_predictions import Clips, HeardSide
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.selection import spread_evenly
from audiorig.files import written_aside
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.tuner import SpeechTuner
from audiorig.models.tuning.change import weight_change
from audiorig.models.tuning.lora import merged_state
from audiorig.randomness import random_state_fence

NUM_STRETCHES = 600
MAX_IN_MAP = 1000
PCA_WIDTH = 50
LEAST_IN_MAP = 5

Arrays = dict[str, NDArray[Any]]


def example_items(side: HeardSide, num_examples: int, seed: int) -> list[int]:
    """Clips to look at, by their place in the side: spread over the first target's values, and over groups."""
    if not num_examples:
        return []
    rows = pd.DataFrame({"label": _labels(side), "group": list(side.groups), "place": np.arange(len(side.items))})
    return spread_evenly(rows, "label", "group", num_examples, seed, "examples")["place"].tolist()


def _labels(side: HeardSide) -> list[str]:
    """The first target's values, as names of cells."""
    return [f"{value:g}" for value in side.values[:, 0]]


def look_at(
    model: SpeechTuner,
    clips: Clips,
    side: HeardSide,
    places: Sequence[int],
    predicted: Floats,
    pseudonyms: CorpusPseudonyms | None,
) -> Arrays:
    """Outlines and attention of some clips, each read and heard alone.

    Args:
        places: of the clips in the side.
        predicted: (n, K) of the side.
        pseudonyms: of a private corpus, whose sound is not drawn either.
    """
    found: Arrays = {"num_examples": np.array(len(places))}
    for index, place in enumerate(places):
        heard = clips.try_item((0, int(side.numbers[place])))
        if isinstance(heard, DataError):
            raise heard  # it could be read a moment ago
        samples = heard[1]
        with random_state_fence():
            lengths = torch.tensor([len(samples)], device=model.device)
            output = model.predict(torch.from_numpy(samples)[None].to(model.device), lengths)
        item, group = side.items[place], side.groups[place]
        found[f"name_{index}"] = np.array(shown_name(item, pseudonyms))
        found[f"group_{index}"] = np.array(shown_group(group, pseudonyms))
        found[f"seconds_{index}"] = np.array(len(samples) / model.sample_rate_hz)
        found[f"true_{index}"] = side.values[place]
        found[f"predicted_{index}"] = predicted[place]
        if pseudonyms is None:
            found[f"envelope_{index}"] = envelope(samples)
        if output.attention is not None and output.is_padding is not None:
            found[f"attention_{index}"] = output.attention[0][~output.is_padding[0]].float().cpu().numpy()
    return found


def envelope(samples: Samples, num_stretches: int = NUM_STRETCHES) -> NDArray[np.float32]:
    """Lowest and highest sample (2, P) of stretches of equal length: P of them, or one a sample."""
    firsts = np.unique(np.linspace(0, len(samples), min(num_stretches, len(samples)), endpoint=False).astype(np.int64))
    return np.stack([np.minimum.reduceat(samples, firsts), np.maximum.reduceat(samples, firsts)]).astype(np.float32)


def shown_name(item: str, pseudonyms: CorpusPseudonyms | None) -> str:
    """What a clip may be called."""
    return item if pseudonyms is None else pseudonyms.file(item.partition("#")[0])


def shown_group(group: str, pseudonyms: CorpusPseudonyms | None) -> str:
    """What a group may be called."""
    return group if pseudonyms is None else pseudonyms.value("group_id", group)


# ------------------------------------------------------------------------ map


def map_of(side: HeardSide, vectors: Floats, seed: int, pseudonyms: CorpusPseudonyms | None) -> Arrays:
    """Vectors of at most ``MAX_IN_MAP`` clips in the plane; nothing of fewer than ``LEAST_IN_MAP``."""
    rows = pd.DataFrame({"label": _labels(side), "group": list(side.groups), "place": np.arange(len(side.items))})
    places = spread_evenly(rows, "label", "group", MAX_IN_MAP, seed, "map")["place"].to_numpy()
    if len(places) < LEAST_IN_MAP:
        return {}
    return {
        "map": in_plane(vectors[places], seed),
        "map_name": np.array([shown_name(side.items[place], pseudonyms) for place in places]),
        "map_group": np.array([shown_group(side.groups[place], pseudonyms) for place in places]),
        "map_true": side.values[places],
    }


def in_plane(vectors: Floats, seed: int) -> NDArray[np.float32]:
    """t-SNE (van der Maaten and Hinton, 2008) of the first principal components: (n, D) to (n, 2).

    Neighbours on the map are neighbours; distances across it say little.
    """
    vectors = vectors.astype(np.float64)
    width = min(PCA_WIDTH, *vectors.shape)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # vectors that are all alike
        reduced = PCA(width, svd_solver="full", random_state=seed).fit_transform(vectors)
        if not np.ptp(reduced):
            return np.zeros((len(vectors), 2), dtype=np.float32)
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        laid = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(reduced)
    return np.asarray(laid, dtype=np.float32)


# --------------------------------------------------------------------- weights


def change_of(base: SpeechEncoder, model: SpeechTuner) -> Arrays:
    """How far tuning moved each part of the encoder."""
    changes = weight_change(base.state_dict(), merged_state(model.encoder), base, prefix="")
    return {
        "change_part": np.array([change.part for change in changes]),
        "change_relative": np.array([change.relative for change in changes]),
        "change_weights": np.array([change.num_weights for change in changes]),
    }


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz, whole or not at all; nothing in it is pickled."""
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
