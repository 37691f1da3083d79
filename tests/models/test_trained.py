"""A model is found in whichever form somebody holds it, and nothing else is taken for one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiorig.errors import DataError
from audiorig.files import read_json, write_json
from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.trained import config_digest, load_trained, weights_digest

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
