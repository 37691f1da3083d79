"""Our settings in the words of ``transformers.TrainingArguments``."""

from pathlib import Path

import torch
from transformers import TrainingArguments

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError
from audiorig.train import ranks, schedule


def training_arguments(settings: TrainConfig, folder: Path, seed: int) -> TrainingArguments:
    """The Trainer's arguments for our settings."""
    has_device = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        adam_epsilon=settings.epsilon,
        warmup_steps=schedule.warmup_steps(settings),
        lr_scheduler_type=schedule.STOCK[settings.schedule],
        lr_scheduler_kwargs={"min_lr_rate": settings.min_lr_share} if settings.schedule == "cosine" else {},
        max_grad_norm=settings.clip_norm,
        bf16=precision(settings) == "bf16",
        fp16=precision(settings) == "fp16",
        logging_strategy="steps",
        logging_steps=1,  # sums are not part of a checkpoint: longer intervals would not resume exactly
        eval_strategy="steps",
        eval_steps=settings.eval_steps,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=None,  # rotation is ours: the stock one may delete the only whole checkpoint
        logging_nan_inf_filter=False,  # it hides NaN and reads the loss at every micro-batch
        remove_unused_columns=False,
        # Refused outside of a launcher.
        ddp_backend="gloo" if ranks.world_size() > 1 and not has_device else None,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # constants: equal on all ranks from the start
        report_to=[],
        seed=seed,
        disable_tqdm=True,  # the bar is ours
        use_cpu=not has_device,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process, one device: never wrap the model in DataParallel
    return arguments


def precision(settings: TrainConfig) -> str:
    """What the model computes in on this machine: bf16, fp16 or fp32.

    Raises:
        ConfigError: for fp16 without a GPU, where the Trainer would take it and compute in fp32.
    """
    if settings.precision == "fp16" and not torch.cuda.is_available():
        raise ConfigError(
            "train.precision: fp16 needs a GPU, and this machine has none that PyTorch can use; "
            "set it to auto or fp32, or run on a node with a GPU"
        )
    if settings.precision != "auto":
        return settings.precision
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "fp32"
