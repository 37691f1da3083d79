"""Which weights learn is what the setting says, and each of them gets a gradient."""

import pytest
import torch

from audiorig.config import TuningConfig
from audiorig.errors import ConfigError
from audiorig.models.tuning.apply import apply_tuning
from audiorig.models.tuning.freezing import fixed_names, learning_names, place_of

MODES = [
    ({"learn": "all"}, {"front", 0, 1, 2, "behind"}),
    ({"learn": "all", "freeze_front": True}, {0, 1, 2, "behind"}),
    ({"learn": "layers", "layers": (0, 2)}, {0, 2, "behind"}),
    ({"learn": "layers", "layers": (1,)}, {1}),
    ({"learn": "last", "num_last": 2}, {1, 2, "behind"}),
    ({"learn": "half"}, {1, 2, "behind"}),
    ({"learn": "all_but_last"}, {"front", 0, 1}),
    ({"learn": "all_but_last", "freeze_front": True}, {0, 1}),
]


@pytest.mark.parametrize(("settings", "places"), MODES)
def test_the_weights_that_learn_are_those_of_the_setting_and_get_gradients(
    encoder, family, tiny, settings, places
) -> None:
    has_norm_behind = family in ("wav2vec2-stable", "whisper", "wavemae")
    apply_tuning(encoder, TuningConfig(**settings), 0)
    tiny.encode(encoder).features.square().mean().backward()
    found = {place_of(name, encoder) for name, each in encoder.named_parameters() if each.requires_grad}
    assert found == (places if has_norm_behind else places - {"behind"})
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (place_of(name, encoder) in places), name
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_nothing_learns_of_a_frozen_encoder(encoder) -> None:
    weights = {name: value.clone() for name, value in encoder.state_dict().items()}
    apply_tuning(encoder, TuningConfig(learn="nothing"), 0)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert all(torch.equal(weights[name], value) for name, value in encoder.state_dict().items())


def test_what_no_clip_depends_on_never_learns(tiny) -> None:
    """A wav2vec2 that still has the vector of hidden frames."""
    described = tiny.description("wav2vec2")
    described["network"]["mask_time_prob"] = 0.05
    encoder = tiny.build_encoder(described)
    assert fixed_names(encoder) == {"body.masked_spec_embed"}
    names = {name for name, _ in encoder.named_parameters()}
    assert learning_names(encoder, TuningConfig()) == names - {"body.masked_spec_embed"}
    with pytest.raises(ConfigError, match="nothing of it can learn"):
        learning_names(encoder, TuningConfig(modules=("masked_spec_embed",)))


# ------------------------------------------------------------------- modules


@pytest.fixture
def wav2vec2(tiny):
    return tiny.encoder("wav2vec2")


def named(encoder, *modules, **other) -> set[str]:
    return learning_names(encoder, TuningConfig(learn="nothing", modules=modules, **other))


def test_modules_are_named_by_beginning_or_end(wav2vec2) -> None:
    assert named(wav2vec2, "body.feature_projection") == {
        f"body.feature_projection.{name}.{kind}" for name in ("layer_norm", "projection") for kind in ("weight", "bias")
    }
    assert named(wav2vec2, "attention.q_proj", "layers.0.final_layer_norm") == {
        *(f"body.encoder.layers.{block}.attention.q_proj.{kind}" for block in range(3) for kind in ("weight", "bias")),
        *(f"body.encoder.layers.0.final_layer_norm.{kind}" for kind in ("weight", "bias")),
    }
    assert named(wav2vec2, "layers.1.attention.k_proj.bias") == {"body.encoder.layers.1.attention.k_proj.bias"}


def test_a_part_of_a_word_names_nothing(wav2vec2) -> None:
    """layers.1 is not layers.10, and proj is not q_proj."""
    with pytest.raises(ConfigError, match=r"names 'proj', and no module .* begins or ends so \(near: .*_proj.*\)"):
        named(wav2vec2, "proj")
    with pytest.raises(ConfigError, match=r"near: .*attention\.q_proj"):
        named(wav2vec2, "atention.q_proj")


def test_modules_add_to_blocks(wav2vec2) -> None:
    both = TuningConfig(learn="last", num_last=1, modules=("feature_projection",))
    alone = TuningConfig(learn="last", num_last=1)
    assert learning_names(wav2vec2, both) == learning_names(wav2vec2, alone) | named(wav2vec2, "feature_projection")


def test_a_frozen_front_stays_frozen(wav2vec2) -> None:
    assert named(wav2vec2, "layer_norm", freeze_front=True) == {
        f"body.encoder.layers.{block}.layer_norm.{kind}" for block in range(3) for kind in ("weight", "bias")
    }
    with pytest.raises(ConfigError, match="freeze_front keeps it as it is"):
        named(wav2vec2, "feature_projection", freeze_front=True)


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"learn": "layers", "layers": (1, 3, 7)},
            r"tuning.layers names 3, 7, and this \w+ encoder has 3 blocks, 0 to 2",
        ),
        ({"learn": "layers", "layers": (-1,)}, "names -1"),
        ({"learn": "last", "num_last": 4}, r"tuning.num_last is 4, and this \w+ encoder has 3 blocks"),
    ],
)
def test_blocks_that_do_not_exist_are_an_error_that_says_how_many_there_are(encoder, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        learning_names(encoder, TuningConfig(**settings))
