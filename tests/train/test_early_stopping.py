"""Runs that follow dev: they end early, keep the best and give it back, whatever they go through meanwhile."""

import importlib.util
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError, ResumeError, Unfinished
from audiorig.files import read_json, write_json
from audiorig.randomness import keyed_generator
from audiorig.train import checkpoints
from audiorig.train.fit import run_fingerprint

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

# Dev after each step. It is looked at after 2, 4, ...: the best is 6, then come 8, 10 and 12 without a gain.
PLANTED = [9, 5, 9, 4, 9, 2, 9, 3, 9, 3, 9, 3, 1, 1]
SELECTION = {"metric": "planted", "keep_best": True, "patience": 3}
OPTIONS: dict[str, Any] = {
    **{"planted": PLANTED, "dropout": 0.2, "max_steps": 14, "eval_steps": 2, "save_steps": 5, "selection": SELECTION},
    **{"schedule": "reduce_on_plateau", "plateau": {"factor": 0.5, "patience": 0}},
}
OUTCOME = {"step": 12, "best_step": 6, "best_value": 2.0, "weights_step": 6, "stopped_early_at": 12}


def steps_of(folder: Path) -> list[int]:
    return sorted(checkpoints.step_of(path) for path in checkpoints.list_checkpoints(folder / "checkpoints"))


NAMES = ("model.safetensors", "scheduler.pt", "rng_state.pth")


def bytes_of(folder: Path) -> dict[str, list[bytes]]:
    """What lies in the checkpoints, but for the optimizer: equal tensors may be pickled otherwise."""
    return {path.name: [(path / name).read_bytes() for name in NAMES] for path in folder.glob("checkpoints/step-*")}


def optimizer_of(folder: Path, step: int) -> list[torch.Tensor]:
    state = torch.load(folder / "checkpoints" / f"step-{step}" / "optimizer.pt", weights_only=True)["state"]
    return [tensor for number in sorted(state) for _, tensor in sorted(state[number].items())]


def require_equal(folder: Path, whole: Path) -> None:
    """The same checkpoints, to the byte, and the same momenta."""
    assert bytes_of(folder) == bytes_of(whole)
    for step in steps_of(whole):
        pairs = zip(optimizer_of(folder, step), optimizer_of(whole, step), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def require_weights(experiment: Any, checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    assert weights.keys() == experiment.model.state_dict().keys()
    assert all(torch.equal(value, weights[name]) for name, value in experiment.model.state_dict().items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run in one go that stops early, and its log."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, toy_fit(folder, **OPTIONS)[0]


def test_a_run_ends_early_with_its_best_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys) -> None:
    with caplog.at_level(logging.INFO):
        history, experiment = toy_fit(tmp_path, **OPTIONS)
    assert history[-1] == OUTCOME
    assert [entry["step"] for entry in history if "total" in entry] == list(range(1, 13))
    assert [entry["step"] for entry in history if "eval_planted" in entry] == [2, 4, 6, 8, 10, 12]
    # Saved at 2, 4 and 6 as gains, at 5 and 10 as always, at 12 as the end: the two newest and the best are left.
    assert steps_of(tmp_path) == [6, 10, 12]
    require_weights(experiment, tmp_path / "checkpoints" / "step-6")
    last = load_file(tmp_path / "checkpoints" / "step-12" / "model.safetensors")
    assert not torch.equal(last["outer.weight"], experiment.model.state_dict()["outer.weight"])
    assert "stopped early at step 12 of 14: eval_planted has not gained more than 0 in 3 evaluations" in caplog.text
    assert "the weights are those of step 6, the best one: eval_planted 2" in caplog.text
    assert "train, stops at step 12 early" in capsys.readouterr().err


def test_a_run_that_ended_early_is_not_trained_again(whole, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, history = whole
    before = bytes_of(folder)
    with caplog.at_level(logging.INFO):
        again, experiment = toy_fit(folder, **OPTIONS)
    assert again == history
    assert "step-12 holds the whole run: nothing to train" in caplog.text
    require_weights(experiment, folder / "checkpoints" / "step-6")
    assert bytes_of(folder) == before
    assert len(experiment.ledger.crops) == 4 * 12


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 7, 10, 11])
def test_a_cut_run_equals_an_unbroken_one(whole, tmp_path: Path, cut: int) -> None:
    """Before the best evaluation, at it, and after it; rates that follow dev, and dropout, are on."""
    folder, expected = whole
    with pytest.raises(Unfinished, match=f"step {cut} of 14"):
        toy_fit(tmp_path, stop_after_steps=cut, **OPTIONS)
    history, experiment = toy_fit(tmp_path, **OPTIONS)
    assert history == expected
    require_weights(experiment, tmp_path / "checkpoints" / "step-6")
    for step in (6, 12):
        ours, theirs = (bytes_of(each)[f"step-{step}"] for each in (tmp_path, folder))
        assert ours == theirs
        assert all(
            torch.equal(*pair) for pair in zip(optimizer_of(tmp_path, step), optimizer_of(folder, step), strict=True)
        )


def test_tensorboard_ends_where_the_run_did(tmp_path: Path) -> None:
    """Every step once, also after a stop whose checkpoint was lost; and no more of them when it is called again."""
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=7, **OPTIONS)
    (tmp_path / "checkpoints" / "step-7").rename(tmp_path / "elsewhere")
    for _ in range(2):
        toy_fit(tmp_path, **OPTIONS)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == list(range(1, 13))
    assert [(event.step, event.value) for event in events.Scalars("eval/planted")] == [
        *((2, 5.0), (4, 4.0), (6, 2.0), (8, 3.0), (10, 3.0), (12, 3.0))
    ]


def test_a_stop_in_the_step_of_the_early_end_is_that_end(whole, tmp_path: Path) -> None:
    history, _ = toy_fit(tmp_path, stop_after_steps=12, **OPTIONS)
    assert history == whole[1]


def test_two_runs_of_one_seed_are_equal(whole, tmp_path: Path) -> None:
    history, _ = toy_fit(tmp_path, **OPTIONS)
    assert history == whole[1]
    require_equal(tmp_path, whole[0])


class Crash(TrainerCallback):
    """Ends the process, as it were, right after an evaluation."""

    def __init__(self, at_step: int) -> None:
        self.at_step = at_step

    def on_evaluate(self, args: Any, state: Any, control: Any, **other: Any) -> None:
        if state.global_step == self.at_step:
            raise InterruptedError


@pytest.mark.parametrize(
    ("where", "at_step"),
    [
        ("evaluation", 4),
        ("evaluation", 6),
        ("seal", 6),
        ("rotate", 6),
        ("evaluation", 10),
        ("seal", 12),
        ("rotate", 12),
    ],
)
def test_a_crash_between_evaluation_and_save_changes_nothing(
    whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, at_step: int
) -> None:
    """Of an evaluation that gains (4, and 6, the best), of one that does not, and of the last."""
    if where == "evaluation":
        with pytest.raises(InterruptedError):
            toy_fit(tmp_path, callbacks=(Crash(at_step),), **OPTIONS)
    else:
        inner, root = getattr(checkpoints, where), tmp_path / "checkpoints"
        due = root / ".aside" / f"checkpoint-{at_step}" if where == "seal" else root / f"step-{at_step}"

        def crash(*arguments: Any, **options: Any) -> None:
            if due.exists():
                raise InterruptedError
            inner(*arguments, **options)

        with monkeypatch.context() as patched, pytest.raises(InterruptedError):
            patched.setattr(checkpoints, where, crash)
            toy_fit(tmp_path, **OPTIONS)
    history, experiment = toy_fit(tmp_path, **OPTIONS)
    assert history == whole[1]
    require_equal(tmp_path, whole[0])
    require_weights(experiment, tmp_path / "checkpoints" / "step-6")


@pytest.mark.parametrize("damage", ["flip", "delete"])
@pytest.mark.parametrize("cut", [9, None])
def test_a_lost_best_checkpoint_is_made_again(
    whole, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str, cut: int | None
) -> None:
    """Without it a run could not end as it must: it goes back to before it, and says so."""
    if cut is None:
        toy_fit(tmp_path, **OPTIONS)
    else:
        with pytest.raises(Unfinished):
            toy_fit(tmp_path, stop_after_steps=cut, **OPTIONS)
    lost = tmp_path / "checkpoints" / "step-6"
    if damage == "delete":
        lost.rename(tmp_path / "elsewhere")
    else:
        content = bytearray((lost / "model.safetensors").read_bytes())
        content[-3] ^= 1
        (lost / "model.safetensors").write_bytes(content)
    history, experiment = toy_fit(tmp_path, **OPTIONS)
    reason = "it is gone" if damage == "delete" else "model.safetensors is not what was written"
    newest = 12 if cut is None else cut
    assert f"step-{newest}: passed over: step-6, the best one before it, cannot be used: {reason}" in caplog.text
    assert history == whole[1]
    require_weights(experiment, whole[0] / "checkpoints" / "step-6")


def test_a_best_checkpoint_that_breaks_meanwhile_is_not_given_out(tmp_path: Path) -> None:
    """Damaged while the run goes on: nothing is loaded from it, and the next call trains again."""

    class Damage(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **other: Any) -> None:
            if state.global_step == 10:
                (tmp_path / "checkpoints" / "step-6" / "model.safetensors").write_bytes(b"")

    with pytest.raises(ResumeError, match=r"step-6: model\.safetensors is not what was written; run the same command"):
        toy_fit(tmp_path, callbacks=(Damage(),), **OPTIONS)
    assert toy_fit(tmp_path, **OPTIONS)[0][-1] == OUTCOME


def test_going_on_by_hand_from_elsewhere_takes_the_best_along(whole, tmp_path: Path) -> None:
    """From a copy of another folder's checkpoints, after the best one, and at it; alone it is refused."""
    first = tmp_path / "first"
    with pytest.raises(Unfinished):
        toy_fit(first, stop_after_steps=10, **OPTIONS)
    for step in (10, 6):
        folder = tmp_path / f"from-{step}"
        history, experiment = toy_fit(folder, resume_from=first / "checkpoints" / f"step-{step}", **OPTIONS)
        assert history == whole[1]
        assert 6 in steps_of(folder)
        require_weights(experiment, whole[0] / "checkpoints" / "step-6")
    (first / "checkpoints" / "step-6").rename(tmp_path / "away")
    with pytest.raises(ResumeError, match="step-6, the best one before it, cannot be used: it is gone"):
        toy_fit(tmp_path / "alone", resume_from=first / "checkpoints" / "step-10", **OPTIONS)


def test_going_back_by_hand_makes_the_same_best_again(whole, tmp_path: Path) -> None:
    """In the same folder, from the best one, with what came later still there."""
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=11, **OPTIONS)
    history, experiment = toy_fit(tmp_path, resume_from=tmp_path / "checkpoints" / "step-6", **OPTIONS)
    assert history == whole[1]
    require_weights(experiment, whole[0] / "checkpoints" / "step-6")


def test_without_keep_best_the_last_weights_are_the_result(whole, tmp_path: Path) -> None:
    options = {**OPTIONS, "selection": {**SELECTION, "keep_best": False}}
    history, experiment = toy_fit(tmp_path, **options)
    assert history[-1] == {**OUTCOME, "weights_step": 12}
    assert steps_of(tmp_path) == [10, 12]
    require_weights(experiment, whole[0] / "checkpoints" / "step-12")
    assert history[:-1] == whole[1][:-1]


def test_the_best_may_be_the_last_or_one_of_a_full_run(tmp_path: Path) -> None:
    options = {**OPTIONS, "selection": {**SELECTION, "patience": 0}}
    history, experiment = toy_fit(tmp_path / "last", **options)
    assert history[-1] == {"step": 14, "best_step": 14, "best_value": 1.0, "weights_step": 14}
    require_weights(experiment, tmp_path / "last" / "checkpoints" / "step-14")
    options["selection"] = {**options["selection"], "mode": "max"}
    history, experiment = toy_fit(tmp_path / "first", **options)
    assert history[-1] == {"step": 14, "best_step": 2, "best_value": 5.0, "weights_step": 2}
    assert steps_of(tmp_path / "first") == [2, 10, 14]
    again, experiment = toy_fit(tmp_path / "first", **options)
    assert again == history
    require_weights(experiment, tmp_path / "first" / "checkpoints" / "step-2")


def test_dev_that_is_never_finite_leaves_the_last_weights(tmp_path: Path) -> None:
    options = {**OPTIONS, "planted": [float("nan")], "selection": {**SELECTION, "patience": 0}}
    history, experiment = toy_fit(tmp_path, **options)
    assert history[-1] == {"step": 14, "best_step": None, "best_value": None, "weights_step": 14}
    require_weights(experiment, tmp_path / "checkpoints" / "step-14")
    options["selection"] = SELECTION
    assert toy_fit(tmp_path, **options)[0][-1]["stopped_early_at"] == 6


def test_an_unknown_metric_stops_at_the_first_evaluation(tmp_path: Path) -> None:
    options = {**OPTIONS, "selection": {**SELECTION, "metric": "uar"}}
    with pytest.raises(
        ConfigError, match=r"train.selection.metric.*no 'uar'; take one of error, planted, share, twice"
    ):
        toy_fit(tmp_path, **options)
    assert steps_of(tmp_path) == []


def test_gains_below_delta_end_a_run(tmp_path: Path) -> None:
    """0.1 at each evaluation, and 0.25 is asked for: the fourth, of step 8, is 0.3 better than the first."""
    planted = [9 - 0.05 * step for step in range(1, 30)]
    options = {**OPTIONS, "planted": planted, "max_steps": 29}
    history, _ = toy_fit(tmp_path / "two", **{**options, "selection": {**SELECTION, "delta": 0.25, "patience": 2}})
    assert (history[-1]["stopped_early_at"], history[-1]["best_step"]) == (6, 2)
    history, _ = toy_fit(tmp_path / "three", **{**options, "selection": {**SELECTION, "delta": 0.25, "patience": 3}})
    assert (history[-1]["step"], history[-1]["best_step"]) == (29, 26)


@pytest.mark.parametrize("settings", [{"num_workers": 1}, {"accumulation": 3, "batch_size": 2}, {"precision": "bf16"}])
def test_a_cut_is_exact_with_other_settings(tmp_path: Path, settings: dict[str, Any]) -> None:
    options = {**OPTIONS, **settings}
    expected, _ = toy_fit(tmp_path / "whole", **options)
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "cut", stop_after_steps=7, **options)
    history, experiment = toy_fit(tmp_path / "cut", **options)
    assert history == expected
    assert history[-1] == OUTCOME
    require_weights(experiment, tmp_path / "whole" / "checkpoints" / "step-6")


def test_two_ranks_stop_and_keep_as_one(fork_ranks: Callable, tmp_path: Path) -> None:
    """Whole, and cut by a signal to the second one; both end early, at the same step, with the same best."""
    options = {**OPTIONS, "dropout": 0.0}
    assert fork_ranks(lambda: TOY.program(tmp_path, "compare", options)) == [0, 0], "\n".join(
        path.read_text() for path in sorted(tmp_path.glob("*.log"))
    )
    first, second = (read_json(tmp_path / f"rank-{rank}.json") for rank in range(2))
    assert first == second
    assert first["cut"] == first["whole"]
    assert "stopped by SIGTERM at step 5 of 14" in first["stopped"]
    history, experiment = toy_fit(tmp_path / "alone", **{**options, "batch_size": 8})
    assert first["whole"]["history"][-1] == history[-1] == OUTCOME
    for name, weight in experiment.model.state_dict().items():
        torch.testing.assert_close(torch.tensor(first["whole"]["weights"][name]), weight, atol=1e-5, rtol=1e-4)
    assert steps_of(tmp_path / "whole") == [6, 10, 12]


@pytest.mark.slow
def test_kills_at_any_time_change_nothing(whole, tmp_path: Path) -> None:
    """kill -9 a little later each time, in forks of this process, until one gets through."""
    if torch.cuda.is_initialized():
        pytest.skip("CUDA is in use: no process can be forked")
    generator, kills, code = keyed_generator("kills"), 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        pid = os.fork()
        if pid == 0:
            toy_fit(tmp_path, **OPTIONS)
            os._exit(0)
        time.sleep(float(generator.uniform(0.1, 0.4 + 0.05 * kills)))
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        kills += code == -signal.SIGKILL
    assert kills > 2
    history, experiment = toy_fit(tmp_path, **OPTIONS)
    assert history == whole[1]
    require_weights(experiment, whole[0] / "checkpoints" / "step-6")


def test_a_step_that_comes_out_otherwise_is_saved_anew(whole, tmp_path: Path) -> None:
    """An older life, on other ranks perhaps, has left the best step behind with another evaluation of it."""
    for cut in (4, 3):
        with pytest.raises(Unfinished):
            toy_fit(tmp_path, stop_after_steps=cut, **OPTIONS)
        if cut == 4:
            shutil.copytree(tmp_path / "checkpoints" / "step-4", tmp_path / "older" / "step-4")
    other, aside = tmp_path / "checkpoints" / "step-6", tmp_path / "aside"
    shutil.copytree(other, aside)
    state = read_json(aside / "trainer_state.json")
    state["log_history"][-1]["eval_error"] += 0.001
    write_json(aside / "trainer_state.json", state)
    (aside / "model.safetensors").write_bytes((tmp_path / "older" / "step-4" / "model.safetensors").read_bytes())
    (aside / checkpoints.SEAL).unlink()
    checkpoints.seal(aside, other, 6, read_json(other / checkpoints.SEAL)["fingerprint"])
    assert checkpoints.broken_because(other) is None
    history, experiment = toy_fit(tmp_path, resume_from=tmp_path / "older" / "step-4", **OPTIONS)
    assert history == whole[1]
    require_weights(experiment, whole[0] / "checkpoints" / "step-6")


def fingerprint_of(**train: Any) -> dict[str, Any]:
    return run_fingerprint(TOY.toy_experiment(), TrainConfig.model_validate(train), 0)["train"]


def test_what_is_done_with_dev_belongs_to_a_run_only_if_something_is() -> None:
    plain = fingerprint_of()
    assert plain == fingerprint_of(selection={"metric": "x", "delta": 3.0, "mode": "max"}, eval_steps=7)
    assert plain == fingerprint_of(plateau={"factor": 0.1})
    assert not {"selection", "plateau", "eval_steps"} & set(plain)  # as it was before there were any
    for acting in ({"selection": {"keep_best": True}}, {"selection": {"patience": 2}}):
        mine = fingerprint_of(**acting)
        assert {"selection", "eval_steps"} < set(mine)
        assert "plateau" not in mine
        assert mine != fingerprint_of(**acting, eval_steps=7)
        assert mine != fingerprint_of(selection={**acting["selection"], "delta": 0.1})
    plateau = fingerprint_of(schedule="reduce_on_plateau")
    assert {"selection", "plateau", "eval_steps"} < set(plateau)
    assert plateau != fingerprint_of(schedule="reduce_on_plateau", plateau={"patience": 9})
