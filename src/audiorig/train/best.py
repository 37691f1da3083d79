"""The checkpoints of the best evaluations: where they lie, whether they are there, their weights.

One may be kept for the end of the run (``selection.keep_best``, which goes by gains), and several
for whoever wants to look at them (``selection.keep_top``, which goes by the value alone).
"""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.trainer import TRAINER_STATE_NAME

from audiorig.config import SelectionConfig, TrainConfig
from audiorig.errors import ResumeError
from audiorig.files import read_json, write_json
from audiorig.train import checkpoints
from audiorig.train.selection import History, judge, ranked

INDEX = "best.json"  # beside the checkpoints: those of keep_top, best first

log = logging.getLogger(__name__)


def history_of(checkpoint: Path) -> list[dict[str, Any]]:
    """What was logged up to a checkpoint."""
    found: list[dict[str, Any]] = read_json(checkpoint / TRAINER_STATE_NAME)["log_history"]
    return found


def kept(root: Path, history: History, selection: SelectionConfig) -> Path | None:
    """Where the best checkpoint lies that is to be kept; None if none is."""
    step = judge(history, selection).best_step if selection.keep_best else None
    return None if step is None else root / f"step-{step}"


def top(root: Path, history: History, selection: SelectionConfig, now: int | None = None) -> list[tuple[int, float]]:
    """Step and value of the ``keep_top`` best evaluations whose checkpoint is there, best first.

    Args:
        now: the step that may yet be saved: it counts as if it were there.
    """
    found = [each for each in ranked(history, selection) if each[0] == now or (root / f"step-{each[0]}").is_dir()]
    return found[: selection.keep_top]


def write_index(root: Path, history: History, selection: SelectionConfig) -> None:
    """Write down what ``keep_top`` keeps: before anything is deleted, so that all that is listed is there."""
    if not selection.keep_top:
        (root / INDEX).unlink(missing_ok=True)
        return
    listed = [{"step": step, "value": value, "folder": f"step-{step}"} for step, value in top(root, history, selection)]
    write_json(root / INDEX, {"metric": selection.metric, "mode": selection.mode, "checkpoints": listed})


def spared(root: Path, history: History, settings: TrainConfig) -> set[Path]:
    """Checkpoints that are kept however old they are."""
    found = {root / f"step-{step}" for step, _ in top(root, history, settings.selection)}
    if (best := kept(root, history, settings.selection)) is not None:
        found.add(best)
    if every := settings.keep_every_steps:
        names = ((folder, int(folder.name.removeprefix("step-"))) for folder in checkpoints.list_checkpoints(root))
        found |= {folder for folder, step in names if step % every == 0}
    return found


def is_saved(checkpoint: Path, history: History, selection: SelectionConfig) -> bool:
    """Whether a checkpoint is there already, whole: of a step that comes again, after an older one was gone on from.

    On another number of ranks that step may come out a little different, and dev with it. Weights
    that may be kept as the best must be those that were evaluated.
    """
    if not checkpoint.exists() or checkpoints.broken_because(checkpoint) is not None:
        return False
    return not (selection.keep_best or selection.keep_top) or history_of(checkpoint) == history


def lost_because(checkpoint: Path, selection: SelectionConfig) -> str | None:
    """Why a run that goes on from a whole checkpoint could not end with its best weights; None if it can."""
    best = kept(checkpoint.parent, history_of(checkpoint), selection) if selection.keep_best else None
    if best is None or checkpoints.step_of(checkpoint) == int(best.name.removeprefix("step-")):
        return None
    reason = checkpoints.broken_because(best) if best.is_dir() else "it is gone"
    return f"{best.name}, the best one before it, cannot be used: {reason}" if reason else None


def bring(root: Path, start: Path, selection: SelectionConfig) -> None:
    """Copy the best checkpoints to where the run will look for them, if it goes on from elsewhere.

    Those of ``keep_top`` that are not there, or no longer whole, the run can do without.

    Raises:
        ResumeError: if the one that it may end with is not beside the one to go on from.
    """
    if reason := lost_because(start, selection):
        raise ResumeError(f"{start}: {reason}; take another checkpoint, or copy {start.parent.name} as a whole")
    history, first = history_of(start), checkpoints.step_of(start)
    wanted = [root / f"step-{step}" for step, _ in top(start.parent, history, selection, now=first)]
    if (best := kept(root, history, selection)) is not None and best not in wanted:
        wanted.append(best)
    for target in wanted:
        source = start if target.name == f"step-{first}" else start.with_name(target.name)
        if target.exists() or checkpoints.broken_because(source) is not None:
            continue
        aside = root / ".aside-best"
        shutil.copytree(source, aside)
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
