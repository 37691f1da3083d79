"""The gradient of a step of wav2vec2's pre-training, by the one trainer: how it is cut up must not matter."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from audiorig.config import TrainConfig
from audiorig.files import read_json, write_json
from audiorig.train import ranks
from audiorig.train.experiment import Experiment
from audiorig.train.fit import fit
from audiorig.train.gumbel import GumbelSchedule


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    return load("gradients_tiny", Path(__file__).parents[1] / "models" / "wav2vec2" / "tiny.py")


class Noise:
    """Eight crops a step: one silent, one short, the others as they should be."""

    def __init__(self, tiny: ModuleType) -> None:
        self.tiny = tiny

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, item = key
        place, samples = self.tiny.noise_items(item + 1)[item]
        changes = {2: {"is_silent": True}, 5: {"num_samples": 9000}}.get(item, {})
        samples = samples.copy()
        samples[changes.get("num_samples", len(samples)) :] = 0
        return self.tiny.Place(**{**vars(place), "epoch": epoch, **changes}), samples


class Keep(TrainerCallback):
    """Keeps the gradient that the optimizer is about to take."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.gradient: dict[str, Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **other: Any) -> None:
        self.gradient = {name: value.grad.clone() for name, value in self.model.named_parameters()}


def one_step(tiny: ModuleType, folder: Path, batch_size: int, accumulation: int, **settings: Any) -> Tensor:
    """The gradient of the first step, all in one row; the log lies in the folder then."""
    model = tiny.tiny_model(folder.parent / "base", **settings)
    keep, collate = Keep(model), tiny.tiny_collate(model.settings)
    schedule = GumbelSchedule(model.settings.gumbel, is_seeded=False)
    data = Noise(tiny)
    experiment = Experiment(model, data, data, collate, collate, item_sec=1.0, callbacks=(schedule, keep))
    train = {"max_steps": 1, "batch_size": batch_size, "accumulation": accumulation, "cpu_threads": 1}
    # Not clipped; and a rate so small that the evaluation after the step still is that of the same weights.
    train |= {"clip_norm": 1e9, "learning_rate": 1e-12, "warmup_share": 0.0}
    history, _ = fit(experiment, TrainConfig.model_validate(train), folder, 0)
    write_json(folder / f"history-{ranks.rank()}.json", history)
    return torch.cat([value.flatten() for _, value in sorted(keep.gradient.items())])


def likeness(ours: Tensor, theirs: Tensor) -> tuple[float, float]:
    """Cosine, and ratio of the norms."""
    ours, theirs = ours.double(), theirs.double()
    return float(ours @ theirs / ours.norm() / theirs.norm()), float(ours.norm() / theirs.norm())


ONLY_CONTRASTIVE = {"diversity_weight": 0.0, "feature_penalty": 0.0}


@pytest.mark.parametrize(("settings", "least"), [(ONLY_CONTRASTIVE, 0.9999), ({}, 0.998)])
def test_micro_batches_and_ranks_have_the_gradient_of_one_large_batch(
    tiny: ModuleType, fork_ranks: Callable, tmp_path: Path, settings: dict[str, float], least: float
) -> None:
    whole = one_step(tiny, tmp_path / "whole", 8, 1, **settings)

    def on_ranks() -> None:
        with ranks.joined(tmp_path / "owner.json"):
            for batch_size in (4, 2):
                folder = tmp_path / f"ranks-{batch_size}"
                gradient = one_step(tiny, folder, batch_size, 4 // batch_size, **settings)
                torch.save(gradient, folder / f"gradient-{ranks.rank()}.pt")

    codes = fork_ranks(on_ranks)
    assert codes == [0, 0], "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    found = {"4 micro-batches": one_step(tiny, tmp_path / "accumulated", 2, 4, **settings)}
    for name in ("ranks-4", "ranks-2"):
        gradients = [torch.load(tmp_path / name / f"gradient-{rank}.pt", weights_only=True) for rank in range(2)]
        assert torch.equal(*gradients)
        found[name] = gradients[0]
    measured = {name: likeness(gradient, whole) for name, gradient in found.items()}
    (tmp_path / "measured.txt").write_text(str(measured))
    for cosine, ratio in measured.values():
        assert cosine > least
        assert ratio == pytest.approx(1, abs=0.01)
    expected = read_json(tmp_path / "whole" / "history-0.json")
    # Perplexity and what rests on it are of a micro-batch: all other parts are sums over frames.
    exact = ("contrastive", "feature_penalty", "accuracy", "share_hidden")
    for name in ("accumulated", "ranks-4", "ranks-2"):
        history = read_json(tmp_path / name / "history-0.json")
        for part in exact:
            assert history[0][part] == pytest.approx(expected[0][part], rel=1e-5), (name, part)
            assert history[1][f"eval_{part}"] == pytest.approx(expected[1][f"eval_{part}"], rel=1e-5), (name, part)
    assert read_json(tmp_path / "ranks-4" / "history-1.json") == read_json(tmp_path / "ranks-4" / "history-0.json")


def test_a_mean_of_means_would_be_seen(tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comparison fails where each micro-batch is divided by its own count."""
    whole = one_step(tiny, tmp_path / "whole", 8, 1, **ONLY_CONTRASTIVE)
    monkeypatch.setattr(tiny.Wav2Vec2Pretrainer, "accepts_loss_kwargs", False)
    cosine, ratio = likeness(one_step(tiny, tmp_path / "means", 2, 4, **ONLY_CONTRASTIVE), whole)
    assert cosine < 0.9999 or abs(ratio - 1) > 0.01
