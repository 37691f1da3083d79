"""What gives the network its shape, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

from audiorig.config.eda import EdaLossConfig, MonitorConfig
from audiorig.config.eda_model import EdaModelConfig


class Audio2EdaConfig(PreTrainedConfig):
    """Everything that gives a network its shape; the sections as in the YAML.

    Args:
        model, loss, monitor: sections.
        num_inputs: C, coefficients of a frame.
        frames_per_step: R.
        rate_hz: steps a second.
        longest_sec: how far the training side's songs go; what is learnt of later times is nothing.
        mfcc_mean, mfcc_sd: (C,) what coefficients are standardised by.
        preprocessing: sections ``audio`` and ``eda``, and ``trace_scale``: what made its input and its target.
        seed: of the first weights.
    """

    model_type = "audiorig-audio2eda"

    def __init__(
        self,
        model: Mapping[str, Any] | None = None,
        loss: Mapping[str, Any] | None = None,
        monitor: Mapping[str, Any] | None = None,
        num_inputs: int = 40,
        frames_per_step: int = 25,
        rate_hz: float = 4.0,
        longest_sec: float | None = None,
        mfcc_mean: Sequence[float] = (),
        mfcc_sd: Sequence[float] = (),
        preprocessing: Mapping[str, Any] | None = None,
        seed: int = 0,
        **other: Any,
    ) -> None:
        self.model = EdaModelConfig.model_validate(model or {}).model_dump(mode="json")
        self.loss = EdaLossConfig.model_validate(loss or {}).model_dump(mode="json")
        self.monitor = MonitorConfig.model_validate(monitor or {}).model_dump(mode="json")
        self.num_inputs = num_inputs
        self.frames_per_step = frames_per_step
        self.rate_hz = rate_hz
        self.longest_sec = longest_sec
        self.mfcc_mean = list(mfcc_mean) or [0.0] * num_inputs
        self.mfcc_sd = list(mfcc_sd) or [1.0] * num_inputs
        self.preprocessing = dict(preprocessing or {})
        self.seed = seed
        super().__init__(**other)


@dataclass
class Audio2EdaOutput(ModelOutput):
    """What the network says of B songs.

    Attributes:
        loss: scalar; None without traces.
        parts: name -> (sum, count), detached: the loss, and what is watched, each a sum over traces.
        predicted: float32 (B, M), one trace for all listeners of a song; 0 in padding.
    """

    loss: Tensor | None = None
    parts: dict[str, tuple[Tensor, Tensor]] | None = None
    predicted: Tensor | None = None
