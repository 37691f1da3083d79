"""Losses per counted frame: over micro-batches and steps; and what is logged of them."""

import importlib.util
from pathlib import Path

import pytest
import torch

from audiorig.errors import DataError
from audiorig.train.trainer import MOST_OVERFLOWS, RigTrainer

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit, toy_experiment = TOY.toy_fit, TOY.toy_experiment


def test_the_loss_is_that_of_the_whole_accumulated_batch(tmp_path: Path) -> None:
    """1 x 8, 2 x 4 and 8 x 1, with masks of 1 to 10 frames: one trajectory, one log, one ledger."""
    runs = {size: toy_fit(tmp_path / str(size), batch_size=size, accumulation=8 // size) for size in (8, 4, 1)}
    history, experiment = runs[8]
    for size in (4, 1):
        other_history, other = runs[size]
        assert other.ledger.crops == experiment.ledger.crops
        for ours, theirs in zip(other_history, history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
        for name, weight in experiment.model.state_dict().items():
            torch.testing.assert_close(other.model.state_dict()[name], weight, atol=1e-5, rtol=1e-4)


def test_the_logged_total_is_the_part_per_counted_frame(tmp_path: Path) -> None:
    """And not a mean of the micro-batches' means, which is another number with masks so unequal."""
    history, experiment = toy_fit(tmp_path, batch_size=1, accumulation=8, max_steps=1)
    (entry, evaluation) = history
    assert entry["total"] == pytest.approx(entry["error"], rel=1e-6)
    model = toy_experiment().model
    model.set_gumbel_temperature(0.5)
    # The stream's first items, as the ledger has them: the 8 of the first step.
    items = [experiment.train_dataset[0, item] for item, _ in experiment.ledger.crops]
    with torch.no_grad():
        alone = [model(**without_seen(TOY.collate([item])))["parts"]["error"] for item in items]
    sums, counts = (torch.stack(values) for values in zip(*alone, strict=True))
    assert entry["error"] == pytest.approx((sums.sum() / counts.sum()).item(), rel=1e-5)
    assert (sums / counts).mean().item() != pytest.approx(entry["error"], rel=1e-3)
    assert entry["share"] == pytest.approx(counts.sum().item() / (8 * TOY.NUM_FRAMES))
    assert "eval_error" in evaluation


def without_seen(batch: dict) -> dict:
    return {name: value for name, value in batch.items() if name != "seen"}


def test_a_model_that_averages_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With accepts_loss_kwargs False no count arrives, and parts are means of micro-batches, as the loss is."""
    monkeypatch.setattr(TOY.ToyModel, "accepts_loss_kwargs", False)
    history, _ = toy_fit(tmp_path / "means", batch_size=1, accumulation=8, max_steps=1)
    assert history[0]["total"] == pytest.approx(history[0]["error"], rel=1e-6)
    monkeypatch.undo()
    counted, _ = toy_fit(tmp_path / "counts", batch_size=1, accumulation=8, max_steps=1)
    assert history[0]["error"] != pytest.approx(counted[0]["error"], rel=1e-3)


def test_every_step_logs_the_ledger_and_the_temperature(tmp_path: Path) -> None:
    history, _ = toy_fit(tmp_path)
    steps = [entry for entry in history if "total" in entry]
    assert [entry["heard"] for entry in steps] == [4.0 * step for step in range(1, 9)]
    assert [entry["temperature"] for entry in steps] == [max(0.1, 0.5 * 0.9**step) for step in range(8)]
    assert all("overflows" not in entry for entry in history)
    assert [entry["step"] for entry in history if "eval_error" in entry] == [3, 6, 8]
    assert not any("heard" in entry for entry in history if "eval_error" in entry)


def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the loss were scaled: the arithmetic of half precision needs a GPU, the bookkeeping does not."""
    monkeypatch.setattr(RigTrainer, "_is_scaled", property(lambda trainer: True))


def test_overflows_are_counted_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than max_bad_steps of them: with fp16 that is how a scale is found."""
    scaled(monkeypatch)
    first = toy_experiment().train_dataset
    poisoned = tuple(1000 * epoch + item for epoch in (0, 1) for item in range(len(first)))
    history, experiment = toy_fit(tmp_path, poisoned=poisoned, max_steps=8, max_bad_steps=2)
    steps = [entry for entry in history if "total" in entry]
    is_bad = [entry["grad_norm"] is None for entry in steps]
    assert 2 < sum(is_bad) < 8  # epochs 0 and 1 are poisoned, 2 and 3 are not
    assert [entry["overflows"] for entry in steps] == [sum(is_bad[: step + 1]) for step in range(8)]
    assert all(torch.isfinite(weight).all() for weight in experiment.model.state_dict().values())


def test_overflows_go_on_counting_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled(monkeypatch)
    poisoned = tuple(range(10))
    whole, _ = toy_fit(tmp_path / "whole", poisoned=poisoned)
    with pytest.raises(TOY.Unfinished):
        toy_fit(tmp_path / "cut", poisoned=poisoned, stop_after_steps=2)
    assert toy_fit(tmp_path / "cut", poisoned=poisoned)[0] == whole
    assert whole[-2]["overflows"] > 0


def test_a_long_row_of_overflows_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled(monkeypatch)
    poisoned = tuple(1000 * epoch + item for epoch in range(30) for item in range(10))
    with pytest.raises(DataError, match=rf"overflowed in {MOST_OVERFLOWS} steps in a row, up to step {MOST_OVERFLOWS}"):
        toy_fit(tmp_path, poisoned=poisoned, max_steps=60, save_steps=100, eval_steps=100)
