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
