"""From an experiment to ``final.ckpt``: resume, train, stop in good order, export."""

import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PrinterCallback
from transformers.trainer_callback import TrainerState
from transformers.utils import logging as transformers_logging

from audiorig.config import TrainConfig
from audiorig.errors import ResumeError, Unfinished
from audiorig.files import write_json, written_aside
from audiorig.train import checkpoints, ranks
from audiorig.train.arguments import precision
from audiorig.train.callbacks import ProgressBar, StopInGoodOrder, TensorBoard
from audiorig.train.compilation import compile_blocks
from audiorig.train.experiment import Experiment
from audiorig.train.probe_log import ProbeInTraining
from audiorig.train.trainer import RigTrainer

log = logging.getLogger(__name__)


def fit(
    experiment: Experiment,
    settings: TrainConfig,
    folder: Path,
    seed: int,
    *,
    resume_from: Path | None = None,
    stop_after_steps: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Train until ``max_steps``, going on from the newest checkpoint whose seal holds.

    The caller has ``joined`` the other ranks and so owns the folder, until what it makes of the
    result is written. All ranks call this; the first one's log is the whole one.

    Args:
        folder: the run's folder; ``checkpoints/`` and ``tensorboard/`` are written into it.
        resume_from: a checkpoint to go on from instead.
        stop_after_steps: stop in good order after this many steps.

    Returns:
        The log, a dict per entry, with ``step``; and the step that this call began at. The
        experiment's model holds the final weights.

    Raises:
        Unfinished: if the run was stopped before its end; it is saved.
        ResumeError: if ``resume_from`` does not fit.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_warning()
    torch.set_num_threads(settings.cpu_threads)
    root = folder / "checkpoints"
    fingerprint = run_fingerprint(experiment, settings, seed)
    start = ranks.from_main(lambda: _find_start(root, fingerprint, resume_from))
    first_step = checkpoints.step_of(start) if start else 0
    if start is not None and experiment.ledger is not None:
        experiment.ledger.load(start)
    if start is not None and first_step >= settings.max_steps:
        log.info("%s holds the whole run: nothing to train", start)
        return load_finished(experiment.model, start), first_step
    if settings.compile:
        log.info("compiling %d blocks; the first step takes a minute", compile_blocks(experiment.model))
    stopper = StopInGoodOrder(stop_after_steps)
    step_sec = experiment.item_sec * settings.batch_size * settings.accumulation * ranks.world_size()
    callbacks = [stopper, ProgressBar(step_sec), TensorBoard(folder / "tensorboard"), *experiment.callbacks]
    trainer = RigTrainer(experiment, settings, folder, seed, callbacks=callbacks)
    trainer.remove_callback(PrinterCallback)  # it prints every entry of the log
    trainer.fingerprint = fingerprint
    for callback in experiment.callbacks:
        if isinstance(callback, ProbeInTraining):
            callback.attach(trainer)
    log.info("resuming from %s", start) if start else log.info("starting from step 0")
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    if trainer.state.global_step < settings.max_steps:
        raise Unfinished(
            f"stopped by {stopper.reason} at step {trainer.state.global_step} of {settings.max_steps}; "
            f"the state is saved in {root}, run the same command again to go on"
        )
    return training_log(trainer.state), first_step


def _find_start(root: Path, fingerprint: Mapping[str, Any], resume_from: Path | None) -> Path | None:
    """Make the folder of checkpoints ready, and say where to go on from."""
    if resume_from is not None:
        checkpoints.require_same_run(resume_from, fingerprint)
    checkpoints.prepare_folder(root, fingerprint)
    start = resume_from or checkpoints.newest_whole(root, fingerprint)
    if start is not None and (written_by := checkpoints.num_ranks(start)) != ranks.world_size():
        log.warning(
            "%s was written by %d processes, and this run has %d: it goes on, with batches and random numbers of its "
            "own from here",
            *(start, written_by, ranks.world_size()),
        )
    return start


def run_fingerprint(experiment: Experiment, settings: TrainConfig, seed: int) -> dict[str, Any]:
    """What must be equal for one run to go on from another's checkpoint."""
    train = settings.model_dump(mode="json", exclude=set(settings.operation_keys()))
    return {"seed": seed, "train": train, "computed_in": precision(settings), **experiment.fingerprint}


def training_log(state: TrainerState) -> list[dict[str, Any]]:
    """The entries that describe steps; not the summary of speed at the end, which is never equal.

    What was not finite (the loss of a step that was skipped for it) is None: JSON has no NaN. Text,
    which callbacks keep for themselves, is left out.
    """
    steps = [entry for entry in state.log_history if "train_runtime" not in entry]
    return [
        {name: value if math.isfinite(value) else None for name, value in entry.items() if not isinstance(value, str)}
        for entry in steps
    ]


def load_finished(model: PreTrainedModel, checkpoint: Path) -> list[dict[str, Any]]:
    """Load the weights of a checkpoint into a model, and return its log."""
    missing, unexpected = model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    if missing or unexpected:
        raise ResumeError(f"{checkpoint}: weights differ from the model: lacks {missing}, has {unexpected} too much")
    return training_log(TrainerState.load_from_json(str(checkpoint / "trainer_state.json")))


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
    """Write what others use: one file, a Hugging Face folder, the log.

    ``final`` loads with ``weights_only=True`` and holds ``weights``, ``config``, ``provenance``.
    """
    write_json(history_file, history)
    aside = model_folder.with_name(f".{model_folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    (aside / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(model_folder, ignore_errors=True)
    os.rename(aside, model_folder)
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    with written_aside(final) as path:
        torch.save({"weights": weights, "config": dict(settings), "provenance": dict(provenance)}, path)
