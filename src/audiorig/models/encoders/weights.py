"""Weights of a file or a folder, put into an encoder: all of them, or a sentence that says what is wrong."""

import pickle
import warnings
import zipfile
from collections.abc import Callable, Collection, Container, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from audiorig.errors import DataError
from audiorig.models.wav2vec2.checkpoint import WEIGHTS, one_line

Stored = Mapping[str, Callable[[], Tensor]]  # tensors by name, read when they are asked for
INSIDE = ("state_dict", "model", "weights", "model_state_dict")  # where training scripts put the tensors
# What goes before the names of an encoder's tensors, in whole models and in wrappers of training scripts.
PREFIXES = {
    "wav2vec2": ("module.", "model.", "wav2vec2."),
    "hubert": ("module.", "model.", "hubert."),
    "wavlm": ("module.", "model.", "wavlm."),
    "whisper": ("module.", "model.encoder.", "encoder.", "model."),
    "wavemae": ("module.", "model."),
}
# What only the names of one family's tensors have in them, once a dot is put before them.
SIGNS = {
    "wavlm": (".gru_rel_pos_const", ".wavlm.encoder."),
    "hubert": (".hubert.encoder.",),
    "wav2vec2": (".wav2vec2.encoder.", ".quantizer.codevectors", ".project_q.weight"),
    "whisper": (".encoder.conv1.weight", ".encoder_attn.", ".conv2.weight"),
    "wavemae": (".stem.weight",),
}
# transformers' names for a weight-normed convolution before torch had parametrizations.
RENAMED = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}


def stored_in_folder(folder: Path) -> Stored:
    """Tensors of a Hugging Face folder, of one safetensors file or of several.

    Raises:
        DataError: if there are none; pickles of folders are never read.
    """
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise DataError(f"{folder}: {WEIGHTS} is missing: expected the folder of a published model, with safetensors")
    found: dict[str, Callable[[], Tensor]] = {}
    for path in files:
        found |= _of_safetensors(path)
    return found


def stored_in_file(path: Path) -> Stored:
    """Tensors of a bare checkpoint: safetensors, or a pickle that torch reads without running code.

    Raises:
        DataError: if it is missing, or holds no tensors by name.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file: expected a checkpoint (.safetensors, .pt, .bin or .ckpt)")
    if path.suffix == ".safetensors":
        return _of_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, which holds no dictionary
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{path}: no plain file of weights ({one_line(error)[:120]}): it asks for code to be run, which never "
            "happens here, or is broken; save the state dict alone"
        ) from None
    tensors = _tensors(content)
    if not tensors:
        raise DataError(
            f"{path}: found a {type(content).__name__} without tensors by name: expected a state dict, or one under "
            f"{', '.join(INSIDE)}"
        )
    return {name: lambda tensor=tensor: tensor for name, tensor in tensors.items()}  # type: ignore[misc]


def _of_safetensors(path: Path) -> dict[str, Callable[[], Tensor]]:
    try:
        file = safe_open(path, framework="pt")
        return {name: lambda name=name: file.get_tensor(name) for name in file.keys()}  # type: ignore[misc]  # noqa: SIM118
    except Exception as error:  # of the Rust library, without a common ancestor
        raise DataError(f"{path}: cannot be read as safetensors: {one_line(error)}") from None


def _tensors(content: Any) -> dict[str, Tensor]:
    """The state dict that a checkpoint is or holds; empty if there is none."""
    if not isinstance(content, Mapping):
        return {}
    for key in INSIDE:
        if isinstance(content.get(key), Mapping) and (inner := _tensors(content[key])):
            return inner
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def family_of(names: Collection[str]) -> str | None:
    """The family whose tensors these are, where their names tell."""
    for family, signs in SIGNS.items():
        if any(sign in f".{name}" for name in names for sign in signs):
            return family
    return None


def plain_name(name: str, family: str) -> str:
    """A stored name as the encoder's network has it."""
    while prefix := next((each for each in PREFIXES[family] if name.startswith(each)), None):
        name = name.removeprefix(prefix)
    for old, new in RENAMED.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def fill(network: nn.Module, stored: Stored, family: str, where: Path, may_lack: Container[str] = ()) -> None:
    """Put stored tensors into a network, as float32.

    What belongs to the pre-training task or a decoder is left over, and fine. A tensor of the
    encoder itself for which the network has no place is not: it would be another network.

    Args:
        network: of the encoder; all its parameters and buffers are replaced.
        stored: tensors by name.
        family: of the network.
        where: of the tensors, for messages.
        may_lack: names that may be missing.

    Raises:
        DataError: if tensors are of another family, missing, or of another shape.
    """
    found = {plain_name(name, family): name for name in stored}
    if (other := family_of(stored)) not in (None, family):
        raise DataError(f"{where}: its weights are those of a {other}, expected a {family}")
    expected = network.state_dict()
    if missing := sorted(name for name in expected if name not in found and name not in may_lack):
        raise DataError(
            f"{where}: {len(missing)} weights are missing, {missing[0]} among them: expected those of a {family} as "
            "config.json describes it"
        )
    own = tuple({name.partition(".")[0] + "." for name in expected if "." in name})
    if foreign := sorted(name for name in found if name.startswith(own) and name not in expected):
        raise DataError(
            f"{where}: {len(foreign)} weights have no place in the {family} that config.json describes, "
            f"{found[foreign[0]]} among them: another family, or more layers"
        )
    tensors = {name: stored[found[name]]() for name in expected if name in found}
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise DataError(
                f"{where}: {found[name]} is of shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)} as "
                "config.json says"
            )
    network.load_state_dict(
        {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}, strict=not may_lack
    )
