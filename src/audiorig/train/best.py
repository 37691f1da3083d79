"""The checkpoint of the best evaluation: where it lies, whether it is there, its weights."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.trainer import TRAINER_STATE_NAME

from audiorig.config import SelectionConfig
from audiorig.errors import ResumeError
from audiorig.files import read_json
from audiorig.train import checkpoints
from audiorig.train.selection import History, judge

log = logging.getLogger(__name__)


def history_of(checkpoint: Path) -> list[dict[str, Any]]:
    """What was logged up to a checkpoint."""
    found: list[dict[str, Any]] = read_json(checkpoint / TRAINER_STATE_NAME)["log_history"]
    return found


def kept(root: Path, history: History, selection: SelectionConfig) -> Path | None:
    """Where the best checkpoint lies that is to be kept; None if none is."""
    step = judge(history, selection).best_step if selection.keep_best else None
    return None if step is None else root / f"step-{step}"


def is_saved(checkpoint: Path, history: History, selection: SelectionConfig) -> bool:
    """Whether a checkpoint is there already, whole: of a step that comes again, after an older one was gone on from.

    On another number of ranks that step may come out a little different, and dev with it. Weights
    that may be kept as the best must be those that were evaluated.
    """
    if not checkpoint.exists() or checkpoints.broken_because(checkpoint) is not None:
        return False
    return not selection.keep_best or history_of(checkpoint) == history


def lost_because(checkpoint: Path, selection: SelectionConfig) -> str | None:
    """Why a run that goes on from a whole checkpoint could not end with its best weights; None if it can."""
    best = kept(checkpoint.parent, history_of(checkpoint), selection) if selection.keep_best else None
    if best is None or checkpoints.step_of(checkpoint) == int(best.name.removeprefix("step-")):
        return None
    reason = checkpoints.broken_because(best) if best.is_dir() else "it is gone"
    return f"{best.name}, the best one before it, cannot be used: {reason}" if reason else None


def bring(root: Path, start: Path, selection: SelectionConfig) -> None:
    """Copy the best checkpoint to where the run will look for it, if it goes on from elsewhere.

    Raises:
        ResumeError: if it is not beside the one to go on from.
    """
    if reason := lost_because(start, selection):
        raise ResumeError(f"{start}: {reason}; take another checkpoint, or copy {start.parent.name} as a whole")
    target = kept(root, history_of(start), selection) if selection.keep_best else None
    if target is None or target.exists():
        return
    is_start = checkpoints.step_of(start) == int(target.name.removeprefix("step-"))
    aside = root / ".aside-best"
    shutil.copytree(start if is_start else start.with_name(target.name), aside)
    os.rename(aside, target)


def load_weights(model: PreTrainedModel, checkpoint: Path) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        ResumeError: if its seal does not hold, or they are another model's.
    """
    if reason := checkpoints.broken_because(checkpoint):
        raise ResumeError(f"{checkpoint}: {reason}; run the same command again: what is missing is trained anew")
    missing, unexpected = model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    if missing or unexpected:
        raise ResumeError(f"{checkpoint}: weights differ from the model: lacks {missing}, has {unexpected} too much")
