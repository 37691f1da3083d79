"""Heads: shared or separate, and begun from their seed alone."""

import pytest
import torch

from audiorig.config import HeadConfig
from audiorig.models.heads import Heads
from audiorig.models.speech_classification import Wav2Vec2ClassificationHead

OUTPUTS = {"reason": 5, "noisy": 1, "rate.of-speech": 4}
KINDS = [HeadConfig(kind=kind, separate=separate) for kind in ("linear", "mlp") for separate in (False, True)]


def heads(settings: HeadConfig, outputs=None, seed: int = 3) -> Heads:
    return Heads(settings, 8, outputs or OUTPUTS, seed)


@pytest.mark.parametrize("settings", KINDS)
def test_each_target_gets_its_numbers(settings) -> None:
    vectors = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    built = heads(settings).eval()
    logits = built(vectors)
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        name: (2, num_outputs) for name, num_outputs in OUTPUTS.items()
    }
    assert len(built.heads) == (3 if settings.separate else 1)
    joined = torch.cat(list(logits.values()), dim=1)
    assert torch.unique(joined.round(decimals=5)).numel() == joined.numel()


@pytest.mark.parametrize("settings", KINDS)
def test_the_same_seed_gives_the_same_weights_whatever_the_global_state(settings) -> None:
    states = []
    for seed, state in ((3, 0), (3, 99), (4, 0)):
        torch.manual_seed(state)
        before = torch.random.get_rng_state()
        states.append(heads(settings, seed=seed).state_dict())
        assert torch.equal(torch.random.get_rng_state(), before)
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name])
        assert name.endswith("bias") or not torch.equal(states[0][name], states[2][name])


def test_weights_begin_within_their_bounds() -> None:
    built = Heads(HeadConfig(kind="mlp", hidden=64), 400, {"a": 30}, seed=0).heads[0]
    for layer, width in ((built.dense, 400), (built.out_proj, 64)):
        assert layer.weight.abs().max() <= width**-0.5
        assert layer.weight.std().item() == pytest.approx((3 * width) ** -0.5, rel=0.05)
        assert not layer.bias.any()
    square = heads(HeadConfig(kind="mlp"), {"a": 8}).heads[0]
    assert not torch.equal(square.dense.weight, square.out_proj.weight)


def test_a_separate_head_does_not_depend_on_the_other_targets() -> None:
    settings = HeadConfig(kind="mlp", separate=True)
    alone = heads(settings, {"noisy": 1}).heads[0].state_dict()
    beside = heads(settings).heads[1].state_dict()
    assert all(torch.equal(alone[name], beside[name]) for name in alone)


def test_separate_heads_learn_each_from_its_target() -> None:
    built = heads(HeadConfig(kind="mlp", separate=True, dropout=0.0))
    built(torch.randn(2, 8))["noisy"].sum().backward()
    assert [all(each.grad is not None for each in head.parameters()) for head in built.heads] == [False, True, False]


def test_an_mlp_as_wide_as_its_vector_is_the_known_classification_head() -> None:
    """The same names, the same logits: a converted head says the same."""

    class Settings:
        hidden_size, final_dropout, num_labels = 8, 0.3, 5

    known = Wav2Vec2ClassificationHead(Settings()).eval()
    ours = heads(HeadConfig(kind="mlp", dropout=0.3), {"reason": 5}).eval()
    known.load_state_dict(ours.heads[0].state_dict(), strict=True)
    vectors = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(known(vectors), ours(vectors)["reason"])
    torch.manual_seed(0)  # and the same dropout, in the same places
    expected = known.train()(vectors)
    torch.manual_seed(0)
    assert torch.equal(ours.train()(vectors)["reason"], expected)


def test_dropout_stands_before_each_layer() -> None:
    vectors = torch.ones(1, 400)
    built = Heads(HeadConfig(kind="linear", dropout=0.5), 400, {"a": 1}, seed=0)
    torch.manual_seed(0)
    assert not torch.equal(built(vectors)["a"], built(vectors)["a"])
    assert torch.equal(built.eval()(vectors)["a"], built(vectors)["a"])


def test_standardised_vectors_have_mean_zero_and_deviation_one() -> None:
    heads = Heads(HeadConfig(standardize=True, dropout=0.0), 3, {"a": 2}, seed=0)
    vectors = torch.tensor([[5.0, 1e3, 7.0], [5.1, 1e3, 9.0], [5.2, 1e3, 5.0]])
    heads.standardize_by(vectors)
    brought = (vectors - heads.center) / heads.scale
    assert brought[:, 0].mean().item() == pytest.approx(0, abs=1e-4)
    assert brought[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-3)
    assert (brought[:, 1] == 0).all()  # a number that never differs says nothing
    expected = heads.heads[0](brought)
    assert torch.equal(heads(vectors)["a"], expected)


def test_the_scale_is_kept_with_the_weights_and_absent_without_the_setting() -> None:
    heads = Heads(HeadConfig(standardize=True), 3, {"a": 2}, seed=0)
    heads.standardize_by(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    other = Heads(HeadConfig(standardize=True), 3, {"a": 2}, seed=1)
    other.load_state_dict(heads.state_dict())
    assert torch.equal(other.scale, heads.scale) and torch.equal(other.center, heads.center)
    plain = Heads(HeadConfig(), 3, {"a": 2}, seed=0)
    assert "center" not in plain.state_dict() and plain.scale is None
