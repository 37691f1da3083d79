"""A run's tuning settings, applied to an encoder."""

from audiorig.config import TuningConfig
from audiorig.errors import ConfigError
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.tuning.freezing import learning_names
from audiorig.models.tuning.lora import inject_lora, lora_layers


def apply_tuning(encoder: SpeechEncoder, settings: TuningConfig, seed: int) -> None:
    """Put adapters in and say which weights learn, in place.

    An encoder of the same description gets the same names, so that weights which were saved after
    this are loaded into one to which it was applied. Soft prompts are not part of the encoder.

    Args:
        encoder: a plain one.
        seed: names what the adapters begin with.

    Raises:
        ConfigError: if a block, a module or a target that is named does not exist, or prompts are
            asked for and the encoder takes none.
    """
    if settings.num_prompts and not encoder.takes_prompts:
        raise ConfigError(
            f"tuning.num_prompts is {settings.num_prompts}, and a {encoder.family} encoder takes no prompts: "
            "set it to 0, and let adapters (tuning.lora) or blocks (tuning.learn) learn"
        )
    names = learning_names(encoder, settings)
    learning = {id(parameter) for name, parameter in encoder.named_parameters() if name in names}
    if settings.lora.rank:
        inject_lora(encoder, settings.lora, seed)
    adapters = tuple(f"{name}.lora_" for name in lora_layers(encoder))
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(id(parameter) in learning or name.startswith(adapters))


def rate_scales(encoder: SpeechEncoder, settings: TuningConfig, prefix: str = "encoder.") -> dict[str, float]:
    """Factors on the learning rate, by the beginnings of parameters' names; the longest that fits counts.

    The encoder's own weights learn at ``tuning.rate_scale`` times the rate, its adapters at all of it.

    Args:
        encoder: after ``apply_tuning``.
        prefix: what the encoder is called in the model.
    """
    if settings.rate_scale == 1:
        return {}
    return {prefix: settings.rate_scale} | {f"{prefix}{name}.lora_": 1.0 for name in lora_layers(encoder)}
