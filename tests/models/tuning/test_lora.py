"""Adapters: on modules that learn, the same from a seed, saved and merged without a change."""

import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from audiorig.config import LoraConfig, TuningConfig
from audiorig.errors import ConfigError, DataError
from audiorig.models.tuning import lora
from audiorig.models.tuning.apply import apply_tuning

SETTINGS = TuningConfig(learn="nothing", lora=LoraConfig(rank=2, alpha=4))


def with_trained_adapters(encoder, settings=SETTINGS):
    """Adapters that say something: as after a training."""
    apply_tuning(encoder, settings, seed=3)
    generator = torch.Generator().manual_seed(1)
    for layer in lora.lora_layers(encoder).values():
        weight = layer.lora_B[lora.ADAPTER].weight
        weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    return encoder


def plain(state) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state.items()}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


# ---------------------------------------------------------------------- start


def test_adapters_change_nothing_at_first(encoder, tiny) -> None:
    before, weights = tiny.encode(encoder).features, plain(encoder.state_dict())
    apply_tuning(encoder, SETTINGS, seed=3)
    assert torch.equal(tiny.encode(encoder).features, before)
    state = {name.replace(".base_layer.", "."): value for name, value in encoder.state_dict().items()}
    assert {name for name in state if "lora_" not in name} == set(weights)
    assert all(torch.equal(state[name], weights[name]) for name in weights)


def test_they_begin_with_what_the_seed_says_whatever_the_global_state(tiny) -> None:
    drawn = []
    for seed, state in ((3, 0), (3, 99), (4, 0)):
        encoder = tiny.encoder("hubert")
        torch.manual_seed(state)
        expected = torch.random.get_rng_state()
        apply_tuning(encoder, SETTINGS, seed)
        assert torch.equal(torch.random.get_rng_state(), expected)
        drawn.append({name: value for name, value in encoder.state_dict().items() if "lora_A" in name})
    assert len(drawn[0]) == 18
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not any(torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0])
    values = torch.cat([value.flatten() for value in drawn[0].values()])
    assert values.abs().max() <= 16**-0.5
    assert 0.9 < values.std() / (16**-0.5 / 3**0.5) < 1.1
    first, second = list(drawn[0].values())[:2]
    assert not torch.equal(first, second)


@torch.enable_grad()
def test_every_factor_gets_a_gradient_and_only_they_do(encoder, tiny) -> None:
    """A's gradient is zero at first, as B is."""
    apply_tuning(encoder, SETTINGS, seed=3)
    optimizer = torch.optim.SGD([each for each in encoder.parameters() if each.requires_grad], lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        tiny.encode(encoder).features[..., 0].mean().backward()
        for name, parameter in encoder.named_parameters():
            assert (parameter.grad is not None) == ("lora_" in name), name
            if "lora_" in name:
                assert bool(parameter.grad.any()) == (step > 0 or "lora_B" in name), name
        optimizer.step()


# -------------------------------------------------------------------- targets


def test_targets_are_ends_of_names_in_the_blocks_that_are_named(tiny) -> None:
    encoder = tiny.encoder("wavlm")
    settings = LoraConfig(rank=1, targets=("q_proj", "feed_forward.output_dense"), layers=(0, 2))
    assert lora.targeted_modules(encoder, settings) == [
        f"body.encoder.layers.{block}.{name}"
        for block in (0, 2)
        for name in ("attention.q_proj", "feed_forward.output_dense")
    ]
    apply_tuning(encoder, TuningConfig(lora=settings), seed=0)
    assert sorted(lora.lora_layers(encoder)) == lora.targeted_modules(tiny.encoder("wavlm"), settings)


def test_many_targets_are_still_those(tiny) -> None:
    """PEFT shortens a long list of names to common ends; not so that others are hit."""
    described = tiny.description("wav2vec2")
    described["network"]["num_hidden_layers"] = 12
    encoder = tiny.build_encoder(described)
    expected = lora.targeted_modules(encoder, settings := LoraConfig(rank=1, layers=tuple(range(1, 12))))
    apply_tuning(encoder, TuningConfig(lora=settings), seed=0)
    assert sorted(lora.lora_layers(encoder)) == expected
    assert len(expected) == 6 * 11
    assert not any(".layers.0." in name for name in expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": ("q_proj", "qproj")}, r"'qproj'.* no linear map .*\(near: q_proj.*there are .*k_proj, .*v_proj"),
        ({"targets": ("projection",), "layers": (1,)}, "no linear map of this hubert encoder in blocks 1 ends so"),
        ({"targets": ("layer_norm",)}, "'layer_norm'"),
        ({"layers": (3,)}, "tuning.lora.layers names 3, and this hubert encoder has 3 blocks"),
    ],
)
def test_a_target_that_matches_nothing_is_an_error_that_says_what_there_is(tiny, settings, message) -> None:
    encoder = tiny.encoder("hubert")
    with pytest.raises(ConfigError, match=message):
        apply_tuning(encoder, TuningConfig(lora=LoraConfig(rank=1, **settings)), seed=0)
    assert not lora.lora_layers(encoder)


# ---------------------------------------------------- saved, loaded, merged


def test_saved_loaded_and_merged_adapters_give_the_same_outputs(encoder, family, tiny, tmp_path) -> None:
    untouched = plain(encoder.state_dict())
    without = tiny.encode(encoder).features
    expected = tiny.encode(with_trained_adapters(encoder)).features
    assert (expected - without).abs().max() > 0.05
    lora.save_adapter(encoder, tmp_path, base="some/encoder")
    loaded = tiny.encoder(family)
    lora.load_adapter(loaded, tmp_path)
    assert torch.equal(tiny.encode(loaded).features, expected)
    for name, parameter in loaded.named_parameters():  # they could go on learning
        assert parameter.requires_grad == ("lora_" in name), name

    state = lora.merged_state(loaded)
    assert lora.merge(loaded) is loaded
    assert (tiny.encode(loaded).features - expected).abs().max() < 1e-5
    merged = loaded.state_dict()
    assert list(merged) == list(untouched)
    assert set(state) == set(merged)
    assert all(torch.equal(state[name], merged[name]) for name in merged)
    changed = {name for name in merged if not torch.equal(merged[name], untouched[name])}
    assert changed == {f"{name}.weight" for name in lora.targeted_modules(loaded, SETTINGS.lora)}
    assert not [name for name, module in loaded.named_modules() if "peft" in type(module).__module__]
    apply_tuning(loaded, SETTINGS, seed=0)  # a plain encoder in all respects: it takes new ones


def test_the_files_are_those_of_peft(tiny, tmp_path) -> None:
    encoder = with_trained_adapters(tiny.encoder("wavlm"))
    expected = tiny.encode(encoder).features
    lora.save_adapter(encoder, tmp_path, base="some/encoder")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["base_model_name_or_path"]) == ("LORA", 2, "some/encoder")
    loaded = PeftModel.from_pretrained(tiny.encoder("wavlm"), str(tmp_path))
    assert torch.equal(tiny.encode(loaded.get_base_model()).features, expected)


def test_adapters_are_loaded_into_those_that_are_there(encoder, family, tiny, tmp_path) -> None:
    expected = tiny.encode(with_trained_adapters(encoder)).features
    lora.save_adapter(encoder, tmp_path)
    other = tiny.encoder(family)
    apply_tuning(other, SETTINGS.model_copy(update={"learn": "half"}), seed=77)
    learning = {name for name, each in other.named_parameters() if each.requires_grad}
    lora.load_adapter(other, tmp_path)
    assert torch.equal(tiny.encode(other).features, expected)
    assert {name for name, each in other.named_parameters() if each.requires_grad} == learning


def test_a_folder_that_is_none_or_of_another_encoder_is_refused(tiny, tmp_path) -> None:
    with pytest.raises(DataError, match=r"holds no adapter_config\.json"):
        lora.load_adapter(tiny.encoder("hubert"), tmp_path)
    lora.save_adapter(with_trained_adapters(tiny.encoder("hubert")), tmp_path)
    with pytest.raises(DataError, match="do not fit this whisper encoder"):
        lora.load_adapter(tiny.encoder("whisper"), tmp_path)
    described = tiny.description("hubert")
    described["network"]["intermediate_size"] = 32
    with pytest.raises(DataError, match=r"do not fit .* expected \(32, 2\), found \(24, 2\)"):
        lora.load_adapter(tiny.build_encoder(described), tmp_path)
    weights = load_file(tmp_path / lora.WEIGHTS)
    dropped = next(iter(weights))
    save_file({name: value for name, value in weights.items() if name != dropped}, tmp_path / lora.WEIGHTS)
    with pytest.raises(DataError, match=r"1 of its weights .* found none"):
        lora.load_adapter(tiny.encoder("hubert"), tmp_path)
    (tmp_path / lora.WEIGHTS).write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="no LoRA adapter that PEFT can read"):
        lora.load_adapter(tiny.encoder("hubert"), tmp_path)
    shutil.copy(tmp_path / lora.WEIGHTS, tmp_path / lora.SETTINGS)
    with pytest.raises(DataError, match="no LoRA adapter that PEFT can read"):
        lora.load_adapter(tiny.encoder("hubert"), tmp_path)


def test_an_adapter_that_is_not_finite_is_not_merged(tiny) -> None:
    encoder = with_trained_adapters(tiny.encoder("whisper"))
    name, layer = next(iter(lora.lora_layers(encoder).items()))
    layer.lora_B[lora.ADAPTER].weight[0, 0] = torch.nan
    with pytest.raises(DataError, match=f"the adapter of {name} holds a number that is not finite"):
        lora.merge(encoder)
