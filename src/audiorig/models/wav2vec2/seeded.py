"""wav2vec2 folders of random numbers in the published format, for runs without a download."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
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


def make_seeded(settings: SeededConfig, folder: Path) -> dict[str, Any]:
    """Make a wav2vec2 of random weights, with quantizer, in the published format.

    Args:
        settings: what differs from the family's config.json; ``do_normalize`` and
            ``sampling_rate`` go into preprocessor_config.json.
        folder: replaced as a whole once everything is there.

    Returns:
        The manifest, as written to ``folder / manifest.json``.

    Raises:
        ConfigError: if a setting is none of wav2vec2's, or no network can be built of them.
    """
    of_input = {
        name: settings.settings[name] for name in ("do_normalize", "sampling_rate") if name in settings.settings
    }
    model = seeded_model(
        {name: value for name, value in settings.settings.items() if name not in of_input}, settings.seed
    )
    transformers_logging.disable_progress_bar()
    aside = folder.with_name(f".{folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    write_json(aside / PREPROCESSOR, {**INPUT, "do_normalize": True, **of_input})
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


def seeded_model(settings: dict[str, Any], seed: int) -> Wav2Vec2ForPreTraining:
    """A network of random weights that depend on the seed alone.

    Raises:
        ConfigError: as ``make_seeded``.
    """
    known = {name for name in Wav2Vec2Config().to_dict() if not name.startswith("_")}
    for name in settings:
        if name not in known:
            raise ConfigError(f"settings.{name}: wav2vec2 has no such setting{near(name, known)}")
    with random_state_fence():
        torch.manual_seed(seed)
        try:
            return Wav2Vec2ForPreTraining(Wav2Vec2Config(**settings))
        except (ValueError, TypeError, RuntimeError, StrictDataclassError) as error:
            raise ConfigError(f"settings: no wav2vec2 can be built of them: {one_line(error)}") from None
