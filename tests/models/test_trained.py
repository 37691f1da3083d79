"""A model is found in whichever form somebody holds it, and nothing else is taken for one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiorig.config import SeededConfig
from audiorig.errors import DataError
from audiorig.files import read_json, write_json
from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.encoders.convolutional import ConvolutionalEncoder
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.trained import config_digest, load_any, load_encoder, load_trained, weights_digest

SHAPE = {"width": 8, "depth": 2, "decoder_width": 8, "kernel": 3, "wide_kernel": 3, "decoder_kernel": 3}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, with both forms of one model."""
    torch.manual_seed(0)
    model = WaveMAE(WaveMAEConfig(model=SHAPE))
    model.bin_mean.fill_(1.5)
    model.save_pretrained(tmp_path / "model")
    config = {"data": {"sample_rate_hz": 24000}, "spectrogram": model.config.spectrogram, "model": model.config.model}
    torch.save({"weights": model.state_dict(), "config": config, "provenance": {}}, tmp_path / "final.ckpt")
    return tmp_path


@pytest.mark.parametrize("form", ["", "model", "final.ckpt"])
def test_all_forms_give_the_same_encoder(run, form) -> None:
    encoder, expected = load_trained(run / form), WaveMAE.from_pretrained(run / "model")
    assert not encoder.training
    waveform = torch.rand(1, 9000)
    with torch.no_grad():
        assert torch.equal(encoder.encode(waveform).features, expected.encode(waveform).features)
    assert weights_digest(encoder) == weights_digest(load_trained(run))
    assert config_digest(encoder) == config_digest(load_trained(run))


def test_the_checkpoint_alone_is_enough(run) -> None:
    digest = weights_digest(load_trained(run / "model"))
    (run / "model").rename(run.parent / "elsewhere")
    assert weights_digest(load_trained(run)) == digest


def test_loading_draws_no_random_number(run) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    load_trained(run)
    assert torch.equal(torch.rand(2), expected)


def test_other_weights_have_another_digest(run) -> None:
    encoder = load_trained(run)
    before = weights_digest(encoder)
    with torch.no_grad():
        encoder.norm.bias[0] += 1e-6
    assert weights_digest(encoder) != before


def test_what_is_no_model_is_said_in_a_sentence(run, tmp_path) -> None:
    with pytest.raises(DataError, match=r"found nothing, expected a run's folder"):
        load_trained(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found a folder without a model"):
        load_trained(tmp_path / "empty")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(DataError, match=r"text.ckpt: no final.ckpt of a WaveMAE run"):
        load_trained(tmp_path / "text.ckpt")
    config = read_json(run / "model" / "config.json")
    write_json(run / "model" / "config.json", {**config, "model_type": "bert"})
    with pytest.raises(DataError, match="model_type is 'bert', expected 'wavemae'"):
        load_trained(run)


def test_a_missing_weight_is_not_made_up(run) -> None:
    path = run / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["blocks.1.expand.weight"]
    save_file(weights, path)
    with pytest.raises(DataError, match=r"lacks the weights blocks.1.expand.weight"):
        load_trained(run / "model")


# ------------------------------------------------------------------------ other families

TINY = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
    **{"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5], "num_feat_extract_layers": 3},
    **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "codevector_dim": 8},
    **{"proj_codevector_dim": 8, "num_codevectors_per_group": 4},
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A wav2vec2 of random weights, as a run leaves it in its model/ folder."""
    make_seeded(SeededConfig(seeded="wav2vec2", settings=TINY), tmp_path / "published" / "model")
    return tmp_path / "published"


@pytest.mark.parametrize("form", ["", "model"])
def test_the_family_is_read_from_the_folder(run, published, form) -> None:
    assert isinstance(load_encoder(run / form), WaveMAE)
    encoder = load_encoder(published / form)
    assert isinstance(encoder, ConvolutionalEncoder)
    assert encoder.sample_rate_hz == 16000
    assert load_encoder(run).sample_rate_hz == 24000


def test_an_encoder_is_whole_and_says_nothing_new_when_untrained(run) -> None:
    """The control of the probes, to the bit: its weights are those of a training's start."""
    encoder = load_encoder(run)
    assert isinstance(encoder, WaveMAE)
    fresh = encoder.untrained(3)
    torch.manual_seed(3)
    expected = WaveMAE(encoder.config)
    assert torch.equal(fresh.stem.weight, expected.stem.weight)
    assert torch.equal(fresh.blocks[1].expand.weight, expected.blocks[1].expand.weight)
    assert torch.equal(fresh.bin_mean, encoder.bin_mean)
    assert not torch.equal(fresh.stem.weight, encoder.stem.weight)
    assert not fresh.training


def test_any_form_of_either_family_can_be_embedded(run, published) -> None:
    assert weights_digest(load_any(run / "final.ckpt")) == weights_digest(load_trained(run))
    torch.save({"weights": {}, "config": {}}, published / "final.ckpt")
    digests = {weights_digest(load_any(published / form)) for form in ("", "model", "final.ckpt")}
    assert len(digests) == 1
    assert config_digest(load_any(published)) == config_digest(load_any(published / "model"))
    assert config_digest(load_any(published)) != config_digest(load_any(run))


@pytest.mark.parametrize("family", ["hubert", "wavlm"])
def test_other_convolutional_families_are_read_too(family, tmp_path) -> None:
    settings = {name: value for name, value in TINY.items() if "code" not in name}
    make_seeded(SeededConfig(seeded=family, settings=settings), tmp_path / "model")
    for load in (load_encoder, load_any):
        encoder = load(tmp_path)
        assert isinstance(encoder, ConvolutionalEncoder) and encoder.family == family
    path = tmp_path / "model" / "config.json"
    one = config_digest(load_any(tmp_path))
    (tmp_path / "model" / "manifest.json").unlink()
    changed = {"hubert": "feat_proj_layer_norm", "wavlm": "max_bucket_distance"}[family]
    write_json(path, {**read_json(path), changed: 77 if family == "wavlm" else False})
    if family == "hubert":  # whose projection then has no norm, so that the file's has no place
        with pytest.raises(DataError, match="weights have no place in the hubert"):
            load_any(tmp_path)
    else:
        assert config_digest(load_any(tmp_path)) != one


def test_another_way_of_input_is_another_encoder(published) -> None:
    one = config_digest(load_any(published))
    (published / "model" / "manifest.json").unlink()
    path = published / "model" / "preprocessor_config.json"
    write_json(path, {**read_json(path), "do_normalize": False})
    assert config_digest(load_any(published)) != one


def test_an_unknown_family_is_a_sentence(run, tmp_path) -> None:
    config = read_json(run / "model" / "config.json")
    write_json(run / "model" / "config.json", {**config, "model_type": "bert"})
    with pytest.raises(DataError, match="its model_type is 'bert', expected wavemae, wav2vec2, hubert, wavlm"):
        load_encoder(run)
    with pytest.raises(DataError, match=r"model: no folder of a model .*; train the run first"):
        load_encoder(tmp_path / "nowhere")
