"""Where a training computes and in what, or why this machine cannot."""

from typing import Literal

import torch

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError
from audiorig.train import ranks

Kind = Literal["cpu", "cuda", "mps"]


def require_machine(settings: TrainConfig) -> None:
    """Check what is asked for against what is there, before anything is read.

    Raises:
        ConfigError: if this machine cannot train so.
    """
    precision(settings)
    if device_kind(settings) != "mps":
        return
    if ranks.world_size() > 1:
        raise ConfigError(
            f"train.device: mps is one GPU, and {ranks.world_size()} processes were started; start one, or set cpu"
        )
    if settings.compile:
        raise ConfigError("train.compile: true and train.device: mps: blocks are compiled for cpu and cuda alone")


def device_kind(settings: TrainConfig) -> Kind:
    """The kind of device that this machine trains on.

    ``auto`` takes no GPU of Apple's: complex spectra and sums in float64 are missing there, so a
    run that works on any other machine would end in the middle.

    Raises:
        ConfigError: if the one that is asked for is not there.
    """
    kind = settings.device
    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "train.device: cuda needs a GPU, and this machine has none that PyTorch can use; set it to auto or cpu, "
            "or run on a node with a GPU"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            "train.device: mps is the GPU of Apple's chips, and PyTorch finds none here; set it to auto, cpu or cuda"
        )
    return kind


def precision(settings: TrainConfig) -> Literal["fp32", "bf16", "fp16"]:
    """What the model computes in on this machine.

    Raises:
        ConfigError: if it cannot: fp16 without a GPU, say, where the Trainer would take it and compute in fp32.
    """
    kind, asked = device_kind(settings), settings.precision
    if asked == "auto":
        has_bf16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if has_bf16 else "fp32"
    if asked != "fp32" and kind == "mps":
        raise ConfigError(
            f"train.precision: {asked} and train.device: mps: Apple's GPUs train in fp32 here; set precision to auto"
        )
    if asked == "fp16" and kind == "cpu":
        raise ConfigError(
            "train.precision: fp16 needs a GPU, and this machine has none that PyTorch can use; "
            "set it to auto or fp32, or run on a node with a GPU"
        )
    if asked == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("train.precision: bf16 and this machine's GPU has no bfloat16; set it to auto, fp16 or fp32")
    return asked
