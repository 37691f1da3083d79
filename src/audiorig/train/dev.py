"""Evaluation on dev: means over items, whatever the batch size and the number of ranks."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from audiorig.data.prefetch import read_items
from audiorig.randomness import random_state_fence
from audiorig.train import ranks
from audiorig.train.compilation import uncompiled
from audiorig.train.experiment import Collate, KeyedDataset
from audiorig.train.part_sums import PartSums, pairs_of

Prepare = Callable[[dict[str, Any]], Mapping[str, Any]]


def batches_of(num_items: int, size: int) -> list[range]:
    """Items 0, 1, ... in batches, the last one smaller if need be."""
    return [range(first, min(first + size, num_items)) for first in range(0, num_items, size)]


def measure(
    model: Any,
    dataset: KeyedDataset,
    collate: Collate,
    batches: Sequence[range],
    prepare: Prepare,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> dict[str, float]:
    """Means of the loss parts, the total, and what the model derives of them, by name.

    The ranks take batches in turn, and add up all of them: each gets what one alone would get. The
    random state is left as it was.

    Args:
        model: an experiment's, with the parts and numbers that ``Experiment`` speaks of.
        prepare: brings a batch to the model's device.
        autocast: the run's precision.
    """
    model.eval()
    mine: list[dict[str, Tensor]] = []
    rows: list[Tensor] = []
    with random_state_fence(), torch.no_grad(), uncompiled(), autocast():
        for items in batches[ranks.rank() :: ranks.world_size()]:
            batch = collate(read_items(dataset, [(0, item) for item in items]))
            output = model(**prepare({name: value for name, value in batch.items() if name != "seen"}))
            mine.append({name: pair.cpu() for name, pair in pairs_of(output["parts"]).items()})
            if "rows" in output:
                rows.append(output["rows"].cpu())
    sums = PartSums()
    for pairs in ranks.in_turn(mine):
        sums.add_pairs(pairs)
    parts = sums.means()
    if found := ranks.in_turn(rows):  # losses of pairs: those of all dev items, not of a batch
        parts |= model.means_of_all(torch.cat(found))
    derived = model.derived(dict(parts)) if hasattr(model, "derived") else {}
    weights = getattr(model, "part_weights", {})
    if terms := [weight * parts[name] for name, weight in weights.items() if name in parts]:
        parts["total"] = sum(terms)  # of none there is no total, least of all one of 0
    return parts | derived
