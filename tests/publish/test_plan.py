"""What goes, and what never does."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from audiorig.errors import DataError
from audiorig.publish.plan import machine_paths, plan_upload, table

FOUR = ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]


@pytest.fixture
def model(run_folder: Path) -> Path:
    return run_folder / "model"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.md"
    path.write_text("# A model\n\nSee https://huggingface.co/team/home and results/x.\n")
    return path


def test_four_files_go_with_their_digests(model: Path, card: Path) -> None:
    plan = plan_upload(model, card)
    assert [file.path for file in plan.files] == FOUR
    assert plan.files[0].source == card
    for file in plan.files:
        assert file.sha256 == hashlib.sha256(file.source.read_bytes()).hexdigest()
        assert file.size == file.source.stat().st_size
    assert plan.size == sum(file.size for file in plan.files)
    assert plan.stays == ()


def test_what_is_not_on_the_list_stays(model: Path, card: Path) -> None:
    (model / "notes.txt").write_text("mine")
    (model / "deeper").mkdir()
    (model / "deeper" / "config.json").write_text("{}")
    (model / "pytorch_model.bin").write_bytes(b"a pickle")
    plan = plan_upload(model, card)
    assert [file.path for file in plan.files] == FOUR
    assert plan.stays == ("deeper/config.json", "notes.txt", "pytorch_model.bin")
    assert "stay here: deeper/config.json, notes.txt" in table(plan)


def test_the_table_names_each_file_and_its_size(model: Path, card: Path) -> None:
    text = table(plan_upload(model, card))
    assert all(name in text for name in FOUR)
    assert "0.4 MB" in text
    assert f"{card.stat().st_size} bytes" in text


@pytest.mark.parametrize("name", ["a.wav", "b.FLAC", "deeper/c.parquet", "segments.csv", "x.arrow", "y.tar", "z.npz"])
def test_audio_and_tables_are_refused(model: Path, card: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"x")
    with pytest.raises(DataError, match="belongs to a model"):
        plan_upload(model, card)


def test_links_are_refused(model: Path, card: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text("{}")
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DataError, match="is a link"):
        plan_upload(model, card)


@pytest.mark.parametrize("path", ["/home/me/audio", "/scratch/users/me/x.wav", "~/data/x", "C:\\Users\\me"])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "README.md", "model.safetensors"])
def test_paths_of_this_machine_are_refused(model: Path, card: Path, name: str, path: str) -> None:
    if name == "README.md":
        card.write_text(f"# A model\n\ntrained on `{path}`\n")
    elif name == "model.safetensors":
        save_file({"w": np.zeros(3)}, model / name, metadata={"origin": path})
    else:
        content = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps({**content, "deep": [{"_name_or_path": path}]}))
    with pytest.raises(DataError, match=f"a path of this machine: take it out of {name}"):
        plan_upload(model, card)


def test_addresses_names_and_shares_are_no_paths(tmp_path: Path) -> None:
    text = (
        "facebook/wav2vec2-base, https://huggingface.co/team/home, results/x/model, 3/4, and/or, `a / b`, .5 [.4, .6]"
    )
    assert machine_paths(text) == []
    assert machine_paths(f"in {Path.cwd()}/x") != []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: (model / "config.json").unlink(), "config.json: found no file"),
        (lambda model: (model / "model.safetensors").unlink(), "pickled weights never go"),
        (lambda model: (model / "preprocessor_config.json").unlink(), "whether audio is to be normalised"),
        (lambda model: (model / "config.json").write_text("{"), "no JSON"),
        (lambda model: (model / "config.json").write_text("[]"), "no JSON"),
        (lambda model: (model / "model.safetensors").write_bytes(b"x" * 100), "no file of safetensors"),
        (lambda model: (model / "model.safetensors").write_bytes(b""), "no file of safetensors"),
        (lambda model: cut(model / "model.safetensors"), r"found \d+ bytes, expected \d+ by its own header"),
    ],
)
def test_what_is_missing_or_broken_is_named(
    model: Path, card: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(model)
    with pytest.raises(DataError, match=message):
        plan_upload(model, card)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_no_folder_is_one_sentence(tmp_path: Path, card: Path) -> None:
    with pytest.raises(DataError, match="train it first"):
        plan_upload(tmp_path / "model", card)


def test_wavemae_needs_no_preprocessor(model: Path, card: Path) -> None:
    (model / "preprocessor_config.json").unlink()
    (model / "config.json").write_text('{"model_type": "wavemae"}')
    assert [file.path for file in plan_upload(model, card).files] == FOUR[:3]


def test_shards_go_with_their_index(model: Path, card: Path) -> None:
    names = [f"model-0000{k}-of-00002.safetensors" for k in (1, 2)]
    (model / "model.safetensors").unlink()
    for name in names:
        save_file({name: np.zeros(5)}, model / name)
    index = {"weight_map": {"a": names[0], "b": names[1], "c": names[0]}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [file.path for file in plan_upload(model, card).files] == [
        "README.md",
        "config.json",
        *names,
        "model.safetensors.index.json",
        "preprocessor_config.json",
    ]
    (model / names[1]).unlink()
    with pytest.raises(DataError, match=f"{names[1]}: is listed"):
        plan_upload(model, card)
    index["weight_map"]["b"] = "../../secret.safetensors"
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="is listed"):
        plan_upload(model, card)
    save_file({"w": np.zeros(5)}, model / "model.safetensors")
    with pytest.raises(DataError, match="which are the weights"):
        plan_upload(model, card)
