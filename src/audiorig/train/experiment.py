"""What the trainer knows of an experiment, and nothing more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from transformers import PreTrainedModel, TrainerCallback

Collate = Callable[[list[Any]], dict[str, Any]]
Relate = Callable[[PreTrainedModel, list[dict[str, Any]]], None]


class KeyedDataset(Protocol):
    """Items that are addressed by (epoch, item); a ``torch.utils.data.Dataset`` in all but name."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> Any: ...


class Ledger(Protocol):
    """What a run has heard: part of its checkpoints, so that a resumed run goes on counting.

    All ranks keep the same one: the trainer gathers what each has heard, and takes it out of the
    batches before the model gets them.
    """

    def note(self, seen: Tensor) -> None:
        """Count the items of a step, once after each.

        Args:
            seen: int64 (n, K) on the CPU: the rows that the collator put into the batches as
                ``seen``, of all micro-batches and ranks, in the order of the stream. So it is the
                same for one process with large batches and for several with small ones.
        """

    def numbers(self) -> dict[str, float]:
        """What is logged at every step, of the run so far."""

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint that is about to be sealed; the first rank does."""

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint whose seal holds; all ranks do, before the first step."""


@dataclass(frozen=True)
class Experiment:
    """A model with its data.

    Attributes:
        model: ``forward(**batch)`` returns ``loss`` and ``parts: {name: (sum, weight)}``, with the
            same names for every batch. If it ``accepts_loss_kwargs`` and the batches have
            ``labels``, it is told ``num_items_in_batch`` (labels of the whole step, over
            micro-batches and ranks, that are not -100) and divides its sums by it. It may have
            ``part_weights`` (the terms of the loss: dev gets a ``total``), ``rate_scales``
            (beginnings of parameters' names, with factors on the learning rate),
            ``fitted_names`` (buffers fitted to the training side, which stay its own when it begins with
            weights of another run), and ``derived(means)``: further numbers of dev, by name, from the
            means of the parts.
        train_dataset: indexed by ``(epoch, item)``.
        dev_dataset: indexed likewise, with epoch 0.
        collate: items to a training batch.
        collate_dev: items to an evaluation batch.
        item_sec: seconds of audio of a training item, for the progress bar.
        fingerprint: what changes the result of a step, besides the training settings.
        about: what the record of the training says of it.
        callbacks: what watches the training, or steers it by the step alone (a temperature).
        ledger: what counts the items that were heard, by the entry ``seen`` of the batches.
        relate: tells the micro-batches of a step of each other, once a step on every rank, by entries
            that it adds to them: ``relate(model, micro-batches on the CPU)``. It is called right before
            the first forward pass, without gradients, in training mode and in the run's precision.
            The random state is that of the forward passes, and put back afterwards: if it passes
            the micro-batches through the model in their order, dropout falls as it will then.
    """

    model: PreTrainedModel
    train_dataset: KeyedDataset
    dev_dataset: KeyedDataset
    collate: Collate
    collate_dev: Collate
    item_sec: float
    fingerprint: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    callbacks: tuple[TrainerCallback, ...] = ()
    ledger: Ledger | None = None
    relate: Relate | None = None
