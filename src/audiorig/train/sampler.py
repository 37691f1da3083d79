"""The order of the data, as a stream that is addressed by position.

Epochs of shuffled items follow each other without end; step, micro-batch and rank say which
stretch of the stream to take. The same global batches come out on 1, 2 or 4 ranks, and resuming
is a matter of starting further on.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from audiorig.randomness import KeyedPermutation


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Micro-batches of ``(epoch, item)`` for a whole run.

    Args:
        num_items: items of an epoch.
        batch_size: items per rank and micro-batch.
        num_batches: micro-batches of the whole run, per rank.
        seed: seed of the run.
        rank: this process, of ``world_size``.
    """

    def __init__(
        self, num_items: int, batch_size: int, num_batches: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.num_items, self.batch_size, self.num_batches = num_items, batch_size, num_batches
        self.seed, self.rank, self.world_size = seed, rank, world_size

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in range(self.num_batches):
            first = (batch * self.world_size + self.rank) * self.batch_size
            yield self._keys(np.arange(first, first + self.batch_size))

    def _keys(self, positions: NDArray[np.int64]) -> list[tuple[int, int]]:
        """What stands at some consecutive positions of the stream."""
        keys: list[tuple[int, int]] = []
        epochs, places = np.divmod(positions, self.num_items)
        for epoch in np.unique(epochs):
            order = KeyedPermutation(self.num_items, "order", self.seed, epoch)
            keys += [(int(epoch), item) for item in order[places[epochs == epoch]].tolist()]
        return keys
