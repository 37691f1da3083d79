"""The order of the data, as a stream that is addressed by position.

Epochs of shuffled items follow each other without end; step, micro-batch and rank say which
stretch of the stream to take. The same global batches come out on 1, 2 or 4 ranks, and resuming
is a matter of starting further on.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from audiorig.randomness import keyed_generator


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
        epoch, order = -1, np.empty(0, dtype=np.int64)
        for batch in range(self.num_batches):
            first = (batch * self.world_size + self.rank) * self.batch_size
            keys = []
            for position in range(first, first + self.batch_size):
                if position // self.num_items != epoch:
                    epoch = position // self.num_items
                    order = keyed_generator("order", self.seed, epoch).permutation(self.num_items)
                keys.append((epoch, int(order[position % self.num_items])))
            yield keys
