"""Folders in the Hugging Face format, read: settings, how the input is made, and the encoder alone."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import WhisperConfig
from transformers.utils import logging as transformers_logging

from audiorig.data.pretrained import MANIFEST, verify
from audiorig.errors import DataError
from audiorig.models.encoders.convolutional import NETWORKS, ConvolutionalEncoder
from audiorig.models.encoders.weights import Stored, fill, stored_in_folder
from audiorig.models.encoders.whisper import HOP, WINDOW, WhisperEncoder
from audiorig.models.wav2vec2.checkpoint import CONFIG, PREPROCESSOR, one_line, read_object, read_preprocessor
from audiorig.randomness import random_state_fence

MASK_VECTOR = "masked_spec_embed"
WHISPER_INPUT: dict[str, Any] = {
    **{"sampling_rate": 16000, "n_fft": WINDOW, "hop_length": HOP, "dither": 0.0},
    "do_normalize": False,
}


def load_convolutional(folder: Path) -> ConvolutionalEncoder:
    """A wav2vec2, HuBERT or WavLM: of a pre-trained model, a fine-tuned one, or the body alone.

    Returns:
        The encoder: float32, on the CPU, in evaluation mode.

    Raises:
        DataError: if it is none of these families, or lacks weights.
    """
    return convolutional(folder, read_settings(folder, tuple(NETWORKS)), stored_in_folder(folder), folder)


def convolutional(folder: Path, config: Any, stored: Stored, where: Path) -> ConvolutionalEncoder:
    """The network of ``config``, with stored weights, its input as the folder's preprocessor says."""
    preprocessor = read_preprocessor(folder)
    with random_state_fence():
        encoder = ConvolutionalEncoder.of_random_weights(
            config, preprocessor["sampling_rate"], preprocessor["do_normalize"]
        )
    fill(encoder.body, stored, encoder.family, where, {MASK_VECTOR})  # nothing is hidden from an encoder
    return encoder


def whisper(folder: Path, config: WhisperConfig, stored: Stored, where: Path, pad_to_30s: bool) -> WhisperEncoder:
    """Likewise of a Whisper, its encoder alone.

    Raises:
        DataError: if its mel spectrogram is another than that of the published models.
    """
    path = folder / PREPROCESSOR
    preprocessor = read_object(path)
    for name, value in {**WHISPER_INPUT, "feature_size": config.num_mel_bins}.items():
        if (found := preprocessor.get(name, value)) != value:
            raise DataError(f"{path}: {name} is {found!r}, expected {value!r} as in published models")
    with random_state_fence():
        encoder = WhisperEncoder.of_random_weights(config, WHISPER_INPUT["sampling_rate"], pad_to_30s)
    fill(encoder.body, stored, encoder.family, where)
    return encoder


def read_settings(folder: Path, families: tuple[str, ...]) -> Any:
    """config.json of a folder that is one of some families; its files are compared with its manifest.

    Raises:
        DataError: if there is none, or one of another family.
    """
    transformers_logging.disable_progress_bar()
    if (folder / MANIFEST).is_file():
        verify(folder)
    path = folder / CONFIG
    content = read_object(path)
    if (kind := content.get("model_type")) not in families:
        raise DataError(f"{path}: model_type is {kind!r}, expected {' or '.join(map(repr, families))}")
    try:
        config = (WhisperConfig if kind == "whisper" else NETWORKS[kind][0]).from_dict(content)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise DataError(f"{path}: no {kind} can be built of it: {one_line(error)}") from None
    if getattr(config, "add_adapter", False):
        raise DataError(f"{path}: add_adapter is true: an adapter drops frames; choose a checkpoint without")
    if getattr(config, "conv_pos_batch_norm", False):
        raise DataError(
            f"{path}: conv_pos_batch_norm is true: an item's features would depend on its batch; choose a checkpoint "
            "without"
        )
    return config
