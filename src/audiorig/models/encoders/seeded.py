"""Folders of random numbers in the published formats, for runs without a download."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2ForPreTraining,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from audiorig.config import SeededConfig
from audiorig.config_checks import near
from audiorig.data.pretrained import MANIFEST
from audiorig.errors import ConfigError
from audiorig.files import file_digest, flush_to_disk, write_json
from audiorig.models.wav2vec2.checkpoint import PREPROCESSOR, one_line
from audiorig.randomness import random_state_fence

# What published preprocessors say, apart from do_normalize.
INPUT = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
    "sampling_rate": 16000,
}
# As each family is published before anybody fine-tunes it: with its quantizer, alone, or with its decoder.
PUBLISHED: dict[str, tuple[type[Any], type[Any]]] = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForPreTraining),
    "hubert": (HubertConfig, HubertModel),
    "wavlm": (WavLMConfig, WavLMModel),
    "whisper": (WhisperConfig, WhisperForConditionalGeneration),
}
OF_INPUT = ("do_normalize", "sampling_rate")
OF_WHISPERS_INPUT = ("chunk_length",)


def make_seeded(settings: SeededConfig, folder: Path) -> dict[str, Any]:
    """Make a network of random weights in the published format.

    Args:
        settings: what differs from the family's config.json; ``do_normalize`` and
            ``sampling_rate`` (of Whisper: ``chunk_length``) go into preprocessor_config.json.
        folder: replaced as a whole once everything is there.

    Returns:
        The manifest, as written to ``folder / manifest.json``.

    Raises:
        ConfigError: if a setting is none of the family's, or no network can be built of them.
    """
    names = OF_WHISPERS_INPUT if settings.seeded == "whisper" else OF_INPUT
    of_input = {name: settings.settings[name] for name in names if name in settings.settings}
    of_network = {name: value for name, value in settings.settings.items() if name not in of_input}
    model = seeded_model(settings.seeded, of_network, settings.seed)
    transformers_logging.disable_progress_bar()
    aside = folder.with_name(f".{folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    write_json(aside / PREPROCESSOR, _preprocessor(settings.seeded, model, of_input))
    paths = sorted(aside.iterdir())
    for path in paths:
        flush_to_disk(path)
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    manifest = {
        "hub_id": f"seeded/{settings.seeded}",
        "revision": hashlib.sha1(text.encode()).hexdigest(),
        "license": settings.license,
        "seeded": True,
        "files": [{"path": p.name, "size": p.stat().st_size, "sha256": file_digest(p)} for p in paths],
    }
    write_json(aside / MANIFEST, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(aside, folder)
    flush_to_disk(folder.parent)
    return manifest


def _preprocessor(family: str, model: PreTrainedModel, of_input: dict[str, Any]) -> dict[str, Any]:
    if family != "whisper":
        return {**INPUT, "do_normalize": True, **of_input}
    found: dict[str, Any] = WhisperFeatureExtractor(model.config.num_mel_bins, **of_input).to_dict()
    return found


def seeded_model(family: str, settings: dict[str, Any], seed: int) -> PreTrainedModel:
    """A network of random weights that depend on the seed alone.

    Raises:
        ConfigError: as ``make_seeded``.
    """
    config_class, model_class = PUBLISHED[family]
    known = {name for name in config_class().to_dict() if not name.startswith("_")}
    for name in settings:
        if name not in known:
            raise ConfigError(f"settings.{name}: {family} has no such setting{near(name, known)}")
    with random_state_fence():
        torch.manual_seed(seed)
        try:
            model: PreTrainedModel = model_class(config_class(**settings))
        except (ValueError, TypeError, RuntimeError, AssertionError, StrictDataclassError) as error:
            raise ConfigError(f"settings: no {family} can be built of them: {one_line(error)}") from None
    return model
