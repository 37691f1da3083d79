"""Base checkpoints: what is refused, and with which sentence; what is made of a seed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
)
from wav2vec2_tiny import SHAPE, random_batch, seeded_folder, tiny_model, tiny_settings

from audiorig.config import SeededConfig, Wav2Vec2TrainingConfig
from audiorig.data.pretrained import verify
from audiorig.errors import ConfigError, DataError
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.wav2vec2.batches import FrameCounter
from audiorig.models.wav2vec2.checkpoint import QUANTIZER, load_base, read_preprocessor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy without a manifest, to be changed."""
    copy = tmp_path / "base"
    shutil.copytree(tiny_folder, copy)
    (copy / "manifest.json").unlink()
    return copy


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def without(folder: Path, *names: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in weights.items() if key not in names}, folder / "model.safetensors")


def fine_tuned(folder: Path, **shape: Any) -> Path:
    """As CTC models are published: without quantizer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec2ForCTC(Wav2Vec2Config(**SHAPE, **shape)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


# --------------------------------------------------------------------- loaded


def test_it_is_ready_for_training(tiny_folder: Path) -> None:
    model = load_base(tiny_folder, tiny_settings(dropout=None))
    assert model.training and next(model.parameters()).dtype == torch.float32
    assert model.config.layerdrop == 0.0 and model.config.hidden_dropout == 0.1
    assert (model.config.mask_time_prob, model.config.mask_time_length) == (0.65, 5)
    expected = Wav2Vec2ForPreTraining.from_pretrained(tiny_folder).state_dict()
    assert expected.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert model.preprocessor["do_normalize"] is True


def test_all_dropouts_are_overridden(tiny_folder: Path) -> None:
    model = tiny_model(tiny_folder, dropout=0.25)
    assert {each.p for each in model.modules() if isinstance(each, torch.nn.Dropout)} == {0.25}


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in weights.items()}, folder / "model.safetensors")
    change(folder / "config.json", dtype="float16")
    assert {each.dtype for each in load_base(folder, tiny_settings()).parameters()} == {torch.float32}


def test_old_names_of_the_position_convolution_are_read(folder: Path) -> None:
    """Of most published checkpoints."""
    prefix = "wav2vec2.encoder.pos_conv_embed.conv."
    weights = load_file(folder / "model.safetensors")
    for new, old in (
        ("parametrizations.weight.original0", "weight_g"),
        ("parametrizations.weight.original1", "weight_v"),
    ):
        weights[prefix + old] = weights.pop(prefix + new)
    expected = load_base(folder, tiny_settings()).state_dict()
    save_file(weights, folder / "model.safetensors")
    found = load_base(folder, tiny_settings()).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_several_files_of_weights_are_one(folder: Path) -> None:
    expected = load_base(folder, tiny_settings())
    (folder / "model.safetensors").unlink()
    expected.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    found = load_base(folder, tiny_settings()).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.state_dict().items())


def test_loading_leaves_the_global_state(tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "ctc")
    before = torch.get_rng_state()
    load_base(folder, tiny_settings(reinit_quantizer=True))
    assert torch.equal(before, torch.get_rng_state())


# -------------------------------------------------------------------- refused


def test_a_fine_tuned_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "ctc")
    with pytest.raises(DataError, match="reinit_quantizer") as caught:
        load_base(folder, tiny_settings())
    assert all(name in str(caught.value) for name in QUANTIZER) and len(QUANTIZER) == 7


@pytest.mark.parametrize("name", QUANTIZER)
def test_each_of_the_seven_is_needed(folder: Path, name: str) -> None:
    without(folder, name)
    with pytest.raises(DataError, match=f"has no {name}: "):
        load_base(folder, tiny_settings())


@pytest.mark.parametrize("prob", [0.05, 0.0])
def test_a_new_quantizer_if_asked_for(tmp_path: Path, prob: float) -> None:
    """Of the seed alone; a checkpoint that was fine-tuned without masks gets a new vector for them too."""
    folder = fine_tuned(tmp_path / "ctc", mask_time_prob=prob)
    models = [load_base(folder, tiny_settings(reinit_quantizer=True), seed=seed) for seed in (0, 0, 1)]
    for name in QUANTIZER:
        first, same, other = (model.state_dict()[name] for model in models)
        assert torch.equal(first, same)
        assert name.endswith("weight_proj.bias") or not torch.equal(first, other), name
    body = Wav2Vec2ForCTC.from_pretrained(folder).wav2vec2.state_dict()
    assert all(torch.equal(tensor, models[0].wav2vec2.state_dict()[name]) for name, tensor in body.items())
    loss = models[0](**random_batch(2)).loss
    loss.backward()
    assert loss.isfinite()
    models[0].save_pretrained(tmp_path / "out")
    saved = load_base(tmp_path / "out", tiny_settings())
    assert all(torch.equal(tensor, models[0].state_dict()[name]) for name, tensor in saved.state_dict().items())


def test_a_part_of_a_quantizer_is_replaced_whole(folder: Path) -> None:
    before = load_base(folder, tiny_settings()).state_dict()
    without(folder, "project_q.bias")
    after = load_base(folder, tiny_settings(reinit_quantizer=True), seed=5).state_dict()
    assert not torch.equal(before["quantizer.codevectors"], after["quantizer.codevectors"])


def test_another_family_is_refused(tmp_path: Path) -> None:
    shape = {name: value for name, value in SHAPE.items() if "code" not in name}
    HubertModel(HubertConfig(**shape)).save_pretrained(tmp_path / "hubert")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "hubert")
    with pytest.raises(DataError, match="model_type is 'hubert', expected 'wav2vec2'"):
        load_base(tmp_path / "hubert", tiny_settings(reinit_quantizer=True))


def test_another_rate_is_refused(folder: Path) -> None:
    change(folder / "preprocessor_config.json", sampling_rate=8000)
    with pytest.raises(DataError, match="hears 8000 Hz, the run reads 16000 Hz"):
        load_base(folder, tiny_settings())
    assert load_base(folder, tiny_settings(), sample_rate_hz=8000).preprocessor["sampling_rate"] == 8000


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("preprocessor_config.json", None, "cannot be read"),
        ("preprocessor_config.json", "{}", "sampling_rate is None"),
        ("preprocessor_config.json", '{"sampling_rate": 16000}', "do_normalize is None"),
        ("config.json", None, "cannot be read"),
        ("config.json", "[]", "found a list"),
        ("config.json", '{"model_type": "wav2vec2", "add_adapter": true}', "add_adapter"),
        ("config.json", '{"model_type": "wav2vec2", "hidden_size": "wide"}', "no wav2vec2 can be built"),
        ("config.json", json.dumps({**SHAPE, "model_type": "wav2vec2", "hidden_size": 24}), "do not belong"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", "no weights", "cannot be read as safetensors"),
    ],
)
def test_broken_folders_end_in_a_sentence(folder: Path, name: str, text: str | None, expected: str) -> None:
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        load_base(folder, tiny_settings())
    assert "\n" not in str(caught.value)


def test_a_pickle_is_never_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="safetensors"):
        load_base(folder, tiny_settings())


def test_a_missing_weight_of_the_body_is_refused(folder: Path) -> None:
    without(folder, "wav2vec2.encoder.layers.1.final_layer_norm.bias")
    for reinit in (False, True):
        with pytest.raises(DataError, match="1 weights are missing, wav2vec2"):
            load_base(folder, tiny_settings(reinit_quantizer=reinit))


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    folder = seeded_folder(tmp_path / "tiny")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        load_base(folder, tiny_settings())


# --------------------------------------------------------------------- seeded


def seeded(**settings: Any) -> SeededConfig:
    return SeededConfig(seeded="wav2vec2", seed=settings.pop("seed", 0), settings={**SHAPE, **settings})


def test_the_folder_is_whole_and_known(tiny_folder: Path) -> None:
    manifest = verify(tiny_folder)
    assert manifest["seeded"] is True and manifest["license"] == "none: random numbers"
    names = [entry["path"] for entry in manifest["files"]]
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]
    config = json.loads((tiny_folder / "config.json").read_text())
    assert config["architectures"] == ["Wav2Vec2ForPreTraining"] and config["model_type"] == "wav2vec2"
    assert set(QUANTIZER) < set(load_file(tiny_folder / "model.safetensors"))


def test_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        manifests = []
        for index, seed in enumerate((4, 4, 5)):
            torch.manual_seed(index)
            torch.rand(index)
            before = torch.get_rng_state()
            manifests.append(make_seeded(seeded(seed=seed), tmp_path / str(index)))
            assert torch.equal(before, torch.get_rng_state())
    assert manifests[0] == manifests[1] != manifests[2]


def test_it_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    make_seeded(seeded(), tmp_path / "m")
    (tmp_path / "m" / "rest").write_text("of something else")
    make_seeded(seeded(do_normalize=False), tmp_path / "m")
    assert verify(tmp_path / "m") and read_preprocessor(tmp_path / "m")["do_normalize"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_delivered_entry_hears_as_published_ones_do(tmp_path: Path) -> None:
    """20 ms from frame to frame, small enough for two cores."""
    entry = yaml.safe_load((ROOT / "config" / "pretrained.yaml").read_text(encoding="utf-8"))["tiny-wav2vec2"]
    make_seeded(SeededConfig.model_validate(entry), tmp_path / "m")
    model = load_base(tmp_path / "m", Wav2Vec2TrainingConfig())
    assert FrameCounter.of(model.config)(8 * 16000) == 399
    assert model.num_parameters() < 600_000 and model.preprocessor["do_normalize"] is True


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"hiden_size": 8}, "settings.hiden_size: wav2vec2 has no such setting; did you mean hidden_size"),
        ({"hidden_size": "wide"}, "no wav2vec2 can be built"),
        ({"num_attention_heads": 3}, "no wav2vec2 can be built"),
        ({"conv_dim": [8, 8]}, "no wav2vec2 can be built"),
        ({"codevector_dim": 15}, "no wav2vec2 can be built"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        make_seeded(seeded(**settings), tmp_path / "m")
    assert not any(tmp_path.iterdir())
