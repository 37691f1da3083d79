"""Keyed generators depend on the key alone; the fence gives every global state back."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import audiorig
from audiorig.randomness import keyed_generator, random_state_fence


def test_equal_keys_give_equal_numbers_and_no_other_key_does() -> None:
    keys = [
        ("mask", 0, 1, 2),
        ("mask", 0, 2, 1),
        ("mask", 0, 12),
        ("mask", 1, 2),
        ("crop", 0, 1, 2),
        ("mask", 0, 1, "2"),
    ]
    keys += [("mask", "0", 1, 2), ("mask", 0, 1, 2, 0), ("mask",), ()]
    drawn = [keyed_generator(*key).random(4).tobytes() for key in keys]
    assert len(set(drawn)) == len(keys)
    assert [keyed_generator(*key).random(4).tobytes() for key in reversed(keys)] == drawn[::-1]


def test_numbers_are_those_of_every_process_and_release() -> None:
    """A changed key function changes every crop and mask of every run: on purpose only."""
    here = keyed_generator("mask", 3, "a.wav").integers(0, 1 << 30, 3).tolist()
    assert here == [6163515, 317257553, 998868230]
    code = (
        "from audiorig.randomness import keyed_generator\n"
        "print(keyed_generator('mask', 3, 'a.wav').integers(0, 1 << 30, 3).tolist())"
    )
    environment = {"PYTHONPATH": str(Path(audiorig.__file__).parents[1]), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(here)


def test_an_index_of_numpy_is_the_same_key_as_the_number_it_holds() -> None:
    """Samplers hand out NumPy integers as easily as Python's: the same item, so the same crop."""
    expected = keyed_generator("crop", 0, 3).random(4)
    assert np.array_equal(keyed_generator("crop", np.int64(0), np.int32(3)).random(4), expected)


def test_neighbouring_keys_are_independent_and_uniform() -> None:
    first = np.array([keyed_generator("crop", 0, 0, item).random(2) for item in range(4000)])
    assert abs(first.mean() - 0.5) < 0.02
    assert np.abs(np.corrcoef(first.T)[0, 1]) < 0.06
    assert np.abs(np.corrcoef(first[:-1, 0], first[1:, 0])[0, 1]) < 0.06
    counts = np.histogram(first[:, 0], bins=20, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 52  # chi-square of 19 degrees, p < 1e-4


@pytest.mark.parametrize("is_broken", [False, True])
def test_the_fence_gives_all_global_states_back(is_broken: bool) -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    def seed() -> None:
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)

    seed()
    untouched = [draw(), draw()]
    seed()
    first = draw()
    try:
        with random_state_fence():
            seed()
            draw()
            torch.manual_seed(99)
            if is_broken:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [first, draw()] == untouched


def test_keyed_generators_leave_the_global_state_alone() -> None:
    np.random.seed(2)
    expected = np.random.random()
    np.random.seed(2)
    keyed_generator("mask", 1).random(100)
    assert np.random.random() == expected
