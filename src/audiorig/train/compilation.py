"""Compiled blocks: what `train.compile` turns on.

The blocks alone are compiled, not the model: its spectrum is complex and the number of hidden
latents differs between batches, which would compile every batch anew. Blocks of equal shape share
one compilation.
"""

import os
import shutil
import sys
from contextlib import AbstractContextManager

import torch
from torch import nn

from audiorig.errors import ConfigError
from audiorig.models.convnext import ConvNeXtBlock
from audiorig.models.encoder import PatchEncoder


def compile_blocks(model: nn.Module) -> int:
    """Compile the ConvNeXt blocks of a model in place, and give its batches one shape.

    Names of weights stay. Compiling itself happens in the first step.

    Returns:
        The number of blocks.

    Raises:
        ConfigError: if this machine cannot compile.
    """
    _require_compiler(next(model.parameters()).device)
    blocks = [module for module in model.modules() if isinstance(module, ConvNeXtBlock)]
    for block in blocks:
        block.compile(dynamic=False, fullgraph=True)
    if isinstance(model, PatchEncoder):
        model.has_fixed_shapes = True
    return len(blocks)


def uncompiled() -> AbstractContextManager[object]:
    """A context in which compiled blocks run as they are written.

    For evaluation: without gradients and with lengths of its own it would compile again, and again.
    """
    context: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return context


def _require_compiler(device: torch.device) -> None:
    """Compile something small, so that what is missing is found before the data is opened."""
    program = compiler_of(device)
    if shutil.which(program.split()[0]) is None:
        raise ConfigError(
            f"train.compile: true needs a C++ compiler, and {program!r} is not found; "
            "install one (g++), name it in the environment variable CXX, or set train.compile: false"
        )
    probe = torch.compile(lambda numbers: (numbers + 1).relu(), dynamic=False)
    try:
        probe(torch.zeros(64, device=device))
    except RuntimeError as error:  # every error of the compiler is one
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if "error:" in line), lines[:2][-1])
        raise ConfigError(
            f"train.compile: true needs a working C++ compiler, and {program!r} failed: {reason[:300]}; "
            "repair it (it also needs the headers of Python), or set train.compile: false"
        ) from error


def compiler_of(device: torch.device) -> str:
    """The command that PyTorch calls: for a GPU, Triton's launcher is C."""
    if device.type == "cuda":
        return os.environ.get("CC") or next(filter(shutil.which, ("gcc", "clang")), "gcc")
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
