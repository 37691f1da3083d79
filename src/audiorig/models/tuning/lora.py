"""Low-rank adapters (Hu et al., "LoRA", 2021) in an encoder, by PEFT, and in PEFT's own files.

They are put into the encoder itself: it stays what it was, with the same attributes, and only the
names of the weights that got one change (``q_proj.weight`` is ``q_proj.base_layer.weight``).
``merge`` gives the plain names back.
"""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audiorig.config import LoraConfig
from audiorig.errors import ConfigError, DataError
from audiorig.files import write_json, written_aside
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.tuning.freezing import check_blocks, near_matches, place_of
from audiorig.randomness import keyed_generator, random_state_fence

ADAPTER = "default"
PREFIX = "base_model.model."  # of the names in PEFT's files
WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def inject_lora(encoder: SpeechEncoder, settings: LoraConfig, seed: int) -> None:
    """Put adapters into an encoder, in place. Only they learn afterwards.

    Nothing changes at first: one of their two factors, B, is zero. The other one is drawn from the
    seed and the module's name, uniformly, as PEFT draws it.

    Raises:
        ConfigError: if a target matches no module, or a block does not exist.
    """
    config = PeftLoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # PEFT divides by the rank: no integer is needed
        lora_dropout=settings.dropout,
        target_modules=targeted_modules(encoder, settings),
    )
    _inject(encoder, config)
    for name, layer in lora_layers(encoder).items():
        weight = layer.lora_A[ADAPTER].weight
        bound = weight.shape[1] ** -0.5
        drawn = keyed_generator("lora", seed, name).uniform(-bound, bound, tuple(weight.shape))
        with torch.no_grad():
            weight.copy_(torch.from_numpy(drawn))


def targeted_modules(encoder: SpeechEncoder, settings: LoraConfig) -> list[str]:
    """Names of the modules of a plain encoder that get an adapter.

    Raises:
        ConfigError: if a target matches no linear map, or a block does not exist.
    """
    check_blocks(settings.layers, encoder, "tuning.lora.layers")
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    in_blocks = [name for name in linear if not settings.layers or place_of(name, encoder) in settings.layers]
    found: set[str] = set()
    for target in settings.targets or encoder.lora_targets:
        matches = {name for name in in_blocks if f".{name}".endswith(f".{target}")}
        # Without targets of its own, a setting of blocks asks for what of the known ones lies in them.
        if not matches and (settings.targets or not settings.layers):
            where = f" in blocks {', '.join(map(str, settings.layers))}" if settings.layers else ""
            ends = sorted({name.rsplit(".", 1)[-1] for name in in_blocks})
            raise ConfigError(
                f"tuning.lora.targets names {target!r}, and no linear map of this {encoder.family} encoder{where} ends "
                f"so{near_matches(target, in_blocks)}; there are {', '.join(ends)}"
            )
        found |= matches
    return sorted(found)


def lora_layers(encoder: nn.Module) -> dict[str, Any]:
    """Modules with an adapter (PEFT's ``LoraLayer``), by their name in the encoder."""
    return {name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)}


def merge(encoder: SpeechEncoder) -> SpeechEncoder:
    """Fold the adapters into the weights, in place: a plain encoder with the plain names.

    Returns:
        The same encoder.

    Raises:
        DataError: if an adapter holds a number that is not finite.
    """
    for name, layer in lora_layers(encoder).items():
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise DataError(f"the adapter of {name} holds a number that is not finite: it cannot be merged") from error
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, layer.get_base_layer())
    if hasattr(encoder, "peft_config"):
        del encoder.peft_config
    return encoder


def merged_state(encoder: SpeechEncoder) -> dict[str, Tensor]:
    """The weights that ``merge`` would leave, by their plain names; the encoder stays as it is."""
    layers = lora_layers(encoder)
    state = encoder.state_dict()
    plain = {
        name.replace(".base_layer.", "."): value
        for name, value in state.items()
        if not any(name.startswith(f"{layer}.lora_") for layer in layers)
    }
    for name, layer in layers.items():
        plain[f"{name}.weight"] = plain[f"{name}.weight"] + layer.get_delta_weight(ADAPTER).detach()
    return plain


def save_adapter(encoder: SpeechEncoder, folder: Path, base: str | None = None) -> None:
    """Write the adapters as PEFT does: ``adapter_model.safetensors`` and ``adapter_config.json``.

    Args:
        base: what they were trained on, for whoever reads the file (``base_model_name_or_path``).
    """
    state = get_peft_model_state_dict(encoder, adapter_name=ADAPTER, save_embedding_layers=False)
    tensors = {f"{PREFIX}{name}": value.detach().cpu().contiguous() for name, value in state.items()}
    config = vars(encoder)["peft_config"][ADAPTER]
    content = {name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}
    with written_aside(folder / WEIGHTS) as aside:
        save_file(tensors, aside, metadata={"format": "pt"})
    write_json(folder / SETTINGS, content | {"inference_mode": True, "base_model_name_or_path": base})


def load_adapter(encoder: SpeechEncoder, folder: Path) -> None:
    """Put saved adapters into an encoder, in place: into a plain one, or into those that it has.

    Raises:
        DataError: if a file is missing or unreadable, or the adapters are of another encoder.
    """
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(f"{folder} holds no {name}: expected the folder of a LoRA adapter, as PEFT saves it")
    try:
        config = PeftLoraConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS)
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise DataError(f"{folder} holds no LoRA adapter that PEFT can read: {error}") from error
    if not lora_layers(encoder):
        config.inference_mode = False
        try:
            _inject(encoder, config)
        except ValueError as error:
            raise DataError(f"{folder}: its adapters do not fit this {encoder.family} encoder: {error}") from error
    _check_names(encoder, tensors, folder)
    set_peft_model_state_dict(encoder, tensors, adapter_name=ADAPTER)


def _inject(encoder: SpeechEncoder, config: PeftLoraConfig) -> None:
    with random_state_fence():  # PEFT draws from the global state
        inject_adapter_in_model(config, encoder, adapter_name=ADAPTER)


def _check_names(encoder: SpeechEncoder, tensors: dict[str, Tensor], folder: Path) -> None:
    """An adapter in part would go unseen: what is missing would stay as it was drawn."""
    state = get_peft_model_state_dict(encoder, adapter_name=ADAPTER, save_embedding_layers=False)
    expected = {f"{PREFIX}{name}": tuple(value.shape) for name, value in state.items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        first = wrong[0]
        raise DataError(
            f"{folder / WEIGHTS}: {len(wrong)} of its weights do not fit this {encoder.family} encoder, {first} among "
            f"them: expected {expected.get(first, 'none')}, found {found.get(first, 'none')}; "
            "load it into the encoder that it was trained on"
        )
