"""A tuned encoder under the one trainer: what dev says is followed, and a cut changes nothing."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from audiorig.config import TrainConfig
from audiorig.errors import Unfinished
from audiorig.models.tuner import SpeechTuner
from audiorig.train import checkpoints
from audiorig.train.experiment import Experiment
from audiorig.train.fit import fit
from audiorig.train.relations import relate


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("tuned_runs_tiny", Path(__file__).parents[1] / "models" / "tiny_tuner.py")

RATES = {"whisper": 16000, "wavemae": 24000}
LORA = {"learn": "last", "num_last": 1, "rate_scale": 0.1, "lora": {"rank": 2, "dropout": 0.2}}
FROZEN = {"learn": "nothing", "num_prompts": 2}
RUNS = {
    "wav2vec2": {"tuning": LORA},
    "hubert": {"tuning": {"learn": "all", "rate_scale": 0.1}},
    "wavlm": {"tuning": FROZEN},
    "whisper": {"tuning": LORA},
    "wavemae": {"tuning": {"learn": "nothing"}},
}
TRAIN = {
    **{"max_steps": 8, "batch_size": 2, "accumulation": 2, "eval_steps": 2, "save_steps": 3, "cpu_threads": 1},
    **{"learning_rate": 0.01, "warmup_share": 0.1, "schedule": "reduce_on_plateau", "plateau": {"patience": 0}},
    "selection": {"metric": "uar", "mode": "max", "keep_best": True, "patience": 2},
}


class Clips:
    """Ten clips to learn from, or six others to judge by."""

    def __init__(self, num_clips: int, seed: int, rate: int) -> None:
        self.batch = tiny.clips_of(num_clips, seed, rate)

    def __len__(self) -> int:
        return len(self.batch["lengths"])

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        return {name: value[key[1]] for name, value in self.batch.items()}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def run(family: str, folder: Path, stop_after_steps: int | None = None, **train: Any) -> tuple[list[dict], SpeechTuner]:
    """The log and the model."""
    model = tiny.tuner_of(family, head={"dropout": 0.3, "kind": "mlp"}, **RUNS[family])
    rate = RATES.get(family, 16000)
    experiment = Experiment(model, Clips(10, 0, rate), Clips(6, 1, rate), collate, collate, 0.2, relate=relate)
    torch.manual_seed(0)
    settings = TrainConfig.model_validate({**TRAIN, **train})
    return fit(experiment, settings, folder, 0, stop_after_steps=stop_after_steps)[0], model


@pytest.mark.parametrize("family", list(RUNS))
def test_a_cut_run_equals_an_unbroken_one(tmp_path: Path, family: str) -> None:
    """Ranking, dropout, accumulation, rates of two sizes, early end and the best: the same bytes, and they load."""
    history, model = run(family, tmp_path / "whole")
    with pytest.raises(Unfinished):
        run(family, tmp_path / "cut", stop_after_steps=3)
    again, resumed = run(family, tmp_path / "cut")
    assert again == history
    outcome = history[-1]
    assert outcome["weights_step"] == outcome["best_step"]
    newest = [checkpoints.list_checkpoints(tmp_path / name / "checkpoints")[0] for name in ("whole", "cut")]
    weights = [(folder / "model.safetensors").read_bytes() for folder in newest]
    assert weights[0] == weights[1]
    saved = load_file(newest[0].with_name(f"step-{outcome['best_step']}") / "model.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, saved[name])
        assert torch.equal(value, resumed.state_dict()[name])
    finished, loaded = run(family, tmp_path / "whole")
    assert finished == history
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm"])
def test_what_is_frozen_has_no_state_and_does_not_move(tmp_path: Path, family: str) -> None:
    _, model = run(family, tmp_path, max_steps=4, selection={}, schedule="constant")
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    state = torch.load(tmp_path / "checkpoints" / "step-4" / "optimizer.pt", weights_only=True)
    assert len(state["state"]) == sum(len(group["params"]) for group in state["param_groups"]) == len(learning)
    fresh = tiny.tuner_of(family, head={"dropout": 0.3, "kind": "mlp"}, **RUNS[family])
    before, after = dict(fresh.named_parameters()), dict(model.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before if name not in learning)
    assert any(not torch.equal(before[name], after[name]) for name in learning)


def test_adapters_learn_at_the_rate_of_the_head_and_blocks_at_a_tenth(tmp_path: Path) -> None:
    history, model = run("wav2vec2", tmp_path, max_steps=2, selection={}, schedule="constant", warmup_share=0.0)
    groups = torch.load(tmp_path / "checkpoints" / "step-2" / "optimizer.pt", weights_only=True)["param_groups"]
    learning = {name: each.numel() for name, each in model.named_parameters() if each.requires_grad}
    blocks = [name for name in learning if name.startswith("encoder.") and ".lora_" not in name]
    assert sorted({group["lr"] for group in groups}) == [0.01 * 0.1, 0.01]
    assert sum(len(group["params"]) for group in groups if group["lr"] < 0.01) == len(blocks) > 0
    assert history[0]["learning_rate"] == 0.01
