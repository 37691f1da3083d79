"""The gate: what should learn does, or the run stops and names it; nothing else changes."""

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import LoraConfig as PeftLoraConfig
from peft import inject_adapter_in_model
from torch import Tensor, nn
from transformers import TrainerControl, TrainerState, WavLMConfig, WavLMModel

from audiorig.config import HeadConfig, LoraConfig, PoolingConfig, TrainConfig, TuningConfig
from audiorig.errors import ConfigError, Unfinished
from audiorig.models.heads import Heads
from audiorig.models.pooling import Pooling
from audiorig.models.tuning.apply import apply_tuning
from audiorig.models.tuning.prompts import SoftPrompts
from audiorig.train.experiment import Experiment
from audiorig.train.fit import fit
from audiorig.train.gate import GradientGate


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOY = module_at(Path(__file__).with_name("toy.py"))
TINY = module_at(Path(__file__).parents[1] / "models" / "tuning" / "tiny.py")


# -------------------------------------------------------- within our own trainer


class Asked:
    """What the toy answers to a fixed batch; counts how often it is asked."""

    def __init__(self, keeps_still: bool = False) -> None:
        self.keeps_still, self.times = keeps_still, 0

    def batch(self) -> dict[str, Tensor]:
        torch.rand(3)  # the gate stands behind a fence
        return {"frames": torch.randn(2, 12, TOY.WIDTH, generator=torch.Generator().manual_seed(0))}

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        self.times += 1
        assert not model.training
        torch.rand(3)
        answers = model.outer(model.dropout(model.inner(batch["frames"]).relu()))
        return answers * 0 if self.keeps_still else answers

    def gate(self, **options: Any) -> GradientGate:
        return GradientGate(self.batch, self, **options)


def fit_toy(
    folder: Path,
    gate: GradientGate | None,
    change: Callable[[nn.Module], None] = lambda model: None,
    poisoned: tuple[int, ...] = (),
    stop_after_steps: int | None = None,
    **train: Any,
) -> Experiment:
    """Train the toy behind the gate.

    Args:
        change: what is done to the model before.
    """
    experiment = TOY.toy_experiment(dropout=0.1)
    experiment.model.poisoned = set(poisoned)
    change(experiment.model)
    callbacks = (*experiment.callbacks, *([gate] if gate else []))
    experiment = Experiment(**{**vars(experiment), "callbacks": callbacks})
    settings = TrainConfig.model_validate({**TOY.SETTINGS, **train})
    fit(experiment, settings, folder, 5, stop_after_steps=stop_after_steps)
    return experiment


def add_unused(model: nn.Module) -> None:
    model.left_out = nn.Parameter(torch.ones(3))


def add_silent(model: nn.Module) -> None:
    """A weight whose gradient is there, and zero."""
    model.silent = nn.Parameter(torch.ones(3))
    forward = type(model).forward

    class Silent(type(model)):
        def forward(self, **batch: Any) -> Any:
            output = forward(self, **batch)
            output.loss = output.loss + 0 * self.silent.sum()
            return output

    model.__class__ = Silent


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_that_learns_passes_and_ends_in_the_same_weights(tmp_path, accumulation) -> None:
    asked = Asked()
    gate = asked.gate()
    with_gate = fit_toy(tmp_path / "with", gate, accumulation=accumulation)
    without = fit_toy(tmp_path / "without", None, accumulation=accumulation)
    assert gate.has_passed
    assert asked.times == 2  # before the first step and behind it; then it is left alone
    expected = without.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in with_gate.model.state_dict().items())


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_weight_that_is_cut_off_stops_the_run_at_once_and_is_named(tmp_path, accumulation) -> None:
    with pytest.raises(
        ConfigError, match=r"1 weights that should learn got no gradient in the first step: left_out; .*tuning\.learn"
    ):
        fit_toy(tmp_path, Asked().gate(), add_unused, accumulation=accumulation)
    assert not list((tmp_path / "checkpoints").glob("step-*"))


def test_a_weight_whose_gradient_stays_zero_is_named(tmp_path) -> None:
    with pytest.raises(
        ConfigError, match="1 weights that should learn had a gradient of zero in all of the first 3 steps: silent;"
    ):
        fit_toy(tmp_path, Asked().gate(patience=3), add_silent)


def test_a_weight_that_seldom_learns_may_be_silent(tmp_path) -> None:
    gate = Asked().gate(patience=3, rare=("silent",))
    fit_toy(tmp_path, gate, add_silent)
    assert gate.has_passed


def test_answers_that_do_not_move_stop_the_run(tmp_path) -> None:
    with pytest.raises(
        ConfigError, match=r"answers as it did at first after 4 steps, at learning rates up to 0\.01: raise"
    ):
        fit_toy(tmp_path, Asked(keeps_still=True).gate(patience=4))


def test_steps_of_a_warm_up_that_change_nothing_are_waited_for(tmp_path) -> None:
    """The first rate is zero: nothing can have moved."""
    asked = Asked()
    gate = asked.gate(patience=1)
    fit_toy(tmp_path, gate, warmup_share=0.5)
    assert gate.has_passed
    assert asked.times == 2


def test_steps_without_a_finite_gradient_are_waited_for(tmp_path) -> None:
    """The trainer takes their gradients away: it is not that the weights were cut off."""
    passed = []

    class Gate(GradientGate):
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            super().on_step_end(*arguments, **named)
            passed.append(self.has_passed)

    asked = Asked()
    first_epoch = tuple(range(10))  # three steps of four
    fit_toy(tmp_path, Gate(asked.batch, asked, patience=1), poisoned=first_epoch, warmup_share=0.0, max_bad_steps=5)
    assert passed == [False, False, False, *[True] * 5]


def test_half_precision_does_not_hide_a_small_move(tmp_path) -> None:
    """The trainer wraps the model's forward: a half that has moved by 1e-6 would be a half again."""

    def set_to_halves(model: nn.Module) -> None:
        for parameter in model.parameters():
            parameter.data.fill_(0.5)

    def answers(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        model.temperature, before = 0.0, model.temperature  # which moves by itself
        labels, keys = torch.zeros(2, 12, dtype=torch.long), torch.arange(2)
        loss = model(frames=batch["frames"], labels=labels, keys=keys).loss
        model.temperature = before
        return loss[None]

    gate = GradientGate(Asked().batch, answers, patience=1)
    fit_toy(tmp_path, gate, set_to_halves, learning_rate=1e-6, precision="bf16", warmup_share=0.0)
    assert gate.has_passed


def test_a_resumed_run_is_only_asked_whether_gradients_arrive(tmp_path) -> None:
    with pytest.raises(Unfinished):
        fit_toy(tmp_path, Asked().gate(), stop_after_steps=4)
    asked = Asked(keeps_still=True)
    gate = asked.gate(patience=1)
    fit_toy(tmp_path, gate)
    assert gate.has_passed
    assert asked.times == 0


def test_a_run_that_ends_before_it_is_known_says_so(tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        fit_toy(tmp_path, Asked().gate(), add_silent, max_steps=2, warmup_share=0.0)
    assert "ended after 2 steps, before it was seen that all weights learn" in caplog.text


def test_a_model_in_which_nothing_learns_does_not_start() -> None:
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ConfigError, match="no weight of the model learns"):
        GradientGate(dict, lambda model, batch: torch.zeros(1)).on_train_begin(
            None, TrainerState(), TrainerControl(), model=model
        )


# ---------------------------------------------------------------- several ranks


def test_ranks_pass_together(fork_ranks, tmp_path) -> None:
    def train() -> None:
        with TOY.ranks.joined(tmp_path / "owner.json"):
            gate = Asked().gate()
            fit_toy(tmp_path, gate, accumulation=2)
            assert gate.has_passed

    assert fork_ranks(train) == [0, 0]


def test_ranks_stop_together_and_name_it(fork_ranks, tmp_path) -> None:
    def train() -> None:
        with TOY.ranks.joined(tmp_path / "owner.json"):
            try:
                fit_toy(tmp_path, Asked().gate(), add_unused, accumulation=2)
            except ConfigError as error:
                (tmp_path / f"rank-{TOY.ranks.rank()}.txt").write_text(str(error))

    assert fork_ranks(train) == [0, 0]
    texts = [(tmp_path / f"rank-{rank}.txt").read_text() for rank in range(2)]
    assert texts[0] == texts[1]
    assert "left_out" in texts[0]


# -------------------------------------------------------- real tuning settings


class Tuned(nn.Module):
    """An encoder, prompts, pooling and a head, as a tuner puts them together."""

    def __init__(self, family: str, settings: TuningConfig, pooling: PoolingConfig) -> None:
        super().__init__()
        self.encoder = TINY.encoder(family)
        self.prompts = SoftPrompts(settings.num_prompts, TINY.WIDTH, seed=0) if settings.num_prompts else None
        apply_tuning(self.encoder, settings, seed=0)
        self.pooling = Pooling(pooling, TINY.WIDTH, TINY.BLOCKS + 1)
        self.heads = Heads(HeadConfig(), self.pooling.out_width, {"a": 2}, seed=0)

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        prompts = None if self.prompts is None else self.prompts()
        return self.heads(self.pooling(self.encoder.encode(waveform, lengths, prompts)).vectors)["a"]


def clips() -> dict[str, Tensor]:
    return dict(zip(("waveform", "lengths"), TINY.clips(), strict=True))


def drive(model: nn.Module, gate: GradientGate, num_steps: int = 2) -> None:
    """The trainer's events around plain steps."""
    state, control = TrainerState(), TrainerControl()
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-3)
    told: Any = {"model": model, "optimizer": optimizer}
    gate.on_train_begin(None, state, control, **told)
    for _ in range(num_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(**clips()), torch.tensor([0, 1])).backward()
        gate.on_pre_optimizer_step(None, state, control, **told)
        optimizer.step()
        gate.on_optimizer_step(None, state, control, **told)
        state.global_step += 1
        gate.on_step_end(None, state, control, **told)


def gate_of_logits(**options: Any) -> GradientGate:
    return GradientGate(clips, lambda model, batch: model(**batch), **options)


LEARN = [
    {"learn": "nothing"},
    {"learn": "all"},
    {"learn": "all", "freeze_front": True},
    {"learn": "layers", "layers": (0,)},
    {"learn": "last", "num_last": 1},
    {"learn": "half"},
    {"learn": "all_but_last"},
    {"learn": "nothing", "modules": ("layer_norm", "norm")},
]
POOLINGS = [
    PoolingConfig(kind=kind, layers=layers)
    for kind, layers in (("mean", "last"), ("attention", "weighted"), ("mean_std", "last"), ("max", "weighted"))
]


@pytest.mark.parametrize("learn", LEARN)
@pytest.mark.parametrize("family", TINY.FAMILIES)
def test_every_setting_passes_on_every_family(family, learn) -> None:
    """Each with and without adapters and prompts, under another pooling."""
    if "modules" in learn:
        learn = learn | {"modules": ("norm",) if family == "wavemae" else ("layer_norm",)}
    settings = [{}, {"lora": LoraConfig(rank=2)}, {"num_prompts": 2}, {"lora": LoraConfig(rank=2), "num_prompts": 2}]
    for extra, pooling in zip(settings, POOLINGS, strict=True):
        if family == "wavemae":
            extra.pop("num_prompts", None)
        gate = gate_of_logits(patience=2)
        drive(Tuned(family, TuningConfig(**learn, **extra), pooling), gate)
        assert gate.has_passed, (extra, pooling)


class StockWavLM(nn.Module):
    """transformers' own WavLM with PEFT's adapters where everybody puts them, and a head."""

    def __init__(self, targets: list[str]) -> None:
        super().__init__()
        network = TINY.description("wavlm")["network"]
        torch.manual_seed(0)
        self.encoder = WavLMModel(WavLMConfig(**network))
        inject_adapter_in_model(PeftLoraConfig(r=2, target_modules=targets), self.encoder)
        self.head = nn.Linear(TINY.WIDTH, 2)

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.encoder(waveform).last_hidden_state.mean(1))


def test_adapters_that_wavlm_never_calls_are_caught() -> None:
    """With a head beside them the loss falls, and all seems well."""
    message = (
        r"18 weights that should learn got no gradient in the first step: "
        r"encoder\.encoder\.layers\.0\.attention\.k_proj\.lora_A\.default\.weight, .* and 10 more; "
        r"the modules that hold these adapters are not called.*lora\.targets"
    )
    with torch.random.fork_rng(), pytest.raises(ConfigError, match=message):
        drive(StockWavLM(["q_proj", "k_proj", "v_proj"]), gate_of_logits())
    with torch.random.fork_rng():
        drive(StockWavLM(["intermediate_dense", "output_dense"]), gate := gate_of_logits())
    assert gate.has_passed


def test_a_weight_that_the_optimizer_does_not_hold_is_named() -> None:
    """Adapters that were put in behind its back."""
    model = Tuned("hubert", TuningConfig(learn="nothing"), PoolingConfig())
    optimizer = torch.optim.AdamW(model.heads.parameters())
    apply_tuning(model.encoder, TuningConfig(learn="nothing", lora=LoraConfig(rank=1)), seed=0)
    gate, state, control = gate_of_logits(), TrainerState(), TrainerControl()
    gate.on_train_begin(None, state, control, model=model, optimizer=optimizer)
    model(**clips()).sum().backward()
    with pytest.raises(ConfigError, match="36 weights that should learn are not among those of the optimizer"):
        gate.on_pre_optimizer_step(None, state, control, model=model, optimizer=optimizer)
