"""WaveMAE: shapes, no leak, invariance to padding, memory of two crops, export."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.masks import draw_spans
from audiorig.randomness import keyed_generator

RATE, FRAMES = 24000, 64
SAMPLES = (FRAMES - 1) * 256


def make_model(**model: object) -> WaveMAE:
    torch.manual_seed(0)
    settings = {"width": 16, "depth": 4, "decoder_width": 16, "min_span": 2, "max_span": 4, **model}
    made = WaveMAE(WaveMAEConfig(RATE, None, settings)).eval()
    for name, parameter in made.named_parameters():
        if "gamma" in name or "beta" in name:  # zero at first: the response norm would pass unseen
            torch.nn.init.normal_(parameter, std=0.5)
    return made


def make_batch(num_items: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([SAMPLES, SAMPLES - 5000, SAMPLES - 9000])[:num_items]
    waveform = 0.1 * torch.randn(num_items, SAMPLES, generator=generator)
    is_hidden = torch.zeros(num_items, FRAMES // 2, dtype=torch.bool)
    for item, length in enumerate(lengths.tolist()):
        waveform[item, length:] = 0
        real = (1 + length // 256) // 2
        is_hidden[item, :real] = torch.from_numpy(draw_spans(keyed_generator("t", seed, item), real, 0.6, 2, 4))
    return {"waveform": waveform, "lengths": lengths, "is_hidden": is_hidden}


def test_shapes_of_a_batch() -> None:
    """(batch, 513, frames) in, latents at half the rate, every hidden frame rebuilt."""
    model, batch = make_model(), make_batch()
    output = model(**batch)
    assert output.loss.shape == ()
    assert set(output.parts) == {"main_recon", "shape", "level"}
    for _, count in output.parts.values():
        assert count == batch["is_hidden"].sum()
    built = model.reconstruct(**batch)
    assert built.original.shape == built.predicted.shape == (3, FRAMES, 513)
    assert built.is_hidden.shape == built.is_padding.shape == (3, FRAMES)
    visible = ~built.is_hidden & ~built.is_padding
    torch.testing.assert_close(built.predicted[visible], built.original[visible], atol=1e-5, rtol=1e-5)
    encoded = model.encode(batch["waveform"], batch["lengths"])
    assert encoded.features.shape == (3, FRAMES // 2, 16)
    assert len(encoded.layers) == 4
    assert encoded.is_padding.sum(1).tolist() == [0, 10, 18]


def test_total_is_the_weighted_sum_of_its_parts() -> None:
    model, batch = make_model(level_weight=0.3), make_batch()
    output = model(**batch)
    mean = {name: float(total / count) for name, (total, count) in output.parts.items()}
    assert mean["main_recon"] == pytest.approx(mean["shape"] + 0.3 * mean["level"], rel=1e-5)
    assert float(output.loss.detach()) == pytest.approx(mean["main_recon"], rel=1e-6)


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_nothing_hidden_reaches_a_visible_latent(mode: str) -> None:
    """The gradient of every visible latent with respect to every hidden frame is exactly zero."""
    model, batch = make_model(encoder_mode=mode), make_batch()
    is_hidden = batch["is_hidden"]
    patches = model.patches(batch["waveform"]).detach().requires_grad_()
    is_real = model.is_real(batch["lengths"], patches.shape[1])
    is_visible = is_real & ~is_hidden
    levelled, _ = model.remove_level(patches, is_visible)
    latents, slots = model.encode_visible(levelled, is_hidden, is_real)
    weights = torch.randn_like(latents)
    visible = slots.scatter(latents * weights)[is_visible]
    gradient = torch.autograd.grad(visible.sum(), patches)[0]
    assert float(gradient[is_hidden].abs().max()) == 0.0
    assert float(gradient[~is_real].abs().max()) == 0.0
    assert (gradient[is_visible].abs().sum(-1) > 0).all()


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_hidden_frames_can_be_anything(mode: str) -> None:
    """The same, by value: garbage in hidden frames leaves the prediction as it is, bit for bit."""
    model, batch = make_model(encoder_mode=mode), make_batch()
    is_hidden, is_real = batch["is_hidden"], model.is_real(batch["lengths"], FRAMES // 2)
    patches = model.patches(batch["waveform"])
    garbage = torch.where(is_hidden[..., None], torch.full_like(patches, 1e4), patches)
    predictions = []
    for version in (patches, garbage):
        levelled, _ = model.remove_level(version, is_real & ~is_hidden)
        predictions.append(model.decode(*model.encode_visible(levelled, is_hidden, is_real), is_hidden, is_real))
    assert torch.equal(predictions[0][0], predictions[1][0])
    assert torch.equal(predictions[0][1], predictions[1][1])


def test_items_of_a_batch_do_not_see_each_other() -> None:
    model, batch = make_model(), make_batch()
    before = model.reconstruct(**batch).predicted[0]
    batch["waveform"] = batch["waveform"].clone()
    batch["waveform"][1:] *= 7
    assert torch.equal(model.reconstruct(**batch).predicted[0], before)


def test_features_do_not_depend_on_padding() -> None:
    model = make_model()
    waveform = 0.1 * torch.randn(1, 11000)
    alone = model.encode(waveform).features
    padded = torch.zeros(2, 30000)
    padded[0, :11000] = waveform
    padded[1] = 0.3 * torch.randn(30000)
    together = model.encode(padded, torch.tensor([11000, 30000]))
    torch.testing.assert_close(together.features[0, : alone.shape[1]], alone[0], atol=1e-5, rtol=1e-5)
    assert together.is_padding[0].tolist() == [False] * alone.shape[1] + [True] * (59 - alone.shape[1])


def test_features_do_not_depend_on_level() -> None:
    model = make_model()
    waveform = 0.1 * torch.randn(1, 20000)
    quiet, loud = model.encode(0.2 * waveform).features, model.encode(waveform).features
    torch.testing.assert_close(quiet, loud, atol=1e-4, rtol=1e-4)


def test_the_channel_does_not_lift_empty_bins() -> None:
    model = make_model()
    channel = torch.full((1, 513), 0.5)
    assert torch.equal(model.patches(torch.zeros(1, SAMPLES), channel), model.patches(torch.zeros(1, SAMPLES)))
    noise = 0.1 * torch.randn(1, SAMPLES)
    torch.testing.assert_close(model.patches(noise, channel), model.patches(noise) + 0.5, atol=1e-4, rtol=0)


def test_unscored_bins_do_not_enter_the_loss() -> None:
    model, batch = make_model(), make_batch()
    model.is_scored[256:] = False
    before = model(**batch).loss
    with torch.no_grad():
        model.patch_head.bias.reshape(2, 513)[:, 256:] += 100
    assert torch.equal(model(**batch).loss, before)


def test_silence_has_a_finite_loss_and_gradient() -> None:
    model, batch = make_model(), make_batch()
    batch["waveform"] = torch.zeros_like(batch["waveform"])
    model(**batch).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_two_crops_are_memorised() -> None:
    """One fixed mask, constant rate: 100 steps bring the hidden-frame loss below a fifth."""
    torch.manual_seed(0)
    model = WaveMAE(WaveMAEConfig(RATE, None, {"width": 64, "depth": 4, "decoder_width": 64}))
    batch = make_batch(2)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 5


def test_global_target_is_plain_mse() -> None:
    model, batch = make_model(target="global"), make_batch()
    output, built = model(**batch), model.reconstruct(**batch)
    error = (built.predicted - built.original)[built.is_hidden].square().mean()
    assert float(output.loss.detach()) == pytest.approx(float(error), rel=1e-4)


def test_every_parameter_learns() -> None:
    for settings in ({}, {"encoder_mode": "dense"}, {"target": "global"}):
        model, batch = make_model(**settings), make_batch()
        model(**batch).loss.backward()
        idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not idle, settings


def test_sizes() -> None:
    for size, (width, depth) in {"mini": (192, 6), "small": (384, 12)}.items():
        model = WaveMAE(WaveMAEConfig(RATE, None, {"size": size}))
        assert (model.stem.out_features, len(model.blocks)) == (width, depth)
    assert len(WaveMAE(WaveMAEConfig(RATE, None, {"size": "mini", "depth": 3})).blocks) == 3


def test_a_saved_folder_loads_by_name(tmp_path: Path) -> None:
    model = make_model()
    model.bin_mean.normal_()
    model.is_scored[7] = False
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(loaded, WaveMAE)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    waveform = 0.1 * torch.randn(1, 9000)
    assert torch.equal(loaded.encode(waveform).features, model.encode(waveform).features)
