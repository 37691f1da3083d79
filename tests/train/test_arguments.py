"""Evaluations by epochs: whole steps, for any batches, accumulation and ranks."""

import importlib.util
from pathlib import Path

import pytest

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError
from audiorig.train.arguments import eval_interval, training_arguments

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit


@pytest.mark.parametrize(
    ("epochs", "num_items", "batch_size", "accumulation", "ranks", "steps"),
    [
        (1.0, 100, 4, 1, 1, 25),
        (0.5, 100, 4, 1, 1, 12),  # 12.5: to the even one, as Python rounds
        (0.3, 100, 4, 1, 1, 8),  # 7.5 as well
        (1.0, 10, 4, 1, 1, 2),  # 2.5
        (1.0, 11, 4, 1, 1, 3),  # 2.75
        (2.0, 10, 4, 1, 1, 5),
        (0.01, 100, 4, 1, 1, 1),  # never none
        (1.0, 100, 4, 5, 1, 5),
        (1.0, 100, 4, 1, 2, 12),
        (3.0, 100, 5, 2, 2, 15),
    ],
)
def test_epochs_in_steps(
    monkeypatch: pytest.MonkeyPatch, epochs: float, num_items: int, batch_size: int, accumulation: int, ranks, steps
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    settings = TrainConfig(eval_epochs=epochs, batch_size=batch_size, accumulation=accumulation, eval_steps=77)
    assert eval_interval(settings, num_items) == steps


def test_without_epochs_the_steps_count(tmp_path: Path) -> None:
    settings = TrainConfig(eval_steps=77)
    assert eval_interval(settings, 3) == 77
    assert training_arguments(settings, tmp_path, 0, 3).eval_steps == 77


def test_a_run_looks_at_dev_by_epochs(tmp_path: Path) -> None:
    """Ten items, 2 x 2 a step: an epoch is 2.5 steps, so dev comes after every second one."""
    history, _ = toy_fit(tmp_path, eval_epochs=1.0, batch_size=2, accumulation=2, eval_steps=5, max_steps=7)
    assert [entry["step"] for entry in history if "eval_error" in entry] == [2, 4, 6, 7]


def test_dev_that_is_followed_must_be_looked_at_on_the_way(tmp_path: Path) -> None:
    followed = {"selection": {"metric": "error", "patience": 2}, "eval_epochs": 4.0, "max_steps": 8}
    with pytest.raises(ConfigError, match=r"eval_epochs is 4: 10 steps, at 10 items.*4 a step.*max_steps is 8"):
        toy_fit(tmp_path / "followed", **followed)
    history, _ = toy_fit(tmp_path / "only-logged", eval_epochs=4.0, max_steps=8)
    assert [entry["step"] for entry in history if "eval_error" in entry] == [8]
