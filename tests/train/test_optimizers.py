"""Optimizers against the formulas they are written from, and against what the Trainer would build."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from audiorig.config import TrainConfig
from audiorig.errors import Unfinished
from audiorig.train.groups import parameter_groups
from audiorig.train.optimizers import build_optimizer

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

RATE, DECAY = 0.125, 0.5
GRADIENTS = (0.25, -1.0, 0.75)


def one_weight(value: float = 2.0) -> nn.Module:
    """A matrix of one number, so that it decays."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def course(**settings) -> list[float]:
    """The weight after each of the gradients."""
    model, found = one_weight(), []
    given = {"learning_rate": RATE, "weight_decay": DECAY, "betas": (0.5, 0.75), "epsilon": 0.01, **settings}
    optimizer = build_optimizer(model, TrainConfig(**given))
    for gradient in GRADIENTS:
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        found.append(model.weight.item())
    return found


def sgd(momentum: float) -> list[float]:
    weight, velocity, found = 2.0, 0.0, []
    for gradient in GRADIENTS:
        velocity = momentum * velocity + gradient + DECAY * weight
        weight -= RATE * velocity
        found.append(weight)
    return found


def adam(is_decay_apart: bool) -> list[float]:
    """Kingma & Ba 2015, algorithm 1, with the decay in the gradient; Loshchilov & Hutter 2019, with it apart."""
    weight, first, second, found = 2.0, 0.0, 0.0, []
    for step, gradient in enumerate(GRADIENTS, 1):
        if is_decay_apart:
            weight *= 1 - RATE * DECAY
        else:
            gradient += DECAY * weight
        first = 0.5 * first + 0.5 * gradient
        second = 0.75 * second + 0.25 * gradient**2
        weight -= RATE * (first / (1 - 0.5**step)) / ((second / (1 - 0.75**step)) ** 0.5 + 0.01)
        found.append(weight)
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "sgd"}, sgd(0.0)),
        ({"optimizer": "sgd", "momentum": 0.5}, sgd(0.5)),
        ({"optimizer": "adam"}, adam(False)),
        ({"optimizer": "adamw"}, adam(True)),
    ],
)
def test_steps_are_those_of_the_formula(settings: dict, expected: list[float]) -> None:
    assert course(**settings) == pytest.approx(expected, rel=1e-6)


def test_adam_and_adamw_differ_by_the_decay_alone() -> None:
    assert course(optimizer="adam") != pytest.approx(course(optimizer="adamw"), rel=1e-3)
    assert course(optimizer="adam", weight_decay=0.0) == course(optimizer="adamw", weight_decay=0.0)


def test_adamw_is_the_one_that_the_trainer_builds(tmp_path: Path) -> None:
    """The same class and arguments, and the same bits after 5 steps."""
    settings = TrainConfig(learning_rate=0.01, betas=(0.9, 0.98), epsilon=1e-6)
    arguments = TrainingArguments(
        str(tmp_path), learning_rate=0.01, adam_beta1=0.9, adam_beta2=0.98, adam_epsilon=1e-6, use_cpu=True
    )
    models = [TOY.toy_experiment().model for _ in range(2)]
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, models[1])
    optimizers = [
        build_optimizer(models[0], settings),
        kind(parameter_groups(models[1], 0.01, settings.weight_decay), **options),
    ]
    assert type(optimizers[0]) is type(optimizers[1])
    described = [[{**group, "params": len(group["params"])} for group in each.param_groups] for each in optimizers]
    assert described[0] == described[1]
    for step in range(5):
        for model, optimizer in zip(models, optimizers, strict=True):
            for parameter in model.parameters():
                parameter.grad = torch.sin(torch.arange(parameter.numel()) + step).reshape(parameter.shape)
            optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(*(model.parameters() for model in models), strict=True))


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_rates_and_decay_are_of_the_groups(optimizer: str) -> None:
    """A bias does not decay, and a beginning of names learns slower."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model.rate_scales = {"0": 0.25}
    groups = build_optimizer(model, TrainConfig(optimizer=optimizer, learning_rate=1.0, weight_decay=0.5)).param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1, 0.5), (1, 0), (0.25, 0.5), (0.25, 0)]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_weight_without_a_gradient_stays(optimizer: str) -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    before = model[1].weight.item()
    model[0].weight.grad = torch.ones(1, 1)
    build_optimizer(model, TrainConfig(optimizer=optimizer, weight_decay=0.5)).step()
    assert model[1].weight.item() == before
    assert model[1].weight not in build_optimizer(model, TrainConfig(optimizer=optimizer)).state


@pytest.mark.parametrize(("optimizer", "settings"), [("adam", {}), ("sgd", {"momentum": 0.9})])
def test_a_cut_run_equals_an_unbroken_one(tmp_path: Path, optimizer: str, settings: dict) -> None:
    options = {"optimizer": optimizer, "dropout": 0.2, **settings}
    history, whole = toy_fit(tmp_path / "whole", **options)
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "cut", stop_after_steps=3, **options)
    again, cut = toy_fit(tmp_path / "cut", **options)
    assert again == history
    pairs = zip(whole.model.state_dict().values(), cut.model.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert history != toy_fit(tmp_path / "adamw", dropout=0.2)[0]
