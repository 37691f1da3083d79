"""A trained encoder, from whichever of its forms somebody holds."""

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from audiorig.errors import DataError
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.randomness import random_state_fence

FORMS = "a run's folder (results/RUN), its model/ folder or its final.ckpt"
TROUBLES = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError)  # of files that are something else
ENCODER_SETTINGS = ("width", "depth", "stride", "kernel", "wide_kernel", "encoder_mode", "remove_level")


def load_trained(path: Path) -> PatchEncoder:
    """The encoder of a trained model: on the CPU, in evaluation mode, without what only training needs.

    Args:
        path: a run's folder, its ``model/`` folder, or its ``final.ckpt``.

    Raises:
        DataError: if there is no model, or not one that can be read.
    """
    for candidate in (path, path / "model", path / "final.ckpt"):
        if candidate.is_file():
            return _from_checkpoint(candidate)
        if (candidate / "config.json").is_file():
            return _from_folder(candidate)
    found = "a folder without a model" if path.is_dir() else "nothing"
    raise DataError(
        f"{path}: found {found}, expected {FORMS}; train the run first, e.g. snakemake results/wavemae/final.ckpt"
    )


def _from_folder(folder: Path) -> PatchEncoder:
    config = folder / "config.json"
    try:
        settings: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        if (kind := settings.get("model_type")) != WaveMAEConfig.model_type:
            raise ValueError(f"model_type is {kind!r}, expected {WaveMAEConfig.model_type!r}")
        weights = load_file(folder / "model.safetensors")
        return _build(settings["sample_rate_hz"], settings["spectrogram"], settings["model"], weights)
    except (*TROUBLES, SafetensorError) as error:
        raise DataError(f"{folder}: no model that can be loaded ({_reason(error)}); expected {FORMS}") from None


def _from_checkpoint(path: Path) -> PatchEncoder:
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        settings = content["config"]
        rate = settings["data"]["sample_rate_hz"]
        return _build(rate, settings["spectrogram"], settings["model"], content["weights"])
    except (*TROUBLES, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: no final.ckpt of a WaveMAE run ({_reason(error)}); expected {FORMS}") from None


def _build(
    rate_hz: int, spectrogram: dict[str, Any], shape: dict[str, Any], weights: Mapping[str, torch.Tensor]
) -> PatchEncoder:
    # from_pretrained would fill what is missing with random numbers, and say so in a table only.
    with random_state_fence():
        encoder = PatchEncoder(WaveMAEConfig(rate_hz, spectrogram, shape))
    names = list(encoder.state_dict())
    if missing := [name for name in names if name not in weights]:
        raise ValueError(f"lacks the weights {', '.join(missing[:3])}")
    encoder.load_state_dict({name: weights[name] for name in names})
    return encoder.eval()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def weights_digest(encoder: PatchEncoder) -> str:
    """SHA-256 over the encoder's tensors: which training this is, whichever form it was loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def config_digest(encoder: PatchEncoder) -> str:
    """SHA-256 over the settings that decide what an encoder does with a waveform."""
    settings = {name: getattr(encoder.config, name) for name in ("sample_rate_hz", "spectrogram", "model")}
    settings["model"] = {name: value for name, value in settings["model"].items() if name in ENCODER_SETTINGS}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
