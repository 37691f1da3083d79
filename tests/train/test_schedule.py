"""Courses of the learning rate: the exact rate of every step, also of a run that was cut."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from audiorig.config import PlateauConfig, SelectionConfig, TrainConfig
from audiorig.errors import Unfinished
from audiorig.randomness import keyed_generator
from audiorig.train.schedule import PlateauSchedule, num_reductions, plateau_share, warmup_steps

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

PEAK, STEPS, WARMUP = 0.01, 10, 3


def rates_of(history: list[dict]) -> list[float]:
    return [entry["learning_rate"] for entry in history if "learning_rate" in entry]


def cosine(step: int) -> float:
    share = 0.5 * (1.0 + math.cos(math.pi * 2.0 * 0.5 * (step - WARMUP) / (STEPS - WARMUP)))
    return share * 0.75 + 0.25


def linear(step: int) -> float:
    return (STEPS - step) / (STEPS - WARMUP)


@pytest.mark.parametrize(("schedule", "share"), [("cosine", cosine), ("linear", linear), ("constant", lambda step: 1)])
def test_the_rate_of_every_step(tmp_path: Path, schedule: str, share) -> None:
    """0.21 of 10 steps are 3, rounded up. The first step has rate 0."""
    settings = {"max_steps": STEPS, "schedule": schedule, "warmup_share": 0.21, "min_lr_share": 0.25}
    history, _ = toy_fit(tmp_path / "whole", **settings)
    expected = [PEAK * (step / WARMUP if step < WARMUP else share(step)) for step in range(STEPS)]
    assert rates_of(history) == expected
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "cut", stop_after_steps=5, **settings)
    assert rates_of(toy_fit(tmp_path / "cut", **settings)[0]) == expected


def settings_of(**changes) -> TrainConfig:
    selection = {"metric": "planted", **changes.pop("selection", {})}
    plateau = {"factor": 0.5, "patience": 1, **changes.pop("plateau", {})}
    given = {"schedule": "reduce_on_plateau", "warmup_share": 0.2, "max_steps": 20, "learning_rate": PEAK, **changes}
    return TrainConfig(selection=SelectionConfig(**selection), plateau=PlateauConfig(**plateau), **given)


def planted_log(values: list[float]) -> list[dict]:
    return [{"step": step, "eval_planted": value} for step, value in enumerate(values, 1)]


def test_a_plateau_is_more_evaluations_without_a_gain_than_patience() -> None:
    def reductions(values: list[float], **changes) -> list[int]:
        settings = settings_of(warmup_share=0.0, **changes)
        return [num_reductions(planted_log(values[:count]), settings) for count in range(1, len(values) + 1)]

    assert reductions([5, 4, 4, 4, 4, 4, 4]) == [0, 0, 0, 1, 1, 2, 2]
    assert reductions([5, 4, 4, 3, 3, 3, 3]) == [0, 0, 0, 0, 0, 1, 1]
    assert reductions([1, 2, 2, 2], selection={"mode": "max"}, plateau={"patience": 0}) == [0, 0, 1, 2]
    assert reductions([5, 4.9, 4.8, 4.7], selection={"delta": 0.25}) == [0, 0, 1, 1]  # 4.7 is .3 below 5
    assert reductions([math.nan, math.nan, math.nan]) == [0, 1, 1]


def test_what_dev_gives_during_warm_up_does_not_count() -> None:
    """4 steps of warm-up: neither the waiting nor the best of before."""
    settings = settings_of()
    assert warmup_steps(settings) == 4
    assert num_reductions(planted_log([1, 1, 1]), settings) == 0
    assert num_reductions(planted_log([1, 1, 1, 9, 8, 7]), settings) == 0
    assert num_reductions(planted_log([1, 1, 1, 9, 9, 9]), settings) == 1
    assert [plateau_share(step, 2, settings) for step in (0, 1, 3, 4, 5)] == [0, 0.0625, 0.1875, 0.25, 0.25]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [0, 1, 3])
def test_reductions_are_those_of_torch(mode: str, patience: int) -> None:
    """Over 300 random evaluations, after warm-up: the same rate after each of them."""
    generator = keyed_generator("plateau", mode, patience)
    drift = -0.01 if mode == "min" else 0.01
    values = (drift * generator.permutation(300) + generator.standard_normal(300)).round(1).tolist()
    settings = settings_of(selection={"mode": mode, "delta": 0.1}, plateau={"patience": patience}, max_steps=20)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    reference = ReduceLROnPlateau(theirs, mode, 0.5, patience, threshold=0.1, threshold_mode="abs", eps=0)
    reductions = 0
    for step in range(4, 301):
        reference.step(values[step - 1])
        reductions = num_reductions(planted_log(values[:step]), settings)
        assert PEAK * plateau_share(step, reductions, settings) == theirs.param_groups[0]["lr"]
    assert reductions > 5


def test_groups_have_peaks_of_their_own_and_a_state_that_loads_safely(tmp_path: Path) -> None:
    def make() -> tuple[torch.optim.Optimizer, PlateauSchedule]:
        groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (1.0, 0.125)]
        optimizer = torch.optim.AdamW(groups)
        return optimizer, PlateauSchedule(optimizer, settings_of())

    optimizer, schedule = make()
    seen = []
    for step in range(1, 7):
        optimizer.step()
        schedule.step()
        schedule.take_in(step // 3)
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        seen.append(schedule.get_last_lr())
    assert seen == [[rate, rate / 8] for rate in (0.25, 0.5, 0.375, 0.5, 0.5, 0.25)]
    torch.save(schedule.state_dict(), tmp_path / "scheduler.pt")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    optimizer, schedule = make()
    optimizer.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    schedule.load_state_dict(torch.load(tmp_path / "scheduler.pt", weights_only=True))
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.03125]


PLANTED = [9.0, 8.0, 7.0, 6.0, 5.0, 5.0, 5.0, 4.0, 4.0, 4.0, 4.0, 4.0]
COURSE = {
    "schedule": "reduce_on_plateau",
    "warmup_share": 0.25,  # 3 steps
    "max_steps": 12,
    "eval_steps": 1,
    "save_steps": 4,
    "plateau": {"factor": 0.5, "patience": 1},
    "selection": {"metric": "planted"},
}
# Evaluated after step 5, 6 and 7: the rate is halved from the eighth on; so again from the eleventh on.
SHARES = [0, 1 / 3, 2 / 3, *[1.0] * 4, *[0.5] * 3, *[0.25] * 2]


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, list[dict]]:
    """A run in one go: its folder, settings and log."""
    folder = tmp_path_factory.mktemp(f"whole-{request.param}")
    options = {"planted": PLANTED, "dropout": 0.2, "precision": request.param, **COURSE}
    return folder, options, toy_fit(folder, **options)[0]


def test_the_rates_of_a_run_on_a_plateau(whole) -> None:
    assert rates_of(whole[2]) == [PEAK * share for share in SHARES]


@pytest.mark.parametrize("cut", [2, 6, 7, 9])
def test_a_run_on_a_plateau_that_was_cut_has_the_same_rates(whole, tmp_path: Path, cut: int) -> None:
    folder, options, expected = whole
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=cut, **options)
    assert toy_fit(tmp_path, **options)[0] == expected
    steps = [each / "checkpoints" / "step-12" for each in (folder, tmp_path)]
    weights = [(step / "model.safetensors").read_bytes() for step in steps]
    assert weights[0] == weights[1]
    optimizers = [torch.load(step / "optimizer.pt", weights_only=True) for step in steps]
    rates = [[group["lr"] for group in optimizer["param_groups"]] for optimizer in optimizers]
    assert rates[0] == rates[1] == [PEAK / 8, PEAK / 8, PEAK * 0.1 / 8]  # the last two brought nothing either
