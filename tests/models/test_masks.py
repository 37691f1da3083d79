"""Masks and channels: exact counts, even coverage, smooth and bounded."""

import numpy as np
import pytest

from audiorig.models.masks import draw_channel, draw_spans
from audiorig.randomness import keyed_generator


def runs_of(is_hidden: np.ndarray) -> list[int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_hidden.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


@pytest.mark.parametrize("num_latents", [2, 3, 7, 20, 128, 500])
@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.65, 0.9])
def test_the_count_is_exact(num_latents: int, ratio: float) -> None:
    for item in range(20):
        is_hidden = draw_spans(keyed_generator("t", item), num_latents, ratio, 8, 16)
        assert is_hidden.shape == (num_latents,)
        assert is_hidden.sum() == min(max(1, round(ratio * num_latents)), num_latents - 1)


def test_one_latent_is_never_hidden() -> None:
    assert not draw_spans(keyed_generator("t"), 1, 0.65, 8, 16).any()


def test_inner_spans_have_their_lengths() -> None:
    """But for the ends and the one that fills the count up, spans are 8 to 16 latents long."""
    for item in range(200):
        is_hidden = draw_spans(keyed_generator("t", item), 128, 0.65, 8, 16)
        inner = runs_of(is_hidden)[int(is_hidden[0]) :]
        inner = inner[: len(inner) - int(is_hidden[-1])]
        assert all(length <= 16 for length in inner)
        assert sum(length < 8 for length in inner) <= 1


def test_every_position_is_hidden_equally_often() -> None:
    """Chi-square over positions; the bound is its 99.99 % quantile, twice over for dependence."""
    draws, size = 4000, 64
    counts = sum(draw_spans(keyed_generator("t", item), size, 0.5, 4, 8).astype(int) for item in range(draws))
    variance = draws * 0.25
    assert ((counts - draws / 2) ** 2 / variance).sum() < 2 * 110


def test_a_key_names_a_mask() -> None:
    masks = [draw_spans(keyed_generator("mask", 0, 3, 17), 128, 0.65, 8, 16) for _ in range(2)]
    other = draw_spans(keyed_generator("mask", 0, 3, 18), 128, 0.65, 8, 16)
    assert np.array_equal(*masks)
    assert not np.array_equal(masks[0], other)


def test_channels_are_smooth_and_bounded() -> None:
    to_db = 20 / np.log(10)
    channels = np.stack([draw_channel(keyed_generator("t", item), 513, 6.0) for item in range(300)]) * to_db
    assert np.abs(channels).max() < 6 * (1 + 1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert np.abs(np.diff(channels, axis=1)).max() < 1.0  # from bin to bin
    assert channels.mean(0).max() < 1.0
    assert 2 < channels.std() < 6
    assert not draw_channel(keyed_generator("t"), 513, 0.0).any()
