"""The micro-batches of a run, from the first step to the last."""

from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset

from audiorig.config import TrainConfig
from audiorig.data.prefetch import ReadAhead, as_it_is
from audiorig.train import ranks
from audiorig.train.experiment import Experiment
from audiorig.train.sampler import StepSampler


def training_loader(experiment: Experiment, settings: TrainConfig, seed: int, is_pinned: bool) -> DataLoader:
    """All micro-batches of this rank. Not for accelerate, which would shard them again.

    Args:
        seed: names the order of the items.
        is_pinned: whether they go to a GPU that copies from pinned memory.
    """
    sampler = StepSampler(
        len(experiment.train_dataset),
        settings.batch_size,
        settings.max_steps * settings.accumulation,
        seed,
        ranks.rank(),
        ranks.world_size(),
    )
    workers = settings.num_workers
    dataset: Any = experiment.train_dataset
    collate: Any = experiment.collate
    if workers == 0:
        dataset, collate = ReadAhead(dataset, collate, sampler), as_it_is
    return DataLoader(
        cast(Dataset, dataset),
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # or iter() would draw from the global state
        pin_memory=is_pinned,
        **(ranks.worker_options(dataset, collate) if workers else {}),
    )
