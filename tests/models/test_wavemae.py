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
    made = WaveMAE(WaveMAEConfig(RATE, None, settings, teacher={"codes": 16})).eval()
    for name, parameter in made.named_parameters():
        if "gamma" in name or "beta" in name:  # zero at first: the response norm would pass unseen
            torch.nn.init.normal_(parameter, std=0.5)
    return made


def make_batch(num_items: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    """Noise of three lengths, hidden spans, and a made-up pitch curve."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([SAMPLES, SAMPLES - 5000, SAMPLES - 9000])[:num_items]
    waveform = 0.1 * torch.randn(num_items, SAMPLES, generator=generator)
    is_hidden = torch.zeros(num_items, FRAMES // 2, dtype=torch.bool)
    for item, length in enumerate(lengths.tolist()):
        waveform[item, length:] = 0
        real = (1 + length // 256) // 2
        is_hidden[item, :real] = torch.from_numpy(draw_spans(keyed_generator("t", seed, item), real, 0.6, 2, 4))
    hz = 80 + 300 * torch.rand(num_items, FRAMES, generator=generator)
    is_voiced = torch.rand(hz.shape, generator=generator) > 0.3
    return {"waveform": waveform, "lengths": lengths, "is_hidden": is_hidden, "pitch_hz": hz, "is_voiced": is_voiced}


ALL_PARTS = {"main_recon", "shape", "level", "main_percep", "aux_crepe", "aux_w2v"}


def test_shapes_of_a_batch() -> None:
    """(batch, 513, frames) in, latents at half the rate, every hidden frame rebuilt."""
    model, batch = make_model(), make_batch()
    output = model(**batch)
    assert output.loss.shape == ()
    assert set(output.parts) == ALL_PARTS
    for name, (_, count) in output.parts.items():
        assert count == (1 if name == "main_percep" else batch["is_hidden"].sum())  # a quarter of three items
    built = model.reconstruct(**batch)
    assert built.original.shape == built.predicted.shape == built.guess.shape == (3, FRAMES, 513)
    assert built.is_hidden.shape == built.is_padding.shape == (3, FRAMES)
    assert built.pitch_hz.shape == built.is_voiced.shape == (3, FRAMES)
    assert ((built.pitch_hz > 0) == built.is_hidden).all()
    visible = ~built.is_hidden & ~built.is_padding
    torch.testing.assert_close(built.predicted[visible], built.original[visible], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(built.predicted[built.is_hidden], built.guess[built.is_hidden])
    encoded = model.encode(batch["waveform"], batch["lengths"])
    assert encoded.features.shape == (3, FRAMES // 2, 16)
    assert len(encoded.layers) == 4
    assert encoded.is_padding.sum(1).tolist() == [0, 10, 18]


def test_total_is_the_weighted_sum_of_its_parts() -> None:
    weights = {"main_recon": 1.0, "main_percep": 0.5, "aux_crepe": 0.3, "aux_w2v": 0.7}
    model, batch = make_model(level_weight=0.3, weights=weights), make_batch()
    output = model(**batch)
    mean = {name: float(total / count) for name, (total, count) in output.parts.items()}
    assert mean["main_recon"] == pytest.approx(mean["shape"] + 0.3 * mean["level"], rel=1e-5)
    assert model.part_weights == weights
    total = sum(weight * mean[name] for name, weight in weights.items())
    assert float(output.loss.detach()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("part", ["main_percep", "aux_crepe", "aux_w2v"])
def test_a_part_of_weight_zero_is_neither_built_nor_computed(part: str) -> None:
    model, batch = make_model(weights={part: 0}), make_batch()
    output = model(**batch)
    assert set(output.parts) == ALL_PARTS - {part}
    output.loss.backward()
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == []
    assert model.w2v_target == ("none" if part == "aux_w2v" else "bestrq")


@pytest.mark.parametrize(("missing", "kind"), [("pitch_hz", "bestrq"), ("teacher", "w2v-bert")])
def test_a_batch_that_lacks_what_a_part_needs_is_refused(missing: str, kind: str) -> None:
    """Else a run would quietly do without a loss that its settings promise."""
    config = WaveMAEConfig(RATE, None, {"width": 16, "depth": 1}, teacher={"kind": kind}, num_teacher_features=4)
    batch = {name: value for name, value in make_batch().items() if name != missing}
    with pytest.raises(ValueError, match="has a weight"):
        WaveMAE(config)(**batch)


@pytest.mark.parametrize("settings", [{}, {"encoder_mode": "dense"}, {"target": "global"}])
def test_every_parameter_learns(settings: dict[str, object]) -> None:
    model = make_model(**settings)
    model(**make_batch()).loss.backward()
    still = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]
    assert still == []


def test_auxiliary_decoders_do_not_change_the_initial_weights_of_the_rest() -> None:
    """Ablations begin at the same weights."""
    full = make_model().state_dict()
    lean = make_model(weights={"main_percep": 0, "aux_crepe": 0, "aux_w2v": 0}).state_dict()
    assert set(lean) < set(full)
    for name, tensor in lean.items():
        if "gamma" not in name and "beta" not in name:  # make_model draws these in order
            assert torch.equal(tensor, full[name]), name


def test_integers_are_the_same_as_floats() -> None:
    """Crops travel as int16."""
    model, batch = make_model(), make_batch()
    integers = (batch["waveform"] * 32768).round().clamp(-32768, 32767).to(torch.int16)
    exact = model(**{**batch, "waveform": integers.float() / 32768}).loss
    assert torch.equal(model(**{**batch, "waveform": integers}).loss, exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", ["silence", "all hidden", "all padding"])
def test_losses_stay_finite(case: str, dtype: torch.dtype) -> None:
    model, batch = make_model().train(), make_batch()
    if case == "silence":
        batch["waveform"] = torch.zeros_like(batch["waveform"])
    if case == "all hidden":
        batch["is_hidden"] = model.is_real(batch["lengths"], FRAMES // 2)
    if case == "all padding":
        batch |= {"lengths": torch.zeros(3, dtype=torch.int64), "waveform": torch.zeros_like(batch["waveform"])}
        batch["is_hidden"] = torch.zeros_like(batch["is_hidden"])
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        output = model(**batch)
    output.loss.backward()
    assert torch.isfinite(output.loss)
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_nothing_hidden_reaches_a_visible_latent(mode: str) -> None:
    """The gradient of every visible latent with respect to every hidden frame is exactly zero."""
    model, batch = make_model(encoder_mode=mode), make_batch()
    is_hidden = batch["is_hidden"]
    patches = model.patches(model.frames(batch["waveform"])).detach().requires_grad_()
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
    patches = model.patches(model.frames(batch["waveform"]))
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
    waveform = 0.1 * torch.randn(1, 20000, generator=torch.Generator().manual_seed(0))
    quiet, loud = model.encode(0.5 * waveform).features, model.encode(waveform).features
    torch.testing.assert_close(quiet, loud, atol=1e-4, rtol=1e-4)


def test_the_channel_does_not_lift_empty_bins() -> None:
    model = make_model()
    channel = torch.full((1, 513), 0.5)
    silence, noise = (model.frames(each) for each in (torch.zeros(1, SAMPLES), 0.1 * torch.randn(1, SAMPLES)))
    assert torch.equal(model.patches(silence, channel), model.patches(silence))
    torch.testing.assert_close(model.patches(noise, channel), model.patches(noise) + 0.5, atol=1e-4, rtol=0)


def test_unscored_bins_do_not_enter_the_loss() -> None:
    model, batch = make_model(), make_batch()
    model.is_scored[256:] = False
    before = model(**batch).loss
    with torch.no_grad():
        model.patch_head.bias.reshape(2, 513)[:, 256:] += 100
    assert torch.equal(model(**batch).loss, before)


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
    weights = {"main_percep": 0, "aux_w2v": 0, "aux_crepe": 0}
    model, batch = make_model(target="global", weights=weights), make_batch()
    output, built = model(**batch), model.reconstruct(**batch)
    error = (built.predicted - built.original)[built.is_hidden].square().mean()
    assert float(output.loss.detach()) == pytest.approx(float(error), rel=1e-4)


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
