"""Published wav2vec2 folders: read for pre-training that goes on, or made of random numbers by a rule."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
from transformers.utils import logging as transformers_logging

from audiorig.config import SeededConfig, Wav2Vec2TrainingConfig
from audiorig.config_checks import near
from audiorig.data.pretrained import MANIFEST, verify
from audiorig.errors import ConfigError, DataError
from audiorig.files import file_digest, flush_to_disk, read_json, write_json
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer
from audiorig.randomness import random_state_fence

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
# Only pre-training has these; transformers would fill in random numbers, with no more than a warning.
QUANTIZER = (
    "quantizer.codevectors",
    "quantizer.weight_proj.weight",
    "quantizer.weight_proj.bias",
    "project_hid.weight",
    "project_hid.bias",
    "project_q.weight",
    "project_q.bias",
)
DROPOUTS = (
    *("hidden_dropout", "activation_dropout", "attention_dropout"),
    *("feat_proj_dropout", "feat_quantizer_dropout", "final_dropout"),
)
# What published preprocessors say, apart from do_normalize.
INPUT = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
    "sampling_rate": 16000,
}


def load_base(
    folder: Path, settings: Wav2Vec2TrainingConfig, sample_rate_hz: int = 16000, seed: int = 0
) -> Wav2Vec2Pretrainer:
    """The checkpoint that pre-training goes on from: float32, on the CPU, in training mode.

    Args:
        folder: config.json, model.safetensors and preprocessor_config.json; checked against its
            manifest.json if it has one.
        settings: masks, dropout, and whether a quantizer may be new.
        sample_rate_hz: of the crops that it will hear.
        seed: of a new quantizer.

    Raises:
        DataError: if it is no wav2vec2, hears another rate, or lacks weights.
    """
    transformers_logging.disable_progress_bar()  # one line per tensor, in a log file
    if (folder / MANIFEST).is_file():
        verify(folder)
    preprocessor = read_preprocessor(folder, sample_rate_hz)
    config = read_config(folder)
    is_new = _lacks_quantizer(folder, settings)
    published = prepare(config, settings)
    with random_state_fence():
        torch.manual_seed(seed)
        model = _loaded(folder, config, settings)
        if is_new:
            _renew_quantizer(model)
    model.preprocessor, model.published = preprocessor, published
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if settings.feature_grad_scale == 0:
        model.freeze_feature_encoder()
    return model.train()


def prepare(config: Wav2Vec2Config, settings: Wav2Vec2TrainingConfig) -> dict[str, Any]:
    """Change a published config into one for pre-training.

    Layerdrop is off: ranks that skip different layers wait for each other for ever. The masks of
    pre-training hide half of an item; whoever fine-tunes the result wants the published ones.

    Returns:
        What was changed, as it was.
    """
    wanted: dict[str, Any] = {
        "layerdrop": 0.0,
        "mask_time_prob": settings.mask_time_prob,
        "mask_time_length": settings.mask_time_length,
        "mask_time_min_masks": settings.mask_time_min_masks,
        "num_negatives": settings.num_negatives,
        "diversity_loss_weight": settings.diversity_weight,
    }
    if settings.dropout is not None:
        wanted |= dict.fromkeys(DROPOUTS, settings.dropout)
    before = {name: getattr(config, name) for name in wanted}
    for name, value in wanted.items():
        setattr(config, name, value)
    kept = {name: before[name] for name in before if name.startswith(("mask_", *DROPOUTS, "layerdrop"))}
    if not kept["mask_time_prob"]:
        del kept["mask_time_prob"]  # of 0, transformers leaves the learnt mask vector out
    return kept


def read_config(folder: Path) -> Wav2Vec2Config:
    """Its settings, if it is a wav2vec2.

    Raises:
        DataError: otherwise.
    """
    content = _read(folder / CONFIG)
    if (kind := content.get("model_type")) != Wav2Vec2Config.model_type:
        raise DataError(
            f"{folder / CONFIG}: model_type is {kind!r}, expected 'wav2vec2': other families have another task or "
            "another network; choose a wav2vec2 checkpoint"
        )
    try:
        config = Wav2Vec2Config.from_dict(content)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise DataError(f"{folder / CONFIG}: no wav2vec2 can be built of it: {_one_line(error)}") from None
    if config.add_adapter:
        raise DataError(f"{folder / CONFIG}: add_adapter is true: an adapter drops frames; choose a checkpoint without")
    return config


def read_preprocessor(folder: Path, sample_rate_hz: int | None = None) -> dict[str, Any]:
    """How the checkpoint wants its input.

    Args:
        folder: of the checkpoint.
        sample_rate_hz: what it will be given; not compared if not given.

    Raises:
        DataError: if it does not say, or wants another rate.
    """
    content = _read(folder / PREPROCESSOR)
    for name, kind in (("sampling_rate", int), ("do_normalize", bool)):
        if not isinstance(content.get(name), kind):
            raise DataError(
                f"{folder / PREPROCESSOR}: {name} is {content.get(name)!r}, expected a value as in published folders"
            )
    if sample_rate_hz is not None and content["sampling_rate"] != sample_rate_hz:
        raise DataError(
            f"{folder / PREPROCESSOR}: the model hears {content['sampling_rate']} Hz, the run reads {sample_rate_hz} "
            f"Hz: set data.sample_rate_hz to {content['sampling_rate']}"
        )
    return content


def weight_names(folder: Path) -> set[str]:
    """Names of the tensors, of one file or of several.

    Raises:
        DataError: if there are no safetensors weights; pickles are never read.
    """
    names: set[str] = set()
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise DataError(f"{folder}: {WEIGHTS} is missing: expected the folder of a published model, with safetensors")
    for path in files:
        try:
            with safe_open(path, framework="pt") as weights:
                names.update(weights.keys())
        except Exception as error:  # of the Rust library, without a common ancestor
            raise DataError(f"{path}: cannot be read as safetensors: {_one_line(error)}") from None
    return names


def _lacks_quantizer(folder: Path, settings: Wav2Vec2TrainingConfig) -> bool:
    names = weight_names(folder)
    missing = [name for name in QUANTIZER if name not in names]
    if missing and not settings.reinit_quantizer:
        raise DataError(
            f"{folder}: the checkpoint has no {', '.join(missing)}: pre-training cannot go on from it (fine-tuned "
            "models are published without them); choose the pre-trained checkpoint, or set model.reinit_quantizer "
            "to true to begin with a new quantizer"
        )
    return bool(missing)


def _loaded(folder: Path, config: Wav2Vec2Config, settings: Wav2Vec2TrainingConfig) -> Wav2Vec2Pretrainer:
    try:
        loaded: Any = Wav2Vec2Pretrainer.from_pretrained(
            folder,
            settings,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(f"{folder}: the weights do not belong to {CONFIG}: {_one_line(error)}") from None
    model, report = loaded
    allowed = {*QUANTIZER, "wav2vec2.masked_spec_embed"} if settings.reinit_quantizer else set()
    if missing := sorted(set(report["missing_keys"]) - allowed):
        raise DataError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them: expected those of {CONFIG}"
        )
    pretrainer: Wav2Vec2Pretrainer = model
    return pretrainer


def _renew_quantizer(model: Wav2Vec2Pretrainer) -> None:
    """All seven tensors anew, as transformers draws them: half of an old quantizer fits nothing."""
    fresh = Wav2Vec2ForPreTraining(model.config).state_dict()
    model.load_state_dict({name: fresh[name] for name in QUANTIZER}, strict=False)


# ------------------------------------------------------------------- seeded


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
            raise ConfigError(f"settings: no wav2vec2 can be built of them: {_one_line(error)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({_one_line(error)}): expected the folder of a published model, with {path.name}"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: found a {type(content).__name__}, expected an object of settings")
    return content


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
