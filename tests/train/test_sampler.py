"""The stream of items: every item once an epoch, the same for any number of ranks."""

import numpy as np
import pytest

from audiorig.randomness import KeyedPermutation
from audiorig.train.sampler import StepSampler


@pytest.mark.parametrize("num_items", [1, 2, 3, 7, 64, 1000, 65536, 100_003])
def test_a_permutation_holds_everything_once(num_items: int) -> None:
    order = KeyedPermutation(num_items, "order", 0, 1)[np.arange(num_items)]
    assert np.array_equal(np.sort(order), np.arange(num_items))


def test_a_permutation_looks_like_chance() -> None:
    """Places and items in 50 x 50 blocks: chi-square by its degrees of freedom is 1 for chance."""
    order = KeyedPermutation(250_000, "order", 0, 1)[np.arange(250_000)]
    counts = np.histogram2d(np.arange(250_000), order, bins=50)[0]
    assert 0.9 < ((counts - 100) ** 2 / 100).sum() / 49**2 < 1.1
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.01


def test_keys_and_epochs_differ() -> None:
    places = np.arange(1000)
    orders = [KeyedPermutation(1000, "order", seed, epoch)[places] for seed in (0, 1) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4


def test_an_epoch_has_every_item_once() -> None:
    keys = [key for batch in StepSampler(37, 5, 30, seed=3) for key in batch]
    for epoch in range(4):
        assert sorted(item for which, item in keys if which == epoch) == list(range(37))


def test_global_batches_are_the_same_on_any_number_of_ranks() -> None:
    alone = list(StepSampler(37, 8, 10, seed=3))
    for world_size in (2, 4):
        ranks = [list(StepSampler(37, 8 // world_size, 10, 3, rank, world_size)) for rank in range(world_size)]
        together = [[key for rank in ranks for key in rank[step]] for step in range(10)]
        assert together == alone
