"""Which parameters learn, and how fast; what the micro-batches of a step know of each other."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiorig.errors import Unfinished
from audiorig.train.groups import parameter_groups, scale_of

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit, toy_experiment = TOY.toy_fit, TOY.toy_experiment


def make_model(**attributes: Any) -> nn.Module:
    model = nn.ModuleDict({"head": nn.Linear(2, 2), "encoder": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))})
    model["encoder"].register_parameter("mask_token", nn.Parameter(torch.zeros(1, 1, 2)))
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def named(model: nn.Module) -> list[tuple[list[str], float, float | None]]:
    """Names, decay and rate of each group."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, 0.5, 0.1)
    return [([names[id(each)] for each in group["params"]], group["weight_decay"], group.get("lr")) for group in groups]


def test_groups_without_scales_are_two() -> None:
    assert named(make_model(no_decay_names=("mask_token",))) == [
        (["head.weight", "encoder.0.weight"], 0.1, None),
        (["head.bias", "encoder.mask_token", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias"], 0.0, None),
    ]


def test_the_longest_beginning_of_a_name_counts() -> None:
    """The head comes first, whose rate is logged; then by falling rate; what is frozen is in none."""
    model = make_model(rate_scales={"encoder": 0.25, "encoder.1": 2.0, "encoder.0.b": 1.0})
    model["encoder"].mask_token.requires_grad_(False)
    assert named(model) == [
        (["head.weight"], 0.1, None),
        (["head.bias", "encoder.0.bias"], 0.0, None),
        (["encoder.1.weight", "encoder.1.bias"], 0.0, 1.0),
        (["encoder.0.weight"], 0.1, 0.125),
    ]
    assert scale_of("encoders.x", {"encoder": 0.25, "encoder.": 0.5}) == 0.25


def test_a_beginning_that_fits_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no parameter's name begins with 'enc0der'"):
        parameter_groups(make_model(rate_scales={"enc0der": 0.1}), 0.5, 0.1)


def test_a_scaled_run_logs_the_rate_of_the_head_and_saves_no_state_of_what_is_frozen(tmp_path: Path) -> None:
    history, experiment = toy_fit(tmp_path, planted=[0.0], schedule="constant", warmup_share=0.0)
    assert {entry["learning_rate"] for entry in history if "learning_rate" in entry} == {1e-2}
    state = torch.load(tmp_path / "checkpoints" / "step-8" / "optimizer.pt", weights_only=True)
    groups = [(group["params"], group["lr"]) for group in state["param_groups"]]
    assert groups == [([0], 1e-2), ([1], 1e-2), ([2], 1e-2 * 0.1)]  # outer weight and bias, inner weight
    shapes = [tuple(state["state"][number]["exp_avg"].shape) for number in range(3)]
    assert shapes == [(6, 16), (6,), (16, 6)]
    assert len(state["state"]) == 3
    fresh = toy_experiment(planted=[0.0]).model
    changes = {
        name: (experiment.model.get_parameter(name) - value).abs().max() for name, value in fresh.named_parameters()
    }
    assert changes["inner.bias"] == 0
    assert 0 < changes["inner.weight"] < 0.2 * changes["outer.weight"]


def test_dev_gets_the_numbers_that_are_derived_from_its_parts(tmp_path: Path) -> None:
    history, _ = toy_fit(tmp_path, planted=[3.0, 2.0, 1.0], eval_steps=2)
    found = [entry for entry in history if "eval_error" in entry]
    assert [entry["eval_twice"] for entry in found] == [2 * entry["eval_error"] for entry in found]
    assert [entry["eval_planted"] for entry in found] == [2.0, 1.0, 1.0, 1.0]
    assert not any("planted" in entry or "twice" in entry for entry in history)


class Relation:
    """Passes all micro-batches of a step through the model, and notes what came out."""

    def __init__(self) -> None:
        self.calls: list[list[Tensor]] = []

    def __call__(self, model: Any, batches: list[dict[str, Any]]) -> None:
        assert model.training
        assert not torch.is_grad_enabled()
        assert all("seen" not in batch for batch in batches)
        assert all(batch["frames"].device.type == "cpu" for batch in batches)
        self.calls.append([model(**batch).loss for batch in batches])
        torch.rand(5)  # whatever it draws is put back


@pytest.mark.parametrize("cut", [None, 3])
def test_micro_batches_are_related_once_a_step_and_see_the_dropout_of_the_step(tmp_path: Path, cut: int | None) -> None:
    """Also in the first step after a stop, and with the same weights as without."""
    settings = {"dropout": 0.5, "accumulation": 3, "batch_size": 2, "max_steps": 5, "eval_steps": 2, "num_dev": 3}
    plain, without = toy_fit(tmp_path / "plain", **settings)
    if cut is not None:
        with pytest.raises(Unfinished):
            toy_fit(tmp_path / "related", relate=Relation(), stop_after_steps=cut, **settings)
    relation = Relation()
    history, experiment = toy_fit(tmp_path / "related", relate=relation, **settings)
    assert history == plain
    weights = experiment.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in without.model.state_dict().items())
    assert [len(call) for call in relation.calls] == [3] * (5 - (cut or 0))


def test_relating_sees_what_the_forward_passes_will(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relation = Relation()
    seen: list[Tensor] = []
    inner = TOY.ToyModel.forward

    def forward(model: Any, **batch: Any) -> Any:
        batch.pop("num_items_in_batch", None)
        output = inner(model, **batch)
        if torch.is_grad_enabled():
            seen.append(output.loss.detach().clone())
        return output

    monkeypatch.setattr(TOY.ToyModel, "forward", forward)
    toy_fit(tmp_path, relate=relation, dropout=0.5, accumulation=3, batch_size=2, max_steps=4)
    assert len(seen) == 12
    assert torch.equal(torch.stack(seen), torch.stack([loss for call in relation.calls for loss in call]))
