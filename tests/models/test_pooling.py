"""Pooling: known answers, and padding that has no part in them."""

import pytest
import torch
from torch import Tensor

from audiorig.config import PoolingConfig
from audiorig.errors import DataError
from audiorig.models.outputs import EncoderOutput
from audiorig.models.pooling import Pooling

KINDS = ("mean", "max", "sum", "attention", "mean_std")
WIDTH, LAYERS = 6, 4
LENGTHS = (9, 1, 5)


def output(padding: int = 0, fill: float = 0.0, seed: int = 0, shift: float = 0.0) -> EncoderOutput:
    """Three clips of 9, 1 and 5 frames, with as many frames of padding behind the longest."""
    generator = torch.Generator().manual_seed(seed)
    real = [torch.randn(LAYERS + 1, length, WIDTH, generator=generator) + shift for length in LENGTHS]
    stacked = torch.full((LAYERS + 1, len(LENGTHS), max(LENGTHS) + padding, WIDTH), fill)
    is_padding = torch.ones(stacked.shape[1:3], dtype=torch.bool)
    for item, frames in enumerate(real):
        stacked[:, item, : frames.shape[1]] = frames
        is_padding[item, : frames.shape[1]] = False
    return EncoderOutput(stacked[0], is_padding, tuple(stacked[1:]), has_input=True)


def pooling(kind: str = "mean", layers: str = "last", seed: int = 1) -> Pooling:
    """With scores and a query that are not zero: as after a training."""
    built = Pooling(PoolingConfig(kind=kind, layers=layers), WIDTH, LAYERS)
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return built


def one(values: list[list[float]], padding: int = 0, fill: float = 0.0) -> EncoderOutput:
    """One clip of given frames."""
    frames = torch.tensor([values + [[fill] * len(values[0])] * padding])
    is_padding = torch.arange(frames.shape[1])[None] >= len(values)
    return EncoderOutput(frames, is_padding, (frames,), has_input=True)


# --------------------------------------------------------------- known answers


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [-2.0, -5.0]),
        ("sum", [-6.0, -15.0]),
        ("max", [-1.0, -4.0]),
        ("mean_std", [-2.0, -5.0, (2 / 3) ** 0.5, (2 / 3) ** 0.5]),  # population: over 3, not 2
        ("attention", [-2.0, -5.0]),  # it begins as the mean
    ],
)
@pytest.mark.parametrize("fill", [0.0, 100.0, float("nan"), float("inf")])
def test_known_answers_whatever_the_padding_holds(kind, expected, fill) -> None:
    """All frames are negative: zeros in padding would win the maximum."""
    pool = Pooling(PoolingConfig(kind=kind), 2, 1)
    frames = one([[-1.0, -6.0], [-2.0, -5.0], [-3.0, -4.0]], padding=2, fill=fill)
    assert pool(frames).vectors[0].tolist() == pytest.approx(expected)
    assert pool.out_width == len(expected)


def test_attention_weighs_by_what_it_looks_for() -> None:
    pool = Pooling(PoolingConfig(kind="attention"), 4, 1)
    pool.query.data = torch.tensor([2.0, 0.0, 0.0, 0.0])
    frames = one([[1.0, 5, 0, 0], [0.0, 7, 0, 0]], padding=1, fill=50.0)
    vectors, weights = pool(frames)
    first = torch.tensor(1.0).sigmoid().item()  # 2 * 1 / sqrt(4) against 0
    assert weights[0].tolist() == pytest.approx([first, 1 - first, 0])
    assert vectors[0].tolist() == pytest.approx([first, 5 * first + 7 * (1 - first), 0, 0])


@pytest.mark.parametrize("kind", ["mean", "max", "sum", "mean_std"])
def test_only_attention_has_weights(kind) -> None:
    assert pooling(kind)(output()).weights is None
    assert pooling("attention")(output()).weights.sum(1).tolist() == pytest.approx([1, 1, 1])


def test_weighted_layers_are_normed_summed_and_end_with_the_encoders_output() -> None:
    pool = pooling(layers="weighted")
    found = output(padding=2)
    weights = pool.layer_scores.softmax(0)
    layers = (*found.layers[:-1], found.features)
    expected = torch.zeros_like(found.features)
    for weight, layer in zip(weights, layers, strict=True):
        mean, std = layer.mean(-1, keepdim=True), (layer.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        expected += weight * (layer - mean) / std
    for item, length in enumerate(LENGTHS):
        assert torch.allclose(pool(found).vectors[item], expected[item, :length].mean(0), atol=1e-6)
    assert pool.layer_weights.sum().item() == pytest.approx(1)
    assert pooling().layer_weights is None
    fresh = Pooling(PoolingConfig(layers="weighted"), WIDTH, LAYERS)
    assert fresh.layer_weights.tolist() == pytest.approx([0.25] * 4)


def test_a_loud_layer_does_not_drown_the_others() -> None:
    found = output()
    loud = found._replace(layers=(found.layers[0], 1000 * found.layers[1], *found.layers[2:]))
    pool = pooling(layers="weighted")
    assert torch.allclose(pool(loud).vectors, pool(found).vectors, atol=1e-4)


def test_layers_that_it_was_not_built_for_are_a_bug() -> None:
    found = output()
    with pytest.raises(AssertionError):
        pooling(layers="weighted")(found._replace(layers=found.layers[1:]))
    with pytest.raises(AssertionError):
        pooling(layers="weighted")(found._replace(has_input=False))


# --------------------------------------------------------------------- padding


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).abs() / expected.abs().clamp_min(1)).detach().max())


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [1, 7, 500])
@pytest.mark.parametrize("fill", [0.0, -30.0, 1e4])
def test_padding_changes_nothing(kind, layers, padding, fill) -> None:
    pool = pooling(kind, layers).eval()
    expected, weights = pool(output(shift=-3.0))
    found, with_padding = pool(output(padding, fill, shift=-3.0))
    assert relative_error(found, expected) < 1e-6
    if weights is not None:
        assert relative_error(with_padding[:, : max(LENGTHS)], weights) < 1e-6
        assert not with_padding[:, max(LENGTHS) :].any()


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_in_a_batch_is_pooled_as_alone(kind, layers) -> None:
    pool, batch = pooling(kind, layers), output(padding=3, fill=9.0)
    for item, length in enumerate(LENGTHS):
        alone = EncoderOutput(
            batch.features[item : item + 1, :length],
            batch.is_padding[item : item + 1, :length],
            tuple(layer[item : item + 1, :length] for layer in batch.layers),
            has_input=True,
        )
        assert relative_error(pool(batch).vectors[item], pool(alone).vectors[0]) < 1e-6


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_and_none_goes_to_padding(kind, layers) -> None:
    """One of the clips is a single frame, whose deviation is zero; padding holds what is not a number."""
    pool, found = pooling(kind, layers), output(padding=2, fill=float("nan"))
    inputs = [each.requires_grad_() for each in (found.features, *found.layers)]
    pool(found._replace(features=inputs[0], layers=tuple(inputs[1:]))).vectors.square().sum().backward()
    used = [each for each in inputs if each.grad is not None]
    assert len(used) == (1 if layers == "last" else LAYERS)
    for each in used:
        assert each.grad.isfinite().all()
        assert not each.grad[found.is_padding].any()
        assert each.grad[~found.is_padding].any()
    assert all(parameter.grad.isfinite().all() and parameter.grad.any() for parameter in pool.parameters())


def test_equal_frames_have_no_deviation_and_no_gradient_of_it() -> None:
    frames = torch.full((1, 4, 2), 3.0, requires_grad=True)
    found = EncoderOutput(frames, torch.zeros(1, 4, dtype=torch.bool), (frames,), has_input=True)
    vectors = Pooling(PoolingConfig(kind="mean_std"), 2, 1)(found).vectors
    assert vectors[0].tolist() == pytest.approx([3, 3, 0, 0], abs=2e-5)
    vectors[0, 2:].sum().backward()
    assert frames.grad.abs().max() == 0


@pytest.mark.parametrize("layers", ["last", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_pooled_in_full(kind, layers) -> None:
    pool, found = pooling(kind, layers), output(padding=4)
    half = found._replace(features=found.features.bfloat16(), layers=tuple(each.bfloat16() for each in found.layers))
    full = half._replace(features=half.features.float(), layers=tuple(each.float() for each in half.layers))
    with torch.autocast("cpu", torch.bfloat16):
        vectors = pool(half).vectors
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors, pool(full).vectors)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_without_a_frame_is_an_error_that_names_it(kind) -> None:
    found = output()
    is_padding = found.is_padding.clone()
    is_padding[1] = True
    empty = found._replace(is_padding=is_padding)
    with pytest.raises(DataError, match=r"1 of 3 clips have no frame that is not padding: b\.wav; "):
        pooling(kind)(empty, ["a.wav", "b.wav", "c.wav"])
    with pytest.raises(DataError, match="item 1 of the batch"):
        pooling(kind)(empty)
