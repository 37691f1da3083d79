"""From an experiment to ``final.ckpt``: resume, train, stop in good order, export."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import SecretStr
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from audiorig.config import LogConfig, TrainConfig
from audiorig.config_stages import run_name
from audiorig.errors import Unfinished
from audiorig.train import best, checkpoints, ranks
from audiorig.train.callbacks import FollowDev, ProgressBar, StopInGoodOrder, TensorBoard
from audiorig.train.compilation import compile_blocks
from audiorig.train.devices import precision, require_machine
from audiorig.train.experiment import Experiment
from audiorig.train.probe_log import ProbeInTraining
from audiorig.train.selection import History, is_hopeless, outcome
from audiorig.train.start import load_start, weights_digest
from audiorig.train.trainer import RigTrainer
from audiorig.train.wandb_log import WandbLog, require_wandb

logger = logging.getLogger(__name__)


def fit(
    experiment: Experiment,
    settings: TrainConfig,
    folder: Path,
    seed: int,
    *,
    log: LogConfig = LogConfig(),  # noqa: B008
    start_weights: Path | None = None,
    run_settings: Mapping[str, Any] | None = None,
    wandb_key: SecretStr | None = None,
    resume_from: Path | None = None,
    stop_after_steps: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Train until ``max_steps``, or until dev gains nothing any more.

    It goes on from the newest checkpoint whose seal holds.

    The caller has ``joined`` the other ranks and so owns the folder, until what it makes of the
    result is written. All ranks call this; the first one's log is the whole one.

    Args:
        folder: the run's folder; ``checkpoints/``, ``tensorboard/`` and ``wandb/`` are written into it.
        log: who is told of it.
        start_weights: a final.ckpt, a model folder or a checkpoint of a run of the same model, whose
            weights are begun with; if not given, what the settings name.
        run_settings: what wandb is told of the settings.
        wandb_key: its key, as .env has it.
        resume_from: a checkpoint to go on from instead.
        stop_after_steps: stop in good order after this many steps.

    Returns:
        The log, a dict per entry, with ``step``, and with ``selection`` at work its ``outcome`` as
        the last one; and the step that this call began at. The experiment's model holds the final
        weights: of the best evaluation with ``keep_best``, of the last step without.

    Raises:
        Unfinished: if the run was stopped before its end; it is saved.
        ResumeError: if ``resume_from`` does not fit.
        ConfigError: if settings do not fit this machine, these data or this model: before the first step.
    """
    require_machine(settings)
    require_wandb(log, wandb_key)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_warning()
    torch.set_num_threads(settings.cpu_threads)
    root = folder / "checkpoints"
    if start_weights is None and settings.load_from_checkpoint is not None:
        start_weights = Path(settings.load_from_checkpoint)
    fingerprint = run_fingerprint(experiment, settings, seed, start_weights)
    start = ranks.from_main(lambda: _find_start(root, fingerprint, settings, resume_from))
    first_step = checkpoints.step_of(start) if start else 0
    if start is not None and experiment.ledger is not None:
        experiment.ledger.load(start)
    if start is not None and is_finished(best.history_of(start), first_step, settings):
        logger.info("%s holds the whole run: nothing to train", start)
        return load_finished(experiment.model, start, root, settings), first_step
    if start is None and start_weights is not None:
        load_start(experiment.model, start_weights)
        logger.info("beginning with the weights of %s", start_weights)
    if settings.compile:
        logger.info("compiling %d blocks; the first step takes a minute", compile_blocks(experiment.model))
    stopper = StopInGoodOrder(stop_after_steps)
    is_judged = settings.follows_dev or settings.selection.keep_top > 0
    wandb = None if log.wandb.mode == "disabled" else WandbLog(log, folder, run_name(folder), run_settings, wandb_key)
    callbacks: list[TrainerCallback] = [stopper, *([FollowDev(settings, root)] if is_judged else [])]
    callbacks += [*_watchers(experiment, settings, folder, log), *([wandb] if wandb else []), *experiment.callbacks]
    trainer = RigTrainer(experiment, settings, folder, seed, callbacks=callbacks)
    trainer.remove_callback(PrinterCallback)  # it prints every entry of the log
    trainer.fingerprint = fingerprint
    for callback in experiment.callbacks:
        if isinstance(callback, ProbeInTraining):
            callback.attach(trainer)
    if is_judged:
        trainer.require_selection()
    logger.info("resuming from %s", start) if start else logger.info("starting from step 0")
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    finally:
        if wandb is not None:
            wandb.close(exit_code=1)  # after an error: a good end has closed it
    if not is_finished(trainer.state.log_history, trainer.state.global_step, settings):
        raise Unfinished(
            f"stopped by {stopper.reason} at step {trainer.state.global_step} of {settings.max_steps}; "
            f"the state is saved in {root}, run the same command again to go on"
        )
    return _end(experiment.model, trainer.state.log_history, root, settings), first_step


def _watchers(experiment: Experiment, settings: TrainConfig, folder: Path, log: LogConfig) -> list[TrainerCallback]:
    """The progress bar and TensorBoard."""
    step_sec = experiment.item_sec * settings.batch_size * settings.accumulation * ranks.world_size()
    return [ProgressBar(step_sec, settings.selection), TensorBoard(folder / "tensorboard", log.every_steps)]


def _find_start(
    root: Path, fingerprint: Mapping[str, Any], settings: TrainConfig, resume_from: Path | None
) -> Path | None:
    """Make the folder of checkpoints ready, and say where to go on from."""
    if resume_from is not None:
        checkpoints.require_same_run(resume_from, fingerprint)
    checkpoints.prepare_folder(root, fingerprint)
    if resume_from is not None:
        best.bring(root, resume_from, settings.selection)
    start = resume_from or checkpoints.newest_whole(
        root, fingerprint, lambda folder: best.lost_because(folder, settings.selection)
    )
    best.write_index(root, best.history_of(start) if start else [], settings.selection)
    if start is not None and (written_by := checkpoints.num_ranks(start)) != ranks.world_size():
        logger.warning(
            "%s was written by %d processes, and this run has %d: it goes on, with batches and random numbers of its "
            "own from here",
            *(start, written_by, ranks.world_size()),
        )
    return start


def run_fingerprint(
    experiment: Experiment, settings: TrainConfig, seed: int, start_weights: Path | None = None
) -> dict[str, Any]:
    """What must be equal for one run to go on from another's checkpoint.

    Of weights to begin with, that is what they are, not where they lie.
    """
    train = settings.model_dump(mode="json", exclude={*settings.operation_keys(), "load_from_checkpoint"})
    if "selection" in train:
        train["selection"]["keep_top"] = 0  # operation too: more checkpoints are kept, and none is another one
    began = {} if start_weights is None else {"start_weights_sha256": weights_digest(start_weights)}
    return {"seed": seed, "train": train, "computed_in": precision(settings), **began, **experiment.fingerprint}


def is_finished(history: History, step: int, settings: TrainConfig) -> bool:
    """Whether a run ends at this step: it was the last one, or nothing is gained any more."""
    return step >= settings.max_steps or is_hopeless(history, settings.selection)


def training_log(history: History) -> list[dict[str, Any]]:
    """The entries that describe steps; not the summary of speed at the end, which is never equal.

    What was not finite (the loss of a step that was skipped for it) is None: JSON has no NaN. Text,
    which callbacks keep for themselves, is left out.
    """
    steps = [entry for entry in history if "train_runtime" not in entry]
    return [
        {name: value if math.isfinite(value) else None for name, value in entry.items() if not isinstance(value, str)}
        for entry in steps
    ]


def load_finished(model: PreTrainedModel, last: Path, root: Path, settings: TrainConfig) -> list[dict[str, Any]]:
    """Load the weights that a finished run ends with into a model, and return its log.

    Args:
        last: the checkpoint of its last step.
        root: the folder of its checkpoints.
    """
    history = best.history_of(last)
    if best.kept(root, history, settings.selection) is None:
        best.load_weights(model, last)
    return _end(model, history, root, settings)


def _end(model: PreTrainedModel, history: History, root: Path, settings: TrainConfig) -> list[dict[str, Any]]:
    """Give a model with the last weights the best ones, if they are kept, and say what selection came to."""
    entries, selection = training_log(history), settings.selection
    found = outcome(entries, settings)
    if "stopped_early_at" in found:
        logger.info(
            "stopped early at step %d of %d: eval_%s has not gained more than %g in %d evaluations",
            *(found["stopped_early_at"], settings.max_steps, selection.metric, selection.delta, selection.patience),
        )
    kept = best.kept(root, history, selection)
    if kept is not None:
        best.load_weights(model, kept)
        logger.info(
            "the weights are those of step %d, the best one: eval_%s %.6g",
            *(found["best_step"], selection.metric, found["best_value"]),
        )
    elif selection.keep_best:
        logger.warning("no evaluation gave a finite eval_%s: the weights are those of the last step", selection.metric)
    return [*entries, found] if found else entries
