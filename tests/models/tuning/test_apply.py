"""A run's tuning settings in all combinations."""

import pytest
import torch

from audiorig.config import LoraConfig, TuningConfig
from audiorig.errors import ConfigError
from audiorig.models.tuning.apply import apply_tuning, rate_scales
from audiorig.models.tuning.freezing import learning_names
from audiorig.models.tuning.lora import lora_layers
from audiorig.models.tuning.prompts import SoftPrompts
from audiorig.train.groups import scale_of

LEARN = [
    {"learn": "nothing"},
    {"learn": "all", "freeze_front": True},
    {"learn": "layers", "layers": (1,)},
    {"learn": "last", "num_last": 1},
    {"learn": "half"},
    {"learn": "all_but_last"},
]


@pytest.mark.parametrize("num_prompts", [0, 3])
@pytest.mark.parametrize("learn", LEARN)
def test_adapters_leave_the_weights_learning_that_should(encoder, family, tiny, learn, num_prompts) -> None:
    num_prompts = num_prompts * (family in tiny.WITH_PROMPTS)
    settings = TuningConfig(**learn, lora=LoraConfig(rank=2, layers=(0, 2)), num_prompts=num_prompts)
    expected = learning_names(encoder, settings)
    apply_tuning(encoder, settings, seed=0)
    found = {name for name, each in encoder.named_parameters() if each.requires_grad}
    assert {name.replace(".base_layer.", ".") for name in found if "lora_" not in name} == expected
    assert {name for name, _ in encoder.named_parameters() if "lora_" in name} <= found
    prompts = SoftPrompts(num_prompts, tiny.WIDTH, seed=0)() if num_prompts else None
    tiny.encode(encoder, prompts).features.square().mean().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_a_rebuilt_encoder_takes_the_saved_weights(encoder, tiny) -> None:
    settings = TuningConfig(learn="last", num_last=1, lora=LoraConfig(rank=2))
    apply_tuning(encoder, settings, seed=0)
    rebuilt = tiny.build_encoder(encoder.description())
    apply_tuning(rebuilt, settings, seed=99)
    rebuilt.load_state_dict(encoder.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(tiny.encode(rebuilt).features, tiny.encode(encoder).features)


def test_an_encoder_without_memory_for_weights_can_be_tuned(tiny) -> None:
    """Models are built so before their weights are loaded."""
    with torch.device("meta"):
        encoder = tiny.build_encoder(tiny.description("wavlm"))
        apply_tuning(encoder, TuningConfig(lora=LoraConfig(rank=2)), seed=0)
        prompts = SoftPrompts(2, tiny.WIDTH, seed=0)
    assert len(lora_layers(encoder)) == 18
    assert {each.device.type for each in (*encoder.parameters(), *prompts.parameters())} == {"meta"}


def test_prompts_for_an_encoder_that_takes_none_are_an_error(tiny) -> None:
    with pytest.raises(ConfigError, match="num_prompts is 2, and a wavemae encoder takes no prompts"):
        apply_tuning(tiny.encoder("wavemae"), TuningConfig(num_prompts=2), seed=0)


# ---------------------------------------------------------------- rate scales


def test_the_rate_of_the_encoders_own_weights_is_scaled(encoder) -> None:
    settings = TuningConfig(rate_scale=0.1)
    apply_tuning(encoder, settings, seed=0)
    assert rate_scales(encoder, settings) == {"encoder.": 0.1}
    assert rate_scales(encoder, TuningConfig()) == {}


def test_the_rate_of_adapters_is_not_scaled(encoder) -> None:
    settings = TuningConfig(learn="half", rate_scale=0.1, lora=LoraConfig(rank=2))
    apply_tuning(encoder, settings, seed=0)
    scales = rate_scales(encoder, settings)
    for name, _ in encoder.named_parameters():
        assert scale_of(f"encoder.{name}", scales) == (1.0 if ".lora_" in name else 0.1)
    assert scale_of("heads.0.out_proj.weight", scales) == 1.0
