"""What holds for every encoder, of whichever family."""

import copy
import json
from pathlib import Path

import pytest
import torch
from tiny_encoders import KINDS, load, noise, real_frames, tiny_folder
from torch import nn

from audiorig.errors import ConfigError, DataError
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import build_encoder

LENGTHS = [16000, 9001, 16000, 5000, 15999, 640]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(kind, tmp_path_factory.mktemp("encoders") / kind)


@pytest.fixture
def encoder(kind: str, folder: Path) -> SpeechEncoder:
    return load(kind, folder)


def takes_prompts(encoder: SpeechEncoder) -> torch.Tensor | None:
    if not encoder.takes_prompts:
        return None
    return torch.randn(3, encoder.width, generator=torch.Generator().manual_seed(5))


def some_loss(features: torch.Tensor) -> torch.Tensor:
    """Not their squares: what a norm gives has the same sum of them always."""
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(3))
    return (features * direction).sum()


@pytest.mark.parametrize("rest", [0.0, 7.0])
@pytest.mark.parametrize("has_prompts", [False, True])
@torch.no_grad()
def test_an_item_is_the_same_alone_and_in_a_batch(encoder: SpeechEncoder, rest: float, has_prompts: bool) -> None:
    prompts = takes_prompts(encoder) if has_prompts else None
    batch = encoder.encode(*noise(LENGTHS, rest=rest), prompts)
    waveform, lengths = noise(LENGTHS)
    for item, length in enumerate(LENGTHS):
        alone = encoder.encode(waveform[item : item + 1, :length], lengths[item : item + 1], prompts)
        for together, single in zip((batch.features, *batch.layers), (alone.features, *alone.layers), strict=True):
            mine, its = real_frames(together, batch.is_padding, item), real_frames(single, alone.is_padding, 0)
            assert len(mine) == encoder.num_frames(length)
            torch.testing.assert_close(mine, its, rtol=0, atol=1e-5)
            assert not together[item][batch.is_padding[item]].any()


@torch.no_grad()
def test_the_number_of_frames_is_known_beforehand(encoder: SpeechEncoder) -> None:
    lengths = torch.randint(0, 16000, (200,), generator=torch.Generator().manual_seed(1)).tolist()
    lengths[:6] = [0, 1, 399, 400, 320, 321]
    for first in range(0, 200, 50):
        some = lengths[first : first + 50]
        found = (~encoder.encode(*noise(some)).is_padding).sum(1).tolist()
        assert found == [encoder.num_frames(length) for length in some]


@torch.no_grad()
def test_shapes_and_layers(encoder: SpeechEncoder) -> None:
    output = encoder.encode(*noise(LENGTHS))
    num_frames = output.features.shape[1]
    assert output.has_input and len(output.layers) == encoder.num_blocks + 1 == 4
    assert {each.shape for each in (output.features, *output.layers)} == {(6, num_frames, encoder.width)}
    assert output.is_padding.shape == (6, num_frames) and output.features.dtype == torch.float32


@torch.no_grad()
def test_a_clip_shorter_than_a_frame_is_all_padding(encoder: SpeechEncoder) -> None:
    output = encoder.encode(*noise([0]))
    assert output.is_padding.all() and output.features.shape[1] == 1 and not output.features.any()
    assert all(each.isfinite().all() for each in output.layers)
    shortest = encoder.encode(*noise([encoder.shortest, encoder.shortest - 1]))
    assert shortest.is_padding.tolist() == [[False], [True]] and shortest.features[0].isfinite().all()


def test_names_are_of_its_modules(encoder: SpeechEncoder) -> None:
    modules = dict(encoder.named_modules())
    assert len(encoder.block_names) == encoder.num_blocks
    for name in (*encoder.block_names, *encoder.front_names):
        assert any(True for _ in modules[name].parameters()), name
    for target in encoder.lora_targets:
        for block in encoder.block_names:
            found = [name for name in modules if name.startswith(block) and name.endswith(f".{target}")]
            assert len(found) == 1 and isinstance(modules[found[0]], nn.Linear)


def test_every_weight_learns(encoder: SpeechEncoder) -> None:
    """The gate of a tuning stops on a weight without gradient; one that is nearly zero would be no gradient either."""
    encoder.train()
    some_loss(encoder.encode(*noise(LENGTHS)).features).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("k_proj.bias"):  # which softmax takes out again
            assert parameter.grad.abs().max() > 1e-7, name


def test_frozen_parts_cost_no_graph(encoder: SpeechEncoder) -> None:
    encoder.train().requires_grad_(False)
    modules = dict(encoder.named_modules())
    modules[encoder.block_names[-1]].requires_grad_(True)
    output = encoder.encode(*noise(LENGTHS))
    assert output.features.requires_grad
    assert not any(layer.requires_grad for layer in output.layers[:-1])


def test_half_precision_where_torch_thinks_it_safe(encoder: SpeechEncoder) -> None:
    batch = noise(LENGTHS)
    expected = encoder.encode(*batch, takes_prompts(encoder))
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder.encode(*batch, takes_prompts(encoder))
        some_loss(found.features).backward()
    assert found.features.dtype == torch.float32
    assert found.features.isfinite().all() and not torch.equal(found.features, expected.features)
    is_real = ~found.is_padding
    torch.testing.assert_close(found.features[is_real], expected.features[is_real], rtol=0.1, atol=0.3)
    assert all(each.grad is not None and each.grad.isfinite().all() for each in encoder.parameters())


def test_prompts_reach_every_frame_and_leave_none_behind(encoder: SpeechEncoder) -> None:
    waveform, lengths = noise(LENGTHS)
    if not encoder.takes_prompts:
        with pytest.raises(ConfigError, match=r"num_prompts: a WaveMAE takes none: its convolutions .*; set it to 0"):
            encoder.encode(waveform, lengths, torch.zeros(1, encoder.width))
        return
    prompts = nn.Parameter(torch.randn(4, encoder.width, generator=torch.Generator().manual_seed(2)))
    plain, prompted = encoder.encode(waveform, lengths), encoder.encode(waveform, lengths, prompts)
    assert torch.equal(plain.is_padding, prompted.is_padding)
    assert torch.equal(plain.layers[0], prompted.layers[0])
    is_real = ~plain.is_padding
    assert (prompted.features - plain.features).abs().amax(-1)[is_real].min() > 1e-3
    (gradient,) = torch.autograd.grad(some_loss(prompted.features), prompts)
    assert (gradient.abs().amax(1) > 1e-6).all()


def test_the_same_twice(encoder: SpeechEncoder, kind: str, folder: Path) -> None:
    batch, state = noise(LENGTHS), torch.get_rng_state()
    first, second = encoder.encode(*batch).features, load(kind, folder).encode(*batch).features
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_a_description_is_enough_to_build_it_again(encoder: SpeechEncoder) -> None:
    described = json.loads(json.dumps(encoder.description()))
    state = torch.get_rng_state()
    again = build_encoder(described)
    assert torch.equal(state, torch.get_rng_state())
    assert [*again.state_dict()] == [*encoder.state_dict()]
    assert [name for name, _ in again.named_modules()] == [name for name, _ in encoder.named_modules()]
    assert again.description() == encoder.description()
    assert (again.sample_rate_hz, again.family, again.width) == (encoder.sample_rate_hz, encoder.family, encoder.width)
    again.load_state_dict(encoder.state_dict())
    batch = noise(LENGTHS)
    assert torch.equal(again.encode(*batch).features, encoder.encode(*batch).features)


def test_an_unknown_family_cannot_be_built() -> None:
    with pytest.raises(DataError, match="family 'bert' is not known: wav2vec2, hubert, wavlm, whisper or wavemae"):
        build_encoder({"family": "bert", "sample_rate_hz": 16000, "network": {}})


def test_untrained_ones_are_of_their_seed(encoder: SpeechEncoder) -> None:
    state, batch = torch.get_rng_state(), noise(LENGTHS[:2])
    first, same, other = (encoder.untrained(seed).encode(*batch).features for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert not torch.equal(first, encoder.encode(*batch).features)


def test_it_can_be_copied(encoder: SpeechEncoder) -> None:
    batch = noise(LENGTHS[:2])
    assert torch.equal(copy.deepcopy(encoder).encode(*batch).features, encoder.encode(*batch).features)
