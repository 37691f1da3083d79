"""Pickled weights written anew, and pickles that are more than weights."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open

from audiorig.data.pickled_weights import to_safetensors
from audiorig.errors import DataError


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "as saved before 2020"])
def test_tensors_keep_names_values_and_kinds(tmp_path: Path, is_zip: bool) -> None:
    shared = torch.arange(12.0).reshape(3, 4)
    weights = OrderedDict(
        {
            "a.weight": shared,
            "b.tied": shared,
            "c.part": shared[1:, ::2],
            "d.turned": torch.arange(6).reshape(2, 3).T,
            "e.half": torch.ones(2, dtype=torch.float16),
            "f.parameter": torch.nn.Parameter(torch.zeros(2, 0)),
            "g.number": torch.tensor(3, dtype=torch.int64),
        }
    )
    torch.save(weights, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)
    to_safetensors(tmp_path / "pytorch_model.bin", tmp_path / "model.safetensors")
    found = load_file(tmp_path / "model.safetensors")
    assert set(found) == set(weights)
    for name, tensor in weights.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.where),)


@pytest.mark.parametrize("form", ["zip", "old", "plain pickle", "beside tensors"])
def test_code_is_refused_and_never_runs(tmp_path: Path, form: str) -> None:
    pickled, trace = tmp_path / "pytorch_model.bin", tmp_path / "it-ran"
    content: Any = {"weight": torch.ones(2), "more": Payload(trace)} if form == "beside tensors" else Payload(trace)
    if form == "plain pickle":
        pickled.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, pickled, _use_new_zipfile_serialization=form != "old")
    with pytest.raises(DataError, match="asks for code to be run, which never happens here, or is broken") as caught:
        to_safetensors(pickled, tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    assert not (tmp_path / "model.safetensors").exists()
    if form == "plain pickle":
        pickle.loads(pickled.read_bytes())  # the payload does work
        assert trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds a list"),
        ({}, "holds a dict"),
        ({"a": 3}, "'a' is a int, expected a tensor"),
        ({3: torch.ones(2)}, "3 is a Tensor, expected a tensor"),
        ({"a": {"b": torch.ones(2)}}, "'a' is a dict"),
        ({"a": torch.eye(3).to_sparse()}, "'a' is a Tensor, expected a tensor"),
    ],
)
def test_what_is_no_tensor_by_name_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match=message):
        to_safetensors(tmp_path / "pytorch_model.bin", tmp_path / "model.safetensors")


def test_broken_files_and_programs_are_refused(tmp_path: Path) -> None:
    pickled = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(1000)}, pickled)
    whole = pickled.read_bytes()
    for spoilt in (whole[:-100], b"", b"words", whole[200:]):
        pickled.write_bytes(spoilt)
        with pytest.raises(DataError, match="is broken"):
            to_safetensors(pickled, tmp_path / "model.safetensors")
