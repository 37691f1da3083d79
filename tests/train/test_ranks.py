"""Several ranks of one training, by gloo: one trajectory, one stop, one writer, nothing left behind."""

import importlib.util
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from audiorig.files import read_json
from audiorig.train import checkpoints, ranks

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
PROGRAM = str(Path(__file__).with_name("toy.py"))


def test_one_process_agrees_with_itself(tmp_path: Path) -> None:
    assert (ranks.world_size(), ranks.rank(), ranks.is_main()) == (1, 0, True)
    assert ranks.largest(3) == 3
    assert ranks.in_turn([1, 2]) == [1, 2]
    assert ranks.from_main(lambda: "made") == "made"
    assert ranks.stacked(torch.ones(2)).shape == (1, 2)
    assert ranks.total(torch.ones(2)).tolist() == [1, 1]
    assert ranks.worker_options(TOY.ToyData(3), TOY.collate) == {}
    with ranks.joined(tmp_path / "owner.json"):
        ranks.barrier()
        assert (tmp_path / "owner.json").exists()
    assert not (tmp_path / "owner.json").exists()


def test_two_ranks_are_one_process_with_larger_batches(fork_ranks: Callable, tmp_path: Path) -> None:
    """4 items on each of 2 ranks, whole and cut by a signal to the second one, against 8 items in one process."""
    assert fork_ranks(lambda: TOY.program(tmp_path, "compare", {})) == [0, 0], log_of(tmp_path)
    first, second = (read_json(tmp_path / f"rank-{rank}.json") for rank in range(2))
    assert first == second
    assert first["cut"] == first["whole"]
    assert "stopped by SIGTERM at step 5 of 8" in first["stopped"]
    history, experiment = TOY.toy_fit(tmp_path / "alone", batch_size=8)
    assert first["whole"]["crops"] == experiment.ledger.crops
    for ours, theirs in zip(first["whole"]["history"], history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    for name, weight in experiment.model.state_dict().items():
        torch.testing.assert_close(torch.tensor(first["whole"]["weights"][name]), weight, atol=1e-5, rtol=1e-4)
    checkpoint = tmp_path / "whole" / "checkpoints" / "step-8"
    assert checkpoints.broken_because(checkpoint) is None
    assert checkpoints.num_ranks(checkpoint) == 2
    assert set(read_json(checkpoint / "seal.json")["sha256"]) >= {"rng_state_0.pth", "rng_state_1.pth", "heard.json"}


def log_of(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))


def wait_for(condition: Callable[[], Any], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


LONG = ["max_steps=4000", "save_steps=10", "eval_steps=50", "num_workers=1"]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_torchrun_ends_with_0_and_leaves_nothing(launch: Callable, tmp_path: Path, num_workers: int) -> None:
    folder = tmp_path / "run"
    started = launch([PROGRAM, str(folder), "fit", f"num_workers={num_workers}"])
    assert started.process.wait(400) == 0, log_of(tmp_path)
    assert started.left_after(10) == []
    assert sorted(path.name for path in folder.iterdir()) == [
        *("checkpoints", "final.ckpt", "final.ckpt.provenance.json", "history.json", "model", "tensorboard")
    ]
    assert len(list((folder / "tensorboard").iterdir())) == 1
    alone, _ = TOY.toy_fit(tmp_path / "alone", batch_size=8)
    for ours, theirs in zip(read_json(folder / "history.json"), alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_torchrun_saves_and_the_run_goes_on(launch: Callable, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "run"
    started = launch([PROGRAM, str(folder), "fit", *LONG])
    wait_for(lambda: checkpoints.list_checkpoints(folder / "checkpoints"))
    started.process.send_signal(number)
    assert started.process.wait(400) == 1, log_of(tmp_path)
    assert started.left_after(10) == []
    assert f"stopped by {signal.Signals(number).name} at step" in log_of(tmp_path)
    newest = checkpoints.list_checkpoints(folder / "checkpoints")[0]
    assert checkpoints.broken_because(newest) is None
    assert f"at step {checkpoints.step_of(newest)} of 4000" in log_of(tmp_path)
    assert not (folder / "owner.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["torchrun", "rank"])
def test_nothing_outlives_a_kill(launch: Callable, tmp_path: Path, victim: str) -> None:
    """kill -9 of the launcher or of one rank, with workers: all is gone soon, and a new start goes on."""
    folder = tmp_path / "run"
    started = launch([PROGRAM, str(folder), "fit", *LONG])
    wait_for(lambda: checkpoints.list_checkpoints(folder / "checkpoints"))
    pid = started.process.pid if victim == "torchrun" else read_json(folder / "owner.json")["pid"]
    os.kill(pid, signal.SIGKILL)
    assert started.left_after(60) == [], log_of(tmp_path)
    newest = checkpoints.step_of(checkpoints.list_checkpoints(folder / "checkpoints")[0])
    again = launch([PROGRAM, str(folder), "fit", *LONG[:3], "stop_after_steps=3"])
    again.process.wait(400)
    assert f"at step {newest + 3} of 4000" in log_of(tmp_path)
    assert again.left_after(10) == []


@pytest.mark.slow
def test_a_bad_step_of_one_rank_is_skipped_by_both(fork_ranks: Callable, tmp_path: Path) -> None:
    """An item whose loss is NaN, on the last rank in the first step: the same as in one process."""
    _, experiment = TOY.toy_fit(tmp_path / "look", batch_size=8, max_steps=1)
    bad = experiment.ledger.crops[4][0]
    assert fork_ranks(lambda: TOY.program(tmp_path, "compare", {"poisoned": (bad,)})) == [0, 0], log_of(tmp_path)
    first, second = (read_json(tmp_path / f"rank-{rank}.json") for rank in range(2))
    assert first == second
    assert first["cut"] == first["whole"]
    norms = [entry["grad_norm"] for entry in first["whole"]["history"] if "grad_norm" in entry]
    assert norms[0] is None
    assert None not in norms[1:]


@pytest.mark.slow
def test_an_error_on_one_rank_ends_both(fork_ranks: Callable, tmp_path: Path) -> None:
    """The second process cannot read an item: it says so, the first loses its partner, and none waits."""
    assert fork_ranks(lambda: TOY.program(tmp_path, "fit", {"broken_rank": 1})) == [1, 1]
    assert "item 3: cannot be read" in (tmp_path / "rank-1.log").read_text()
    assert not (tmp_path / "final.ckpt").exists()
    assert not (tmp_path / "owner.json").exists()


@pytest.mark.slow
def test_fewer_dev_items_than_ranks(fork_ranks: Callable, tmp_path: Path) -> None:
    options = {"num_dev": 1, "max_steps": 5}
    assert fork_ranks(lambda: TOY.program(tmp_path, "compare", options), 3) == [0, 0, 0], log_of(tmp_path)
    found = [read_json(tmp_path / f"rank-{rank}.json") for rank in range(3)]
    assert found[0] == found[1] == found[2]
    assert found[0]["whole"]["history"][-1]["eval_error"] > 0
