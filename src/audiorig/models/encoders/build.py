"""Encoders to be tuned: from what somebody trained, or from a description alone."""

from pathlib import Path
from typing import Any

from transformers import WhisperConfig

from audiorig.config import EncoderConfig
from audiorig.errors import DataError
from audiorig.models.encoder import WaveMAEConfig
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.convolutional import NETWORKS, ConvolutionalEncoder
from audiorig.models.encoders.masked_autoencoder import MaskedAutoencoder
from audiorig.models.encoders.published import convolutional, read_settings, whisper
from audiorig.models.encoders.weights import fill, stored_in_file, stored_in_folder
from audiorig.models.encoders.whisper import WhisperEncoder
from audiorig.models.trained import load_trained
from audiorig.randomness import random_state_fence

# Of pre-training: layers that are skipped at random (ranks that skip different ones wait for each other for ever)
# and frames that are hidden; without the latter the network has no vector for them, which would never learn.
WITHOUT = {"layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}


def load_for_tuning(settings: EncoderConfig, folder: Path, checkpoint: Path | None = None) -> SpeechEncoder:
    """The encoder to begin with: float32, on the CPU, in evaluation mode.

    Args:
        settings: what it must be.
        folder: in the Hugging Face format: config.json, preprocessor_config.json, safetensors; of a
            WaveMAE also its run's folder or final.ckpt.
        checkpoint: a bare file of weights, taken instead of the folder's.

    Raises:
        DataError: if it is of another family, or lacks weights.
    """
    if settings.family == "wavemae":
        return _wavemae(folder, checkpoint)
    if not (folder / "config.json").is_file() and (folder / "model" / "config.json").is_file():
        folder = folder / "model"
    config = read_settings(folder, (settings.family,))
    where = checkpoint or folder
    stored = stored_in_folder(folder) if checkpoint is None else stored_in_file(checkpoint)
    if settings.family == "whisper":
        return whisper(folder, config, stored, where, settings.pad_to_30s)
    for name, value in WITHOUT.items():
        setattr(config, name, value)
    return convolutional(folder, config, stored, where)


def _wavemae(folder: Path, checkpoint: Path | None) -> MaskedAutoencoder:
    encoder = MaskedAutoencoder(load_trained(folder))
    if checkpoint is not None:
        fill(encoder.body, stored_in_file(checkpoint), "wavemae", checkpoint)
    return encoder


def build_encoder(description: dict[str, Any]) -> SpeechEncoder:
    """The encoder that a description is of, with random weights and the same names of modules.

    No file is read, and the global random state stays as it is. In evaluation mode.

    Args:
        description: as ``SpeechEncoder.description`` gives it.

    Raises:
        DataError: if its family is not known.
    """
    family, rate, network = description["family"], description["sample_rate_hz"], description["network"]
    with random_state_fence():
        match family:
            case "wavemae":
                return MaskedAutoencoder.of_random_weights(WaveMAEConfig(rate, **network))
            case "whisper":
                config = WhisperConfig.from_dict(network)
                return WhisperEncoder.of_random_weights(config, rate, description["pad_to_30s"])
            case "wav2vec2" | "hubert" | "wavlm":
                config = NETWORKS[family][0].from_dict(network)
                return ConvolutionalEncoder.of_random_weights(config, rate, description["do_normalize"])
    raise DataError(f"an encoder of family {family!r} is not known: {', '.join(NETWORKS)}, whisper or wavemae")
