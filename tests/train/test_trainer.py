"""The trainer: hooks that exist, exact means, a fence round evaluation, non-finite gradients."""

import importlib.util
import inspect
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import Trainer

from audiorig.config import LogConfig
from audiorig.errors import DataError, Unfinished
from audiorig.files import write_json
from audiorig.models import WaveMAE
from audiorig.train.fit import fit
from audiorig.train.part_sums import PartSums
from audiorig.train.trainer import RigTrainer

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)
tiny_run = HELPERS.tiny_run


def test_private_hooks_are_where_we_override_them() -> None:
    hooks = {
        "_save_checkpoint": ["model", "trial"],
        "_get_output_dir": ["trial"],
        "_get_grad_norm": ["model", "grad_norm"],
    }
    for name, parameters in hooks.items():
        assert list(inspect.signature(getattr(Trainer, name)).parameters)[1:] == parameters


def test_models_say_how_their_loss_is_normalised() -> None:
    assert "accepts_loss_kwargs" in vars(WaveMAE)


def test_part_sums_are_exact_means() -> None:
    sums = PartSums()
    for total, count in ((3.0, 1), (9.0, 5)):
        sums.add({"a": (torch.tensor(total), torch.tensor(count))})
    assert sums.means() == {"a": 2.0}
    assert sums.means() == {}


def make_trainer(make_experiment, folder: Path, **settings) -> RigTrainer:
    run = tiny_run(**settings)
    return RigTrainer(make_experiment(run), run.train, folder, run.seed)


def test_evaluation_does_not_depend_on_the_batch_size(make_experiment, tmp_path) -> None:
    scores = [make_trainer(make_experiment, tmp_path, batch_size=size).evaluate() for size in (1, 4, 9)]
    for name in ("eval_main_recon", "eval_shape", "eval_level"):
        assert scores[1][name] == pytest.approx(scores[0][name], rel=1e-5)
        assert scores[2][name] == pytest.approx(scores[0][name], rel=1e-5)


def test_evaluation_leaves_the_trajectory_alone(make_experiment, tmp_path) -> None:
    """Weights after 12 steps are equal, byte for byte, with an evaluation every 2 steps and with none."""
    weights = []
    for eval_steps in (2, 1000):
        run = tiny_run(max_steps=12, eval_steps=eval_steps)
        experiment = make_experiment(run)
        fit(experiment, run.train, tmp_path / str(eval_steps), run.seed)
        weights.append(experiment.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_decay_spares_norms_biases_and_tokens(make_experiment, tmp_path) -> None:
    trainer = make_trainer(make_experiment, tmp_path)
    spared = {id(p) for p in trainer.create_optimizer().param_groups[1]["params"]}
    for name, parameter in trainer.model.named_parameters():
        is_matrix = name.endswith("weight") and "norm" not in name
        assert (id(parameter) not in spared) == is_matrix, name


def poison(experiment, steps: set[int]) -> None:
    """Make the loss of some calls NaN."""
    original, calls = experiment.model.forward, iter(range(1, 10_000))

    def forward(**batch):
        output = original(**batch)
        if experiment.model.training and next(calls) in steps:
            output.loss = output.loss * float("nan")
        return output

    experiment.model.forward = forward


def test_a_bad_step_changes_nothing(make_experiment, tmp_path) -> None:
    run = tiny_run(max_steps=8)
    experiment = make_experiment(run)
    poison(experiment, {3, 6})
    history, _ = fit(experiment, run.train, tmp_path, run.seed)
    norms = [entry["grad_norm"] for entry in history if "grad_norm" in entry]
    assert [norm is not None for norm in norms] == [True, True, False, True, True, False, True, True]
    totals = [entry["total"] for entry in history if "total" in entry]
    assert [total is not None for total in totals] == [True, True, False, True, True, False, True, True]
    write_json(tmp_path / "history.json", history)  # which refuses NaN
    assert all(torch.isfinite(tensor).all() for tensor in experiment.model.state_dict().values())


def test_bad_steps_in_a_row_end_the_run(make_experiment, tmp_path) -> None:
    run = tiny_run(max_steps=20, max_bad_steps=3)
    experiment = make_experiment(run)
    poison(experiment, {5, 6, 7})
    with pytest.raises(DataError, match="3 steps in a row, up to step 7"):
        fit(experiment, run.train, tmp_path, run.seed)


def test_tensorboard_has_every_part_of_every_step_once(make_experiment, tmp_path) -> None:
    with pytest.raises(Unfinished):
        run = tiny_run(max_steps=20)
        fit(make_experiment(run), run.train, tmp_path, run.seed, stop_after_steps=13)
    # A kill loses the steps after the last checkpoint: take away the newest, so that 11 to 13 come again.
    checkpoint = tmp_path / "checkpoints" / "step-13"
    checkpoint.rename(tmp_path / "elsewhere")
    fit(make_experiment(run), run.train, tmp_path, run.seed)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    for name in ("total", "main_recon", "shape", "level", "learning_rate", "grad_norm"):
        assert [event.step for event in events.Scalars(f"train/{name}")] == list(range(1, 21)), name
    assert [event.step for event in events.Scalars("eval/main_recon")] == [7, 14, 20]


def test_tensorboard_may_have_fewer_steps_and_the_log_has_all(make_experiment, tmp_path) -> None:
    run = tiny_run(max_steps=10)
    history, _ = fit(make_experiment(run), run.train, tmp_path, run.seed, log=LogConfig(every_steps=4))
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == [4, 8]
    assert [event.step for event in events.Scalars("eval/main_recon")] == [7, 10]
    assert [entry["step"] for entry in history if "total" in entry] == list(range(1, 11))


def test_a_fresh_start_leaves_no_points_of_the_run_before(make_experiment, tmp_path) -> None:
    for rate in (1e-3, 5e-4):
        run = tiny_run(max_steps=6, learning_rate=rate)
        fit(make_experiment(run), run.train, tmp_path, run.seed)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("train/total")] == list(range(1, 7))
    assert max(event.value for event in events.Scalars("train/learning_rate")) == pytest.approx(5e-4)
