"""The one trainer: ``transformers.Trainer``, with the few things changed that a trusted run needs.

Changed: the order of the data (a stream addressed by position), evaluation (over items, not
batches), loss parts (exact means), checkpoints (sealed), decay groups, and steps whose gradient
is not finite (skipped).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments

from audiorig.config import TrainConfig
from audiorig.data.prefetch import ReadAhead, as_it_is
from audiorig.errors import DataError
from audiorig.randomness import random_state_fence
from audiorig.train import checkpoints
from audiorig.train.compilation import uncompiled
from audiorig.train.experiment import Experiment
from audiorig.train.sampler import StepSampler


def training_arguments(settings: TrainConfig, folder: Path, seed: int) -> TrainingArguments:
    """The Trainer's arguments for our settings."""
    schedules = {"cosine": "cosine_with_min_lr", "linear": "linear", "constant": "constant_with_warmup"}
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        warmup_steps=math.ceil(settings.warmup_share * settings.max_steps),
        lr_scheduler_type=schedules[settings.schedule],
        lr_scheduler_kwargs={"min_lr_rate": settings.min_lr_share} if settings.schedule == "cosine" else {},
        max_grad_norm=settings.clip_norm,
        bf16=precision(settings) == "bf16",
        logging_strategy="steps",
        logging_steps=1,  # sums are not part of a checkpoint: longer intervals would not resume exactly
        eval_strategy="steps",
        eval_steps=settings.eval_steps,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=None,  # rotation is ours: the stock one may delete the only whole checkpoint
        logging_nan_inf_filter=False,  # it hides NaN and reads the loss at every micro-batch
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        report_to=[],
        seed=seed,
        disable_tqdm=True,  # the bar is ours
        use_cpu=not torch.cuda.is_available(),
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process, one device: never wrap the model in DataParallel
    return arguments


def precision(settings: TrainConfig) -> str:
    """What the model computes in on this machine: bf16 or fp32."""
    if settings.precision != "auto":
        return settings.precision
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "fp32"


class PartSums:
    """Running sums of loss parts on the device: no waiting for it before they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, parts: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        for name, (total, weight) in parts.items():
            pair = torch.stack([total.double(), weight.double()])
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def add_mean(self, parts: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Count a micro-batch once, whatever it holds: the loss is the mean over micro-batches."""
        self.add({name: (total / weight, torch.ones_like(total)) for name, (total, weight) in parts.items()})

    def drain(self) -> dict[str, float]:
        """The weighted means since the last call."""
        means = {name: (pair[0] / pair[1]).item() for name, pair in sorted(self._sums.items())}
        self._sums = {}
        return means


class RigTrainer(Trainer):
    """Trains an ``Experiment``."""

    def __init__(self, experiment: Experiment, settings: TrainConfig, folder: Path, seed: int, **other: Any) -> None:
        super().__init__(
            model=experiment.model,
            args=training_arguments(settings, folder, seed),
            train_dataset=experiment.train_dataset,
            eval_dataset=experiment.dev_dataset,
            data_collator=experiment.collate,
            **other,
        )
        self.experiment, self.settings, self.run_seed = experiment, settings, seed
        self.root = folder / "checkpoints"
        self.fingerprint: Mapping[str, Any] = {}
        self._train_parts, self._eval_parts = PartSums(), PartSums()
        self._aside: Path | None = None
        self._bad_steps = 0

    # ------------------------------------------------------------------ data

    def get_train_dataloader(self) -> DataLoader:
        """All micro-batches of the run. Not given to accelerate, which would shard it again."""
        sampler = StepSampler(
            len(self.experiment.train_dataset),
            self.settings.batch_size,
            self.settings.max_steps * self.settings.accumulation,
            self.run_seed,
            self.args.process_index,
            self.args.world_size,
        )
        workers = self.settings.num_workers
        dataset: Any = self.experiment.train_dataset
        collate: Any = self.experiment.collate
        if workers == 0:
            dataset, collate = ReadAhead(dataset, collate, sampler), as_it_is
        return DataLoader(
            cast(Dataset, dataset),
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # or iter() would draw from the global state
            pin_memory=torch.cuda.is_available(),
        )

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Means of the loss parts over all dev items, whatever the batch size."""
        dataset, size = self.experiment.dev_dataset, self.settings.batch_size
        model = self.experiment.model.eval()
        with random_state_fence(), torch.no_grad(), uncompiled(), self.accelerator.autocast():
            for first in range(0, len(dataset), size):
                items = [dataset[0, item] for item in range(first, min(first + size, len(dataset)))]
                batch = self._prepare_inputs(self.experiment.collate_dev(items))
                self._eval_parts.add(model(**batch)["parts"])
        parts = self._eval_parts.drain()
        weights = getattr(model, "part_weights", {})
        if weights:
            parts["total"] = sum(weight * parts[name] for name, weight in weights.items() if name in parts)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in parts.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    # ------------------------------------------------------------------ loss

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        self._train_parts.add_mean(outputs["parts"])
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs["total"] = logs.pop("loss")
            logs |= self._train_parts.drain()
        super().log(logs, start_time)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Called right before the optimizer: a gradient that is not finite changes nothing."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self._bad_steps = 0 if math.isfinite(float(norm)) else self._bad_steps + 1
        if self._bad_steps:
            for parameter in self.experiment.model.parameters():
                parameter.grad = None  # AdamW passes over these: no decay, no momentum
        if self._bad_steps >= self.settings.max_bad_steps:
            raise DataError(
                f"the gradient was not finite in {self._bad_steps} steps in a row, up to step "
                f"{self.state.global_step + 1}; lower train.learning_rate, or look for the data of these steps"
            )
        return norm

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW without decay on vectors and on what the model names."""
        if self.optimizer is None:
            model = model or self.model
            exempt = getattr(model, "no_decay_names", ())
            groups: dict[bool, list[Tensor]] = {True: [], False: []}
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    is_exempt = parameter.ndim < 2 or any(part in name.split(".")[-1] for part in exempt)
                    groups[not is_exempt].append(parameter)
            kind, arguments = self.get_optimizer_cls_and_kwargs(self.args, model)
            self.optimizer = kind(
                [
                    {"params": groups[True], "weight_decay": self.args.weight_decay},
                    {"params": groups[False], "weight_decay": 0.0},
                ],
                **arguments,
            )
        return self.optimizer

    # ----------------------------------------------------------- checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside) if self._aside else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Let the Trainer write aside, then seal and rename."""
        root, step = self.root, self.state.global_step
        target = root / f"step-{step}"
        if target.exists() and checkpoints.broken_because(target) is None:
            return
        self._aside = root / ".aside"
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._aside = None
        written = root / ".aside" / f"checkpoint-{step}"
        (written / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody reads
        checkpoints.seal(written, target, step, self.fingerprint)
        checkpoints.rotate(root, self.settings.keep_checkpoints)
