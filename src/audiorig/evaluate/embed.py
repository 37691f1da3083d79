"""Frozen features: one vector per piece and layer."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.pieces import Pieces
from audiorig.models.outputs import EncoderOutput
from audiorig.randomness import random_state_fence

ALL_BLOCKS = "all"
LAST = "final"


class Encoder(Protocol):
    """Whatever turns waveforms into frames of features."""

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput: ...


def embed(encoder: Encoder, pieces: Pieces, batch_size: int, name: str) -> dict[str, Floats]:
    """Mean and standard deviation over real frames, of every layer.

    Returns:
        Layer name -> (n, 2 D): ``block-1`` ..., ``final`` (after the last norm), and ``all``, the
        blocks side by side.
    """
    return embed_all({name: encoder}, pieces, batch_size)[name]


def embed_all(encoders: Mapping[str, Encoder], pieces: Pieces, batch_size: int) -> dict[str, dict[str, Floats]]:
    """What ``embed`` gives, of several encoders; each piece is read once."""
    found: dict[str, dict[str, list[tuple[int, np.ndarray]]]] = {name: {} for name in encoders}
    progress = tqdm(total=len(pieces), desc=f"embed {', '.join(encoders)}", unit="clip", mininterval=1)
    with random_state_fence(), torch.no_grad():
        for indices, waveform, lengths in batches(pieces, batch_size):
            for name, encoder in encoders.items():
                for layer, vectors in _pooled(encoder.encode(waveform, lengths)):
                    found[name].setdefault(layer, []).extend(zip(indices, vectors, strict=True))
            progress.update(len(indices))
    progress.close()
    return {name: _with_all_blocks(layers) for name, layers in found.items()}


def _pooled(output: EncoderOutput) -> Iterator[tuple[str, np.ndarray]]:
    """Layer names, and a vector of each item, (B, 2 D)."""
    layers = dict(zip(output.layer_names, output.layers, strict=True))
    for layer, frames in {**layers, LAST: output.features}.items():
        yield layer, pool(frames.float(), ~output.is_padding).cpu().numpy()


def _with_all_blocks(found: Mapping[str, list[tuple[int, np.ndarray]]]) -> dict[str, Floats]:
    features = {layer: _in_order(rows) for layer, rows in found.items()}
    blocks = [features[layer] for layer in features if layer != LAST]
    return {**features, ALL_BLOCKS: np.concatenate(blocks, axis=1)}


def _in_order(rows: list[tuple[int, np.ndarray]]) -> np.ndarray:
    return np.stack([vector for _, vector in sorted(rows, key=lambda row: row[0])])


def batches(pieces: Pieces, batch_size: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Padded batches of pieces of similar length: indices, waveform (B, T), lengths (B,)."""
    order = pieces.table["duration_sec"].argsort(kind="stable").tolist()
    for first in range(0, len(order), batch_size):
        indices = order[first : first + batch_size]
        waveforms = [torch.from_numpy(pieces[index]) for index in indices]
        lengths = torch.tensor([len(waveform) for waveform in waveforms])
        yield indices, torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True), lengths


def pool(frames: Tensor, is_real: Tensor) -> Tensor:
    """Mean and standard deviation over the real frames: (B, N, D) to (B, 2 D)."""
    weight = is_real[..., None].to(frames.dtype)
    count = weight.sum(1).clamp_min(1)
    mean = (frames * weight).sum(1) / count
    variance = ((frames - mean[:, None]).square() * weight).sum(1) / count
    return torch.cat([mean, variance.sqrt()], dim=1)
