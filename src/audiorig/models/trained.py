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
from audiorig.models.contract import AudioEncoder
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.models.encoders.convolutional import NETWORKS, ConvolutionalEncoder
from audiorig.models.encoders.published import load_convolutional
from audiorig.models.wavemae import WaveMAE
from audiorig.randomness import random_state_fence

TrainedEncoder = PatchEncoder | ConvolutionalEncoder

FORMS = "a run's folder (results/RUN), its model/ folder or its final.ckpt"
TROUBLES = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError)  # of files that are something else
CONVOLUTIONAL_SETTINGS = (
    *("conv_", "feat_extract_", "num_conv_pos", "hidden_size", "hidden_act", "num_hidden", "num_attention"),
    *("intermediate_size", "layer_norm_eps", "do_stable", "feat_proj_layer_norm", "num_buckets", "max_bucket"),
)
ENCODER_SETTINGS = ("width", "depth", "stride", "kernel", "wide_kernel", "encoder_mode", "remove_level")


def load_encoder(path: Path) -> AudioEncoder:
    """The encoder of a model folder, of whichever family: on the CPU, in evaluation mode.

    Args:
        path: a ``model/`` folder, a run's folder that has one, or a published model's folder.

    Raises:
        DataError: if there is no model, or one of a family that is not known here.
    """
    folder = path if (path / "config.json").is_file() else path / "model"
    match _family(folder):
        case WaveMAEConfig.model_type:
            return WaveMAE.from_pretrained(folder).eval()  # all of it: untrained ones begin as it began
        case family if family in NETWORKS:
            return load_convolutional(folder)
        case other:
            known = f"{WaveMAEConfig.model_type}, {', '.join(NETWORKS)}"
            raise DataError(f"{folder}: its model_type is {other!r}, expected {known}")


def load_any(path: Path) -> TrainedEncoder:
    """The encoder of a trained run, of whichever family, as ``load_trained`` has it.

    Args:
        path: a run's folder, its ``model/`` folder or, of WaveMAE, its ``final.ckpt``; that of a
            wav2vec2 does not say how its input is made, so the ``model/`` folder beside it is taken.

    Raises:
        DataError: if there is no model, or not one that can be read.
    """
    folders = [path.with_name("model")] if path.is_file() else [path, path / "model"]
    for folder in folders:
        if (folder / "config.json").is_file() and _family(folder) in NETWORKS:
            return load_convolutional(folder)
    return load_trained(path)


def _family(folder: Path) -> str:
    """The model_type of a Hugging Face folder.

    Raises:
        DataError: if it is none.
    """
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except TROUBLES as error:
        raise DataError(f"{folder}: no folder of a model ({_reason(error)}); train the run first") from None


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


def weights_digest(encoder: TrainedEncoder) -> str:
    """SHA-256 over the encoder's tensors: which training this is, whichever form it was loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def config_digest(encoder: TrainedEncoder) -> str:
    """SHA-256 over the settings that decide what an encoder does with a waveform."""
    if isinstance(encoder, PatchEncoder):
        settings = {name: getattr(encoder.config, name) for name in ("sample_rate_hz", "spectrogram", "model")}
        settings["model"] = {name: value for name, value in settings["model"].items() if name in ENCODER_SETTINGS}
    else:
        every = encoder.config.to_dict()
        settings = {name: value for name, value in every.items() if name.startswith(CONVOLUTIONAL_SETTINGS)}
        settings |= {"sample_rate_hz": encoder.sample_rate_hz, "do_normalize": encoder.do_normalize}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
