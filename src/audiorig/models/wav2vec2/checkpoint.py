"""Published wav2vec2 folders, read: settings, weights, and a network for pre-training that goes on."""

from collections.abc import Container
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import PreTrainedModel, Wav2Vec2Config, Wav2Vec2ForPreTraining
from transformers.utils import logging as transformers_logging

from audiorig.config import Wav2Vec2TrainingConfig
from audiorig.data.pretrained import MANIFEST, verify
from audiorig.errors import DataError
from audiorig.files import read_json
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
Network = TypeVar("Network", bound=PreTrainedModel)
DROPOUTS = (
    *("hidden_dropout", "activation_dropout", "attention_dropout"),
    *("feat_proj_dropout", "feat_quantizer_dropout", "final_dropout"),
)


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
        may_lack = {*QUANTIZER, "wav2vec2.masked_spec_embed"} if settings.reinit_quantizer else set()
        model = load_network(Wav2Vec2Pretrainer, folder, config, may_lack, settings)
        if is_new:
            _renew_quantizer(model)
    model.preprocessor, model.published, model.is_quantizer_new = preprocessor, published, is_new
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
    content = read_object(folder / CONFIG)
    if (kind := content.get("model_type")) != Wav2Vec2Config.model_type:
        raise DataError(
            f"{folder / CONFIG}: model_type is {kind!r}, expected 'wav2vec2': other families have another task or "
            "another network; choose a wav2vec2 checkpoint"
        )
    try:
        config = Wav2Vec2Config.from_dict(content)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise DataError(f"{folder / CONFIG}: no wav2vec2 can be built of it: {one_line(error)}") from None
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
    content = read_object(folder / PREPROCESSOR)
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
            raise DataError(f"{path}: cannot be read as safetensors: {one_line(error)}") from None
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


def load_network(
    kind: type[Network], folder: Path, config: Wav2Vec2Config, may_lack: Container[str], *arguments: Any
) -> Network:
    """A network with the weights of a folder, float32, all of them but those that may be lacking.

    Raises:
        DataError: if weights are missing or of other shapes than config.json says.
    """
    try:
        loaded: Any = kind.from_pretrained(
            folder,
            *arguments,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(f"{folder}: the weights do not belong to {CONFIG}: {one_line(error)}") from None
    network: Network = loaded[0]
    if missing := sorted(name for name in loaded[1]["missing_keys"] if name not in may_lack):
        raise DataError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them: expected those of {CONFIG}"
        )
    return network


def _renew_quantizer(model: Wav2Vec2Pretrainer) -> None:
    """All seven tensors anew, as transformers draws them: half of an old quantizer fits nothing."""
    fresh = Wav2Vec2ForPreTraining(model.config).state_dict()
    model.load_state_dict({name: fresh[name] for name in QUANTIZER}, strict=False)


def read_object(path: Path) -> dict[str, Any]:
    """One of a published folder's JSON files.

    Raises:
        DataError: if it is none.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({one_line(error)}): expected the folder of a published model, with {path.name}"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: found a {type(content).__name__}, expected an object of settings")
    return content


def one_line(error: Exception) -> str:
    """What went wrong, for a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
