"""Weights that a run begins with: what an earlier run of the same model ended with."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from audiorig.errors import ConfigError, ResumeError
from audiorig.files import file_digest
from audiorig.train import checkpoints

SETTING = "train.load_from_checkpoint"
WEIGHTS = "model.safetensors"
MOST_NAMED = 4


def weights_file(given: Path) -> Path:
    """The file with the weights of a final.ckpt, a model folder, or one checkpoint.

    Raises:
        ConfigError: if there is none.
        ResumeError: if it is a checkpoint whose seal does not hold.
    """
    if given.is_file():
        return given
    if not given.is_dir():
        raise ConfigError(f"{SETTING}: {given}: no such file or folder")
    if (given / checkpoints.SEAL).exists() and (reason := checkpoints.broken_because(given)):
        raise ResumeError(f"{SETTING}: {given}: {reason}; take another checkpoint")
    if (file := given / WEIGHTS).is_file():
        return file
    if found := checkpoints.list_checkpoints(given):
        raise ConfigError(f"{SETTING}: {given} holds several checkpoints: name one of them, such as {found[0].name}")
    raise ConfigError(
        f"{SETTING}: {given}: a folder without {WEIGHTS}; expected a final.ckpt, a model folder or a checkpoint"
    )


def weights_digest(given: Path) -> str:
    """SHA-256 of the file with the weights: part of what a run is."""
    return file_digest(weights_file(given))


def load_start(model: PreTrainedModel, given: Path) -> None:
    """Give a new model the weights of an earlier run; nothing else is taken.

    What a model lists as ``fitted_names`` is no weight: it was fitted to its own training side, and stays.

    Raises:
        ConfigError: if there are none that can be read, or they are another model's; says what differs.
        ResumeError: if they lie in a checkpoint whose seal does not hold.
    """
    file = weights_file(given)
    weights = _read(file)
    if differing := _differences(weights, model.state_dict()):
        raise ConfigError(
            f"{SETTING}: {file}: these weights are not of this model: {differing}; take those of a run whose model has "
            "the same settings"
        )
    own = model.state_dict()
    kept = {name: own[name] for name in getattr(model, "fitted_names", ())}
    model.load_state_dict({**weights, **kept})


def _read(file: Path) -> Mapping[str, Tensor]:
    """By name. Nothing but tensors is unpickled."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(f"{SETTING}: {file}: cannot be read as weights ({type(error).__name__})") from None
    weights = content.get("weights") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ConfigError(f"{SETTING}: {file}: holds no `weights`; expected a final.ckpt as a run writes it")
    return weights


def _differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What differs in names and shapes, in words; empty if nothing does."""
    shapes = [
        f"{name} is {tuple(found[name].shape)} and not {tuple(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    told = [
        ("they lack", [name for name in expected if name not in found]),
        ("they have too much", [name for name in found if name not in expected]),
        ("of another shape:", shapes),
    ]
    return "; ".join(f"{words} {_some(names)}" for words, names in told if names)


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more
