"""The one trainer: ``transformers.Trainer``, with the few things changed that a trusted run needs.

Changed: the order of the data (a stream addressed by position), evaluation (over items, not
batches), loss parts (exact means), checkpoints (sealed), decay groups, steps whose gradient is
not finite (skipped), and what was heard (counted). On several ranks all of them know the same,
and the first one writes.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError, DataError
from audiorig.models.modes import evaluating
from audiorig.randomness import keyed_generator, random_state_fence
from audiorig.train import best, checkpoints, ranks
from audiorig.train.arguments import training_arguments
from audiorig.train.callbacks import HasNumbers
from audiorig.train.dev import batches_of, measure
from audiorig.train.experiment import Experiment
from audiorig.train.loader import training_loader
from audiorig.train.optimizers import build_optimizer
from audiorig.train.part_sums import PartSums
from audiorig.train.schedule import PlateauSchedule
from audiorig.train.selection import require_metric

# The loss scale of half precision begins at 2^16 and is halved at an overflow: after 16 it is no longer the cause.
MOST_OVERFLOWS = 50


class RigTrainer(Trainer):
    """Trains an ``Experiment``."""

    def __init__(self, experiment: Experiment, settings: TrainConfig, folder: Path, seed: int, **other: Any) -> None:
        super().__init__(
            model=experiment.model,
            args=training_arguments(settings, folder, seed, len(experiment.train_dataset)),
            train_dataset=experiment.train_dataset,
            eval_dataset=experiment.dev_dataset,
            data_collator=experiment.collate,
            **other,
        )
        self.experiment, self.settings, self.run_seed = experiment, settings, seed
        self.root = folder / "checkpoints"
        self.fingerprint: Mapping[str, Any] = {}
        self._train_parts = PartSums()
        self._seen: Tensor | None = None
        self._to_relate: list[dict[str, Any]] = []
        self._aside: Path | None = None
        self._bad_steps = 0
        if not ranks.is_main():  # or two ranks would drop the same units of different items
            torch.manual_seed(int(keyed_generator("rank", seed, ranks.rank()).integers(2**63)))

    # ------------------------------------------------------------------ data

    def get_train_dataloader(self) -> DataLoader:
        """All micro-batches of the run."""
        return training_loader(self.experiment, self.settings, self.run_seed, self.args.device.type == "cuda")

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The micro-batches of a step; what the ledger is to count is taken out of them."""
        batches, num_items = super().get_batch_samples(epoch_iterator, num_batches, device)
        seen = [batch.pop("seen") for batch in batches if "seen" in batch]
        self._seen = torch.stack(seen) if seen else None
        if self.experiment.relate is not None:
            self._to_relate = batches
        return batches, num_items

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward; before the first one of a step, its micro-batches are related.

        Not as soon as they are there: a resumed run gets its random state back in between.
        """
        if self._to_relate:
            batches, self._to_relate = self._to_relate, []
            relate = self.experiment.relate
            assert relate is not None, "there is nothing to relate"
            self.experiment.model.train()
            with random_state_fence(), torch.no_grad(), self.accelerator.autocast():
                relate(self.experiment.model, batches)
        return super().training_step(model, inputs, num_items_in_batch)

    def _note_seen(self) -> dict[str, float]:
        """Tell the ledger what all ranks heard in this step, in the order of the stream."""
        ledger = self.experiment.ledger
        if ledger is None:
            return {}
        if self._seen is not None:
            by_rank = ranks.stacked(self._seen.cpu())  # (W, micro-batches, B, K)
            ledger.note(by_rank.transpose(0, 1).flatten(0, 2))
            self._seen = None
        return ledger.numbers()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure dev, log it, and tell the callbacks."""
        found = self._measure(batches_of(len(self.experiment.dev_dataset), self.settings.batch_size))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def require_selection(self) -> None:
        """Check that an evaluation gives what the run is to be judged by, before the first step.

        A batch is enough to see it. A number that only some items have may be missing there, so all
        of dev is asked before it is missed.

        Raises:
            ConfigError: if it does not, or dev is empty.
        """
        selection = self.settings.selection
        if not len(self.experiment.dev_dataset):
            raise ConfigError(
                "train.selection or train.schedule follows dev, and dev has no items; change the split, or do not"
            )
        batches = batches_of(len(self.experiment.dev_dataset), self.settings.batch_size)
        for asked in (batches[:1], batches):
            with evaluating(self.experiment.model):
                names = {f"eval_{name}": value for name, value in self._measure(asked).items()}
            if f"eval_{selection.metric}" in names:
                return
        require_metric(names, selection)

    def _measure(self, batches: list[range]) -> dict[str, float]:
        experiment = self.experiment
        return measure(
            *(experiment.model, experiment.dev_dataset, experiment.collate_dev, batches),
            *(self._prepare_inputs, self.accelerator.autocast),
        )

    # ------------------------------------------------------------------ loss

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        is_counted = self.model_accepts_loss_kwargs and num_items_in_batch is not None
        (self._train_parts.add if is_counted else self._train_parts.add_mean)(outputs["parts"])
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs["total"] = logs.pop("loss")
            if not math.isfinite(logs["total"]):
                self._tr_loss.zero_()  # the Trainer takes what it has logged from its sum: NaN would stay for ever
            logs |= self._train_parts.means_of_all() | self._numbers()
        super().log(logs, start_time)

    def _numbers(self) -> dict[str, float]:
        """What is logged of a step besides losses."""
        numbers = self._note_seen()
        for callback in self.experiment.callbacks:
            if isinstance(callback, HasNumbers):
                numbers |= callback.numbers()
        if self._is_scaled:
            before = next((entry["overflows"] for entry in reversed(self.state.log_history) if "overflows" in entry), 0)
            numbers["overflows"] = before + (self._bad_steps > 0)
        return numbers

    @property
    def _is_scaled(self) -> bool:
        """Whether the loss is scaled, as fp16 needs it: then an overflow is how a good scale is found."""
        return getattr(self.accelerator, "scaler", None) is not None

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Called right before the optimizer: a gradient that is not finite changes nothing.

        The gradient is that of all ranks together, so all of them do the same.
        """
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self._bad_steps = 0 if math.isfinite(float(norm)) else self._bad_steps + 1
        if self._bad_steps:
            for parameter in self.experiment.model.parameters():
                parameter.grad = None  # AdamW passes over these: no decay, no momentum
        step = self.state.global_step + 1
        if self._is_scaled and self._bad_steps >= MOST_OVERFLOWS:
            raise DataError(
                f"half precision overflowed in {self._bad_steps} steps in a row, up to step {step}, although the loss "
                "was scaled down at each; set train.precision to fp32 or bf16, or lower train.learning_rate"
            )
        if not self._is_scaled and self._bad_steps >= self.settings.max_bad_steps:
            raise DataError(
                f"the gradient was not finite in {self._bad_steps} steps in a row, up to step "
                f"{step}; lower train.learning_rate, or look for the data of these steps"
            )
        return norm

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """No decay on vectors and on what the model names, and slower where the model says so."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(model or self.experiment.model, self.settings)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The Trainer's own, but for the one that goes by dev."""
        if self.settings.schedule != "reduce_on_plateau":
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            assert self.optimizer is not None, "the optimizer is created first"
            self.lr_scheduler = PlateauSchedule(self.optimizer, self.settings)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # ----------------------------------------------------------- checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside) if self._aside else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Let the Trainer write aside, then seal and rename.

        All ranks write their random states; the first one writes the rest.
        """
        root, step = self.root, self.state.global_step
        target = root / f"step-{step}"
        if ranks.from_main(lambda: best.is_saved(target, self.state.log_history, self.settings.selection)):
            self._keep_house(target)
            return
        self._aside = root / ".aside"
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._aside = None
        ranks.barrier()
        if ranks.is_main():
            written = root / ".aside" / f"checkpoint-{step}"
            (written / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody reads
            if self.experiment.ledger is not None:
                self.experiment.ledger.save(written)
            checkpoints.seal(written, target, step, self.fingerprint)
        self._keep_house(target)

    def _keep_house(self, newest: Path) -> None:
        """Write down which checkpoints are the best, then delete those that nothing keeps; the first rank does."""
        if ranks.is_main():
            history, settings = self.state.log_history, self.settings
            best.write_index(self.root, history, settings.selection)
            spared = best.spared(self.root, history, settings) | {newest}
            checkpoints.rotate(self.root, settings.keep_checkpoints, spared)
        ranks.barrier()
