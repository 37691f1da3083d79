"""What the trainer knows of an experiment, and nothing more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from transformers import PreTrainedModel, TrainerCallback

Collate = Callable[[list[Any]], dict[str, Any]]


class KeyedDataset(Protocol):
    """Items that are addressed by (epoch, item); a ``torch.utils.data.Dataset`` in all but name."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> Any: ...


@dataclass(frozen=True)
class Experiment:
    """A model with its data.

    Attributes:
        model: ``forward(**batch)`` returns ``loss`` and ``parts: {name: (sum, weight)}``.
        train_dataset: indexed by ``(epoch, item)``.
        dev_dataset: indexed likewise, with epoch 0.
        collate: items to a training batch.
        collate_dev: items to an evaluation batch.
        item_sec: seconds of audio of a training item, for the progress bar.
        fingerprint: what changes the result of a step, besides the training settings.
        callbacks: what watches the training; nothing of it may change a weight.
    """

    model: PreTrainedModel
    train_dataset: KeyedDataset
    dev_dataset: KeyedDataset
    collate: Collate
    collate_dev: Collate
    item_sec: float
    fingerprint: dict[str, Any] = field(default_factory=dict)
    callbacks: tuple[TrainerCallback, ...] = ()
