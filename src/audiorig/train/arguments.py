"""Our settings in the words of ``transformers.TrainingArguments``."""

from pathlib import Path

from transformers import TrainingArguments

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError
from audiorig.train import ranks, schedule
from audiorig.train.devices import device_kind, precision


def training_arguments(settings: TrainConfig, folder: Path, seed: int, num_items: int) -> TrainingArguments:
    """The Trainer's arguments for our settings; of the optimizer it knows nothing but the peak of its rate.

    Args:
        num_items: items of the training side.

    Raises:
        ConfigError: if this machine cannot compute so, or dev would be followed and hardly looked at.
    """
    kind = device_kind(settings)
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=schedule.warmup_steps(settings),
        lr_scheduler_type=schedule.STOCK[settings.schedule],
        lr_scheduler_kwargs={"min_lr_rate": settings.min_lr_share} if settings.schedule == "cosine" else {},
        max_grad_norm=settings.clip_norm,
        bf16=precision(settings) == "bf16",
        fp16=precision(settings) == "fp16",
        logging_strategy="steps",
        logging_steps=1,  # sums are not part of a checkpoint: longer intervals would not resume exactly
        eval_strategy="steps",
        eval_steps=eval_interval(settings, num_items),
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=None,  # rotation is ours: the stock one may delete the only whole checkpoint
        logging_nan_inf_filter=False,  # it hides NaN and reads the loss at every micro-batch
        remove_unused_columns=False,
        # Refused outside of a launcher.
        ddp_backend="gloo" if ranks.world_size() > 1 and kind != "cuda" else None,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # constants: equal on all ranks from the start
        report_to=[],
        seed=seed,
        disable_tqdm=True,  # the bar is ours
        use_cpu=kind == "cpu",
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process, one device: never wrap the model in DataParallel
    return arguments


def eval_interval(settings: TrainConfig, num_items: int) -> int:
    """Steps between two evaluations: a whole number, also where epochs say it.

    Args:
        num_items: items of the training side; an epoch is as many steps as hear them, on all ranks.

    Raises:
        ConfigError: if dev is to steer a run that would end before it is looked at.
    """
    if settings.eval_epochs is None:
        return settings.eval_steps
    step_items = settings.batch_size * settings.accumulation * ranks.world_size()
    interval = max(1, round(settings.eval_epochs * num_items / step_items))
    if interval >= settings.max_steps and settings.follows_dev:
        raise ConfigError(
            f"train.eval_epochs is {settings.eval_epochs:g}: {interval} steps, at {num_items} items of the training "
            f"side and {step_items} a step, and train.max_steps is {settings.max_steps}: dev, which this run follows, "
            "would be looked at once, at the end; lower it, or set eval_steps instead"
        )
    return interval
