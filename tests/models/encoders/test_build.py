"""Encoders come whole out of every form that somebody holds, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_encoders import load, noise, tiny_folder

from audiorig.config import EncoderConfig
from audiorig.errors import DataError
from audiorig.files import read_json, write_json
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.published import load_convolutional
from audiorig.models.encoders.weights import family_of, plain_name

# What stands before the encoder's own names in a folder as it is published.
PREFIX = {
    "wav2vec2-group": "wav2vec2.",
    "hubert-layer": "",
    "wavlm-group": "",
    "whisper": "model.encoder.",
    "wavemae": "",
}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="session", params=PREFIX)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(kind, tmp_path_factory.mktemp("build") / kind)


def weights_in(folder: Path) -> Weights:
    return load_file(folder / "model.safetensors")


def test_every_tensor_is_the_files_own(kind: str, folder: Path) -> None:
    stored, encoder = weights_in(folder), load(kind, folder)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, stored[PREFIX[kind] + name.removeprefix("body.")]), name
    assert {each.dtype for each in encoder.parameters()} == {torch.float32}
    assert not encoder.training


def pickled(weights: Weights, path: Path) -> None:
    torch.save(weights, path)


def of_a_script(weights: Weights, path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": each for name, each in weights.items()}}, path)


def nested(weights: Weights, path: Path) -> None:
    torch.save({"model": {"weights": weights}, "lr": 0.1}, path)


def half(weights: Weights, path: Path) -> None:
    save_file({name: each.half() if each.is_floating_point() else each for name, each in weights.items()}, path)


def old_names(weights: Weights, path: Path) -> None:
    renamed = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in renamed.items():
        weights = {name.replace(new, old): each for name, each in weights.items()}
    save_file(weights, path)


FORMS: dict[str, Callable[[Weights, Path], None]] = {
    **{"a.safetensors": save_file, "a.bin": pickled, "a.pt": of_a_script, "a.ckpt": nested},
    "old.safetensors": old_names,
}


@pytest.mark.parametrize("name", FORMS)
def test_a_bare_checkpoint_in_the_place_of_the_folders_weights(
    name: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    other = tiny_folder(kind, tmp_path / "other", seed=1)
    FORMS[name](weights_in(other), tmp_path / name)
    found, expected = load(kind, folder, tmp_path / name).state_dict(), load(kind, other).state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert not all(torch.equal(found[key], each) for key, each in load(kind, folder).state_dict().items())


def test_the_encoder_alone_and_without_a_prefix(kind: str, folder: Path, tmp_path: Path) -> None:
    other = load(kind, tiny_folder(kind, tmp_path / "other", seed=1)).body.state_dict()
    save_file(other, tmp_path / "bare.safetensors")
    found = load(kind, folder, tmp_path / "bare.safetensors").body.state_dict()
    assert all(torch.equal(found[name], other[name]) for name in other)


def test_half_precision_becomes_float32(kind: str, folder: Path, tmp_path: Path) -> None:
    half(weights_in(folder), tmp_path / "half.safetensors")
    encoder = load(kind, folder, tmp_path / "half.safetensors")
    assert {each.dtype for each in encoder.parameters()} == {torch.float32}


def test_a_missing_tensor_is_not_made_up(kind: str, folder: Path, tmp_path: Path) -> None:
    weights = weights_in(folder)
    lost = next(name for name in weights if name.startswith(PREFIX[kind]) and name.endswith("norm.weight"))
    del weights[lost]
    save_file(weights, tmp_path / "less.safetensors")
    with pytest.raises(DataError, match=r"less.safetensors: 1 weights are missing, .* expected those of a"):
        load(kind, folder, tmp_path / "less.safetensors")


def test_a_tensor_of_another_shape_is_refused(kind: str, folder: Path, tmp_path: Path) -> None:
    weights = weights_in(folder)
    name = next(name for name in weights if name.startswith(PREFIX[kind]) and name.endswith("norm.weight"))
    save_file({**weights, name: torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"other.safetensors: .* is of shape \(5,\), expected \((8|16),\)"):
        load(kind, folder, tmp_path / "other.safetensors")


def test_more_layers_than_the_folder_has_are_refused(kind: str, folder: Path, tmp_path: Path) -> None:
    deeper = {"whisper": "encoder_layers", "wavemae": "depth"}.get(kind, "num_hidden_layers")
    other = tiny_folder(kind, tmp_path / "deep", **{deeper: 4})
    with pytest.raises(DataError, match=r"weights have no place in the .* that config.json describes"):
        load(kind, folder, other / "model.safetensors")


def test_what_holds_no_weights_is_a_sentence(kind: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    torch.save({"state_dict": Unknown()}, tmp_path / "code.pt")
    sentences = {
        "text.pt": "no plain file of weights",
        "text.safetensors": "cannot be read as safetensors",
        "empty.pt": "found a dict without tensors by name",
        "code.pt": "asks for code to be run, which never happens here",
        "nowhere.pt": "there is no such file",
    }
    for name, sentence in sentences.items():
        with pytest.raises(DataError, match=sentence):
            load(kind, folder, tmp_path / name)


class Unknown:
    """What a pickle may not bring along."""


# ---------------------------------------------------------------- families

CONVOLUTIONAL = ("wav2vec2", "hubert", "wavlm")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("families")
    kinds = {**{family: f"{family}-group" for family in CONVOLUTIONAL}, "whisper": "whisper", "wavemae": "wavemae"}
    return {family: tiny_folder(kind, place / family) for family, kind in kinds.items()}


@pytest.mark.parametrize("wanted", [*CONVOLUTIONAL, "whisper", "wavemae"])
def test_a_folder_of_another_family_is_refused(wanted: Any, folders: dict[str, Path]) -> None:
    for family, folder in folders.items():
        settings = EncoderConfig(family=wanted, folder="elsewhere")
        if family == wanted:
            assert load_for_tuning(settings, folder).family == wanted
            continue
        with pytest.raises(DataError, match=f"model_type is '{family}', expected '{wanted}'"):
            load_for_tuning(settings, folder)


@pytest.mark.parametrize("wanted", [*CONVOLUTIONAL, "whisper", "wavemae"])
def test_a_bare_checkpoint_of_another_family_is_refused(wanted: Any, folders: dict[str, Path], tmp_path: Path) -> None:
    """The three convolutional ones have most tensors in common, under the same names."""
    for family, folder in folders.items():
        weights = weights_in(folder)
        if family == "hubert":  # nothing tells it from a wav2vec2 but the prefix that whole models have
            weights = {f"hubert.{name}": each for name, each in weights.items()}
        if family != wanted:
            save_file(weights, tmp_path / f"{family}.safetensors")
            with pytest.raises(DataError, match=f"its weights are those of a {family}, expected a {wanted}"):
                load_for_tuning(
                    EncoderConfig(family=wanted, folder="elsewhere"),
                    folders[wanted],
                    tmp_path / f"{family}.safetensors",
                )


def test_a_nameless_hubert_is_no_wavlm(folders: dict[str, Path], tmp_path: Path) -> None:
    save_file(weights_in(folders["hubert"]), tmp_path / "h.safetensors")
    with pytest.raises(DataError, match=r"10 weights are missing, encoder.layers.0.attention.gru_rel_pos_const among"):
        load_for_tuning(EncoderConfig(family="wavlm", folder="elsewhere"), folders["wavlm"], tmp_path / "h.safetensors")


def test_families_are_told_by_names() -> None:
    assert family_of(["encoder.layers.0.attention.gru_rel_pos_const"]) == "wavlm"
    assert family_of(["module.hubert.encoder.layer_norm.weight"]) == "hubert"
    assert family_of(["quantizer.codevectors", "x"]) == "wav2vec2"
    assert family_of(["conv2.weight"]) == family_of(["model.encoder.conv1.weight"]) == "whisper"
    assert family_of(["encoder.layer_norm.weight"]) is None
    assert plain_name("module.model.encoder.layers.0.fc1.weight", "whisper") == "layers.0.fc1.weight"
    assert plain_name("model.decoder.layers.0.fc1.weight", "whisper") == "decoder.layers.0.fc1.weight"
    assert plain_name("wav2vec2.encoder.layer_norm.bias", "wav2vec2") == "encoder.layer_norm.bias"
    name = "encoder.pos_conv_embed.conv."
    assert plain_name(f"{name}weight_g", "wavlm") == f"{name}parametrizations.weight.original0"


def test_a_folder_is_compared_with_its_manifest(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tiny_folder("wavlm-layer", tmp_path / "m")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256 is"):
        load("wavlm-layer", folder)


def test_a_run_s_folder_will_do(tmp_path: Path) -> None:
    folder = tiny_folder("hubert-group", tmp_path / "run" / "model")
    assert (
        load("hubert-group", tmp_path / "run").state_dict().keys() == load("hubert-group", folder).state_dict().keys()
    )


def test_a_config_of_which_nothing_can_be_built_is_a_sentence(tmp_path: Path) -> None:
    folder = tiny_folder("wavlm-group", tmp_path / "m")
    (folder / "manifest.json").unlink()
    path = folder / "config.json"
    content = read_json(path)
    write_json(path, {**content, "conv_dim": [8, 8]})
    with pytest.raises(DataError, match=r"config.json: no wavlm can be built of it"):
        load("wavlm-group", folder)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"config.json: found a list, expected an object of settings"):
        load("wavlm-group", folder)
    path.unlink()
    with pytest.raises(DataError, match=r"config.json: cannot be read .* expected the folder of a published model"):
        load("wavlm-group", folder)


def test_probes_and_tuning_hear_the_same(tmp_path: Path) -> None:
    """What is left out for tuning (a vector for hidden frames) changes no feature."""
    folder = tiny_folder("hubert-layer", tmp_path / "m")
    batch = noise([16000, 9000])
    with torch.no_grad():
        assert torch.equal(
            load_convolutional(folder).encode(*batch).features, load("hubert-layer", folder).encode(*batch).features
        )
    assert "body.masked_spec_embed" in load_convolutional(folder).state_dict()
