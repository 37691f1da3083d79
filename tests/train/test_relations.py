"""How a step is cut into micro-batches and ranks must not matter, pairs of clips included."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from audiorig.config import TrainConfig
from audiorig.files import read_json, write_json
from audiorig.models.tuner import SpeechTuner
from audiorig.train import ranks
from audiorig.train.experiment import Experiment
from audiorig.train.fit import fit
from audiorig.train.relations import first_scores, relate


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tests = Path(__file__).parents[1]
tiny = load("relations_tiny", tests / "models" / "tiny_tuner.py")
gradients = load("relations_gradients", tests / "train" / "test_gradients.py")


def step(tuner: SpeechTuner, batches: list[dict[str, Any]]) -> tuple[Tensor, float, dict[str, float]]:
    """Gradient, loss and means of the parts of a step, as the trainer has them."""
    tuner.train()
    relate(tuner, batches)
    total, sums = 0.0, {}
    for batch in batches:
        output = tuner(**batch, num_items_in_batch=1)
        output.loss.backward()
        total += output.loss.item()
        for name, pair in output.parts.items():
            sums[name] = sums.get(name, 0) + torch.stack(pair)
    return tiny.gradient_of(tuner), total, {name: float(pair[0] / pair[1]) for name, pair in sums.items()}


@pytest.mark.parametrize("size", [4, 2, 1])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_micro_batches_have_the_gradient_of_one_batch(size: int, weights: str) -> None:
    targets = {name: target | {"weights": weights} for name, target in tiny.TARGETS.items()}
    whole, loss, parts = step(tiny.tuner_of(targets=targets), [tiny.clips_of()])
    found, their_loss, their_parts = step(tiny.tuner_of(targets=targets), tiny.cut(tiny.clips_of(), size))
    torch.testing.assert_close(found, whole, atol=1e-5 * float(whole.abs().max()), rtol=1e-5)
    assert their_loss == pytest.approx(loss, rel=1e-5)
    assert their_parts == pytest.approx(parts, rel=1e-5)


def test_a_mean_of_means_would_be_seen() -> None:
    whole, _, _ = step(tiny.tuner_of(), [tiny.clips_of()])
    tuner = tiny.tuner_of().train()
    for batch in tiny.cut(tiny.clips_of(), 2):
        (tuner(**batch).loss / 4).backward()
    apart = tiny.gradient_of(tuner)
    assert float((apart - whole).norm() / whole.norm()) > 0.05


def test_ranking_of_a_step_is_its_definition() -> None:
    settings = {"use": ["rate"], "losses": [{"name": "ranking"}]}
    batches = tiny.cut(tiny.clips_of(), 2)
    for batch in batches:
        batch["values"] = batch["values"][:, 2:]
    tuner = tiny.tuner_of(**settings)
    scores = tuner.predict(**{name: tiny.clips_of()[name] for name in ("waveform", "lengths")}).scores["rate"][:, 0]
    values = torch.cat([batch["values"][:, 0] for batch in batches])
    total, pairs = 0.0, 0
    for one, high in zip(scores, values, strict=True):
        for other, low in zip(scores, values, strict=True):
            if high > low:
                total, pairs = total + float(torch.log1p(torch.exp(other - one))), pairs + 1
    _, loss, parts = step(tuner, batches)
    assert pairs > 5
    assert loss == pytest.approx(total / pairs, rel=1e-5)
    assert parts["ranking"] == pytest.approx(total / pairs, rel=1e-5)


def test_the_second_pass_drops_what_the_first_one_dropped() -> None:
    tuner = tiny.tuner_of(head={"dropout": 0.5, "kind": "mlp"}).train()
    batches = tiny.cut(tiny.clips_of(), 2)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    relate(tuner, batches)
    assert torch.equal(torch.get_rng_state(), before)
    second = torch.cat([tuner(batch["waveform"], batch["lengths"]).scores["rate"][:, 0] for batch in batches])
    again = torch.cat([tuner(batch["waveform"], batch["lengths"]).scores["rate"][:, 0] for batch in batches])
    assert torch.equal(batches[0]["others"]["scores"][:, 2], second)
    assert not torch.equal(second, again)  # dropout it was


def test_in_half_precision_the_first_pass_takes_no_gradient_from_the_second() -> None:
    gradients = []
    for is_related in (True, False):
        tuner = tiny.tuner_of("whisper").train()
        (batch,) = tiny.cut(tiny.clips_of(), 8)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if is_related:
                first_scores(tuner, [batch])
            tuner(**batch).loss.backward()
        gradients.append(tiny.gradient_of(tuner))
    assert torch.equal(*gradients)


def test_a_step_without_pairs_passes_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = tiny.tuner_of(losses=[{"name": "cross_entropy"}, {"name": "bce"}, {"name": "coral"}])
    monkeypatch.setattr(tuner, "encode", None)  # an error, if it is called
    batches = tiny.cut(tiny.clips_of(), 2)
    relate(tuner, batches)
    values = tiny.clips_of()["values"]
    assert batches[0]["num_observed"].tolist() == (~values.isnan()).sum(0).tolist()
    assert "others" not in batches[0]


# --------------------------------------------------------------- the trainer


class Clips:
    """Eight clips a step."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> Any:
        batch = tiny.clips_of()
        return {name: value[key[1]] for name, value in batch.items()}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def one_step(folder: Path, batch_size: int, accumulation: int) -> Tensor:
    """The gradient of the first step; the log lies in the folder then."""
    model = tiny.tuner_of()
    keep = gradients.Keep(model)
    clips = Clips()
    experiment = Experiment(model, clips, clips, collate, collate, 0.2, callbacks=(keep,), relate=relate)
    train = {"max_steps": 1, "batch_size": batch_size, "accumulation": accumulation, "cpu_threads": 1}
    train |= {"clip_norm": 1e9, "learning_rate": 1e-12, "warmup_share": 0.0}
    history, _ = fit(experiment, TrainConfig.model_validate(train), folder, 0)
    write_json(folder / f"history-{ranks.rank()}.json", history)
    return torch.cat([value.flatten() for _, value in sorted(keep.gradient.items())])


def test_the_trainer_divides_nothing_again(tmp_path: Path) -> None:
    whole = one_step(tmp_path / "whole", 8, 1)
    expected, _, parts = step(tiny.tuner_of(), [tiny.clips_of()])
    torch.testing.assert_close(whole, expected, atol=1e-6, rtol=1e-4)
    cut_up = one_step(tmp_path / "cut", 2, 4)
    torch.testing.assert_close(cut_up, whole, atol=1e-5 * float(whole.abs().max()), rtol=1e-5)
    histories = [read_json(tmp_path / name / "history-0.json")[0] for name in ("whole", "cut")]
    for name in ("total", *parts):
        assert histories[1][name] == pytest.approx(histories[0][name], rel=1e-5)
    total = sum(weight * parts[name] for name, weight in tiny.tuner_of().part_weights.items())
    assert histories[0]["total"] == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
def test_two_ranks_have_the_gradient_of_one(fork_ranks: Callable, tmp_path: Path) -> None:
    whole = one_step(tmp_path / "whole", 8, 1)

    def on_ranks() -> None:
        with ranks.joined(tmp_path / "owner.json"):
            for batch_size in (4, 2):
                folder = tmp_path / f"ranks-{batch_size}"
                torch.save(one_step(folder, batch_size, 4 // batch_size), folder / f"gradient-{ranks.rank()}.pt")

    codes = fork_ranks(on_ranks)
    assert codes == [0, 0], "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    expected = read_json(tmp_path / "whole" / "history-0.json")
    for name in ("ranks-4", "ranks-2"):
        ours, theirs = (torch.load(tmp_path / name / f"gradient-{rank}.pt", weights_only=True) for rank in range(2))
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, whole, atol=1e-5 * float(whole.abs().max()), rtol=1e-5)
        history = read_json(tmp_path / name / "history-0.json")
        for part in ("total", "cross_entropy", "bce", "coral", "ranking"):
            assert history[0][part] == pytest.approx(expected[0][part], rel=1e-5), (name, part)
        for part in ("eval_cross_entropy", "eval_coral", "eval_mae_rate", "eval_uar_reason"):
            assert history[1][part] == pytest.approx(expected[1][part], rel=1e-5), (name, part)
