"""One vector per piece: padding and the order of batches leave no trace."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from audiorig.evaluate.embed import ALL_BLOCKS, LAST, batches, embed, pool
from audiorig.models.outputs import EncoderOutput

HOP = 10


class Clips:
    """Stands in for ``Pieces``: noise of various lengths about a level that names the clip."""

    def __init__(self, lengths: list[int]) -> None:
        generator = np.random.default_rng(0)
        self.waveforms = [
            (index + generator.standard_normal(length)).astype(np.float32) for index, length in enumerate(lengths)
        ]
        self.table = pd.DataFrame({"duration_sec": pd.array([length / 100 for length in lengths], dtype="Float64")})

    def __len__(self) -> int:
        return len(self.waveforms)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.waveforms[index]


@dataclass
class Framing:
    """An encoder whose frames are those of the waveform; what lies behind an item's end is poison."""

    batch_sizes: list[int]

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        self.batch_sizes.append(len(waveform))
        torch.rand(3)  # an encoder may draw; nobody must notice
        frames = waveform[:, : waveform.shape[1] // HOP * HOP].reshape(len(waveform), -1, HOP)
        is_padding = torch.arange(frames.shape[1]) >= (lengths // HOP)[:, None]
        frames = torch.where(is_padding[..., None], 1e9, frames)
        return EncoderOutput(features=frames + 1, is_padding=is_padding, layers=(frames, 2 * frames))


LENGTHS = [50, 210, 20, 130, 131, 90, 20]


def expected(waveform: np.ndarray) -> np.ndarray:
    frames = waveform[: len(waveform) // HOP * HOP].reshape(-1, HOP)
    return np.concatenate([frames.mean(0), frames.std(0)])


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_vectors_stand_in_the_order_of_the_pieces(batch_size: int) -> None:
    clips, encoder = Clips(LENGTHS), Framing([])
    features = embed(encoder, clips, batch_size, "x")  # type: ignore[arg-type]
    assert sum(encoder.batch_sizes) == len(LENGTHS)
    assert max(encoder.batch_sizes) == min(batch_size, len(LENGTHS))
    assert list(features) == ["block-1", "block-2", LAST, ALL_BLOCKS]
    truth = np.stack([expected(waveform) for waveform in clips.waveforms])
    assert features["block-1"] == pytest.approx(truth, abs=1e-5)
    assert features["block-2"] == pytest.approx(2 * truth, abs=1e-5)
    assert features[LAST][:, :HOP] == pytest.approx(truth[:, :HOP] + 1, abs=1e-5)
    assert np.array_equal(features[ALL_BLOCKS], np.concatenate([features["block-1"], features["block-2"]], axis=1))


def test_embedding_leaves_the_random_state_as_it_was() -> None:
    torch.manual_seed(0)
    untouched = torch.rand(2)
    torch.manual_seed(0)
    embed(Framing([]), Clips(LENGTHS), 2, "x")  # type: ignore[arg-type]
    assert torch.equal(torch.rand(2), untouched)


def test_batches_hold_pieces_of_like_length_each_once() -> None:
    clips = Clips(LENGTHS)
    seen, padded = [], 0
    for indices, waveform, lengths in batches(clips, 3):  # type: ignore[arg-type]
        assert waveform.shape == (len(indices), int(lengths.max()))
        for row, index in enumerate(indices):
            assert np.array_equal(waveform[row, : lengths[row]].numpy(), clips[index])
            assert (waveform[row, lengths[row] :] == 0).all()
        seen += indices
        padded += waveform.numel()
    assert sorted(seen) == list(range(len(LENGTHS)))
    assert padded == 3 * 50 + 3 * 131 + 210  # sorted by length


def test_pool_ignores_padding() -> None:
    frames = torch.tensor([[[1.0, 10.0], [3.0, 10.0], [1e9, -1e9]]])
    is_real = torch.tensor([[True, True, False]])
    assert pool(frames, is_real).tolist() == [[2.0, 10.0, 1.0, 0.0]]
    assert torch.equal(pool(frames[:, :2], is_real[:, :2]), pool(frames, is_real))


def test_pool_of_nothing_is_finite() -> None:
    assert pool(torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)).isfinite().all()
