"""Soft prompts: from a seed, as loud as the frames, and enough for a frozen encoder to learn."""

import pytest
import torch

from audiorig.config import TuningConfig
from audiorig.models.tuning.apply import apply_tuning
from audiorig.models.tuning.prompts import SoftPrompts, scale_of_frames


def test_the_same_seed_gives_the_same_values_whatever_the_global_state() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = SoftPrompts(4, 300, seed=5).values
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(SoftPrompts(4, 300, seed=5).values, first)
    assert not torch.equal(SoftPrompts(4, 300, seed=6).values, first)
    assert first.shape == (4, 300)
    assert 0.95 < first.std() < 1.05


def test_they_are_brought_to_the_scale_of_the_frames(tiny) -> None:
    encoder = tiny.encoder("whisper")
    with torch.no_grad():
        encoder.body.conv2.weight.mul_(7)
    rng, was_training = torch.random.get_rng_state(), encoder.train().training
    scale = scale_of_frames(encoder)
    assert torch.equal(torch.random.get_rng_state(), rng)
    assert encoder.training == was_training
    assert scale > 1.5
    prompts = SoftPrompts(8, tiny.WIDTH, seed=0)
    before = prompts.values.detach().clone()
    prompts.scale_to(encoder)
    assert torch.allclose(prompts.values, scale * before)
    assert scale_of_frames(tiny.encoder("wav2vec2")) == pytest.approx(1, rel=0.01)  # behind a layer norm


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2-stable", "hubert", "wavlm", "whisper"])
def test_a_frozen_encoder_learns_by_them(family, tiny) -> None:
    """They alone learn; the outputs move towards a target that they did not have."""
    encoder = tiny.encoder(family)
    apply_tuning(encoder, TuningConfig(learn="nothing"), 0)
    prompts = SoftPrompts(4, tiny.WIDTH, seed=0)
    prompts.scale_to(encoder)
    direction = torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.Adam(prompts.parameters(), lr=0.05)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        output = tiny.encode(encoder, prompts())
        loss = -(output.features @ direction)[~output.is_padding].mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] - losses[-1] > 0.1
    assert not any(parameter.grad is not None for parameter in encoder.parameters())
