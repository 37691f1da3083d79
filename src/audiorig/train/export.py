"""What a run leaves for others: one file, a Hugging Face folder, the log."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from audiorig.files import write_json, written_aside


def export(
    model: PreTrainedModel,
    history: list[dict[str, Any]],
    *,
    final: Path,
    model_folder: Path,
    history_file: Path,
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
) -> None:
    """Write all of it, each whole or not at all.

    ``final`` loads with ``weights_only=True`` and holds ``weights``, ``config``, ``provenance``.
    """
    write_json(history_file, history)
    aside = model_folder.with_name(f".{model_folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    (aside / "README.md").write_text(card, encoding="utf-8")
    readable = 0o666 & ~_umask()
    for path in aside.iterdir():
        path.chmod(readable)  # safetensors are written for their owner alone
    shutil.rmtree(model_folder, ignore_errors=True)
    os.rename(aside, model_folder)
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    with written_aside(final) as path:
        torch.save({"weights": weights, "config": dict(settings), "provenance": dict(provenance)}, path)


def _umask() -> int:
    """Which rights new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
