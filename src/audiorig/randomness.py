"""Random numbers that are named, not remembered.

Everything that a result depends on is drawn from a generator that is built on the spot from a
key: what it is for, the seed of the run, the epoch, the item. A crop can then be named in a log
and read again, and neither the number of workers nor a restart changes anything.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray


def keyed_generator(*key: str | int) -> np.random.Generator:
    """A generator that depends on the key and on nothing else.

    Args:
        key: what the numbers are for and which item they belong to, e.g.
            ``("mask", seed, epoch, item)``. The order of the parts matters.
    """
    # A NumPy integer is the number that it holds.
    parts = [part if isinstance(part, str) else int(part) for part in key]
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


class KeyedPermutation:
    """A permutation of ``range(num_items)`` that is computed place by place.

    It needs no memory: an epoch over ten million hours-long recordings has hundreds of millions of
    items. A Feistel network permutes the next power of four; places that fall outside the range
    are sent through it again until they fall inside (Black and Rogaway, "Ciphers with Arbitrary
    Finite Domains", 2002).

    Args:
        num_items: length of the range.
        key: names the permutation, as in ``keyed_generator``.
    """

    ROUNDS = 6

    def __init__(self, num_items: int, *key: str | int) -> None:
        self.num_items = num_items
        self._half_bits = max(1, (max(1, num_items - 1).bit_length() + 1) // 2)
        self._keys = keyed_generator(*key).integers(0, 2**63, self.ROUNDS, dtype=np.uint64)

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """What stands at some places (n,)."""
        found = np.asarray(places, dtype=np.uint64)
        is_outside = np.ones(found.shape, dtype=bool)
        while is_outside.any():
            found = np.where(is_outside, self._mix(found), found)
            is_outside = found >= self.num_items
        return found.astype(np.int64)

    def _mix(self, places: NDArray[np.uint64]) -> NDArray[np.uint64]:
        bits, mask = np.uint64(self._half_bits), np.uint64((1 << self._half_bits) - 1)
        left, right = places >> bits, places & mask
        for key in self._keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
            mixed *= np.uint64(0xD6E8FEB86659FD93)
            left, right = right, left ^ (mixed >> np.uint64(32) & mask)
        return left << bits | right


@contextmanager
def random_state_fence() -> Iterator[None]:
    """Leave the global random states of Python, NumPy and torch as they were found.

    Evaluation, probes and logging run inside it, so that a run with them ends in the same
    weights, byte for byte, as one without.
    """
    import torch

    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
