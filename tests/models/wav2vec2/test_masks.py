"""Hidden spans and negatives: the published shares, and nothing outside the item."""

import numpy as np
import pytest
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from audiorig.models.wav2vec2.masks import draw_hidden, draw_negatives
from audiorig.randomness import keyed_generator


@pytest.mark.parametrize("num_frames", [99, 399, 1499])
@pytest.mark.parametrize(("prob", "span"), [(0.65, 10), (0.5, 10), (0.065, 10), (0.3, 3)])
def test_the_share_is_that_of_transformers(num_frames: int, prob: float, span: int) -> None:
    draws = 300
    np.random.seed(0)
    theirs = np.mean([_compute_mask_indices((1, num_frames), prob, span, min_masks=2).mean() for _ in range(draws)])
    ours = np.mean([draw_hidden(keyed_generator("t", item), num_frames, prob, span, 2).mean() for item in range(draws)])
    assert abs(ours - theirs) < 0.01


def test_eight_seconds_hide_half() -> None:
    """0.65 before spans overlap: 1 - (1 - 10/399)^25.9 is about 0.49."""
    shares = [draw_hidden(keyed_generator("t", item), 399, 0.65, 10, 2).mean() for item in range(300)]
    assert np.mean(shares) == pytest.approx(0.49, abs=0.01)


def test_spans_are_whole() -> None:
    for item in range(100):
        is_hidden = draw_hidden(keyed_generator("t", item), 120, 0.3, 10, 2)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], is_hidden.astype(int), [0]])))
        assert (edges[1::2] - edges[::2]).min() >= 10


def test_no_frame_is_hidden_more_often_than_others() -> None:
    """Away from the ends, where fewer spans reach."""
    counts = sum(draw_hidden(keyed_generator("t", item), 200, 0.4, 10, 2).astype(int) for item in range(3000))
    inner = counts[10:-10] / 3000
    assert np.abs(inner - inner.mean()).max() < 0.05
    assert counts[0] < counts[100]


@pytest.mark.parametrize(("num_frames", "expected"), [(0, 0), (9, 0), (10, 10), (11, 10)])
def test_what_is_shorter_than_a_span_stays(num_frames: int, expected: int) -> None:
    assert draw_hidden(keyed_generator("t"), num_frames, 0.65, 10, 2).sum() == expected


def test_the_fewest_spans_are_kept() -> None:
    for item in range(50):
        assert draw_hidden(keyed_generator("t", item), 400, 0.001, 10, 2).sum() > 10


def test_negatives_are_other_hidden_frames() -> None:
    is_hidden = draw_hidden(keyed_generator("t"), 99, 0.65, 10, 2)
    negatives = draw_negatives(keyed_generator("n"), is_hidden, 100)
    assert negatives.shape == (99, 100) and negatives.dtype == np.int64
    assert is_hidden[negatives[is_hidden]].all()
    assert (negatives != np.arange(99)[:, None])[is_hidden].all()
    assert not negatives[~is_hidden].any()


def test_all_others_are_drawn_equally_often() -> None:
    """Chi-square over the 9 others of each of 10 frames, 81 degrees of freedom: the bound is its 99.99 % quantile."""
    is_hidden = np.zeros(30, dtype=bool)
    is_hidden[5:15] = True
    negatives = draw_negatives(keyed_generator("n"), is_hidden, 9000)
    counts = np.stack([np.bincount(row, minlength=30) for row in negatives[is_hidden]])
    assert counts[np.arange(10), np.arange(5, 15)].sum() == 0
    others = counts[:, 5:15][~np.eye(10, dtype=bool)]
    assert ((others - 1000) ** 2 / 1000).sum() < 134


@pytest.mark.parametrize("num_hidden", [0, 1])
def test_a_single_frame_has_no_negatives(num_hidden: int) -> None:
    is_hidden = np.arange(20) < num_hidden
    assert not draw_negatives(keyed_generator("n"), is_hidden, 10).any()


def test_two_frames_are_each_other_s() -> None:
    is_hidden = np.isin(np.arange(20), [3, 17])
    negatives = draw_negatives(keyed_generator("n"), is_hidden, 4)
    assert negatives[3].tolist() == [17] * 4 and negatives[17].tolist() == [3] * 4
