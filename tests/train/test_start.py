"""Weights to begin with: from all that a run leaves, only weights, only of the same model, only once."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig, TrainerCallback

from audiorig.errors import ConfigError, ReportedError, ResumeError, Unfinished
from audiorig.train import start
from audiorig.train.export import export
from audiorig.train.start import load_start, weights_file

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit


class AtBegin(TrainerCallback):
    """Remembers what a training begins with."""

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **other):
        if not hasattr(self, "weights"):
            self.weights = {name: value.clone() for name, value in model.state_dict().items()}
            self.num_momenta, self.step = len(optimizer.state), state.global_step


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """The folder of a finished run, and its weights."""
    folder = tmp_path_factory.mktemp("earlier")
    history, experiment = toy_fit(folder, learning_rate=0.05, keep_checkpoints=5)
    export(
        experiment.model,
        history,
        final=folder / "final.ckpt",
        model_folder=folder / "model",
        history_file=folder / "history.json",
        settings={},
        provenance={},
        card="",
    )
    return folder, experiment.model.state_dict()


@pytest.mark.parametrize("name", ["final.ckpt", "model", "model/model.safetensors", "checkpoints/step-8"])
def test_a_run_begins_with_the_weights_and_nothing_else(earlier, tmp_path: Path, name: str) -> None:
    """Of an earlier run: not its step, its momenta or its rate."""
    folder, weights = earlier
    seen = AtBegin()
    history, _ = toy_fit(tmp_path, start_weights=folder / name, callbacks=(seen,), max_steps=2)
    assert seen.weights.keys() == weights.keys()
    assert all(torch.equal(value, weights[each]) for each, value in seen.weights.items())
    assert (seen.num_momenta, seen.step) == (0, 0)
    assert [entry["step"] for entry in history if "total" in entry] == [1, 2]
    plain, _ = toy_fit(tmp_path / "plain", max_steps=2)
    assert history[0]["total"] != plain[0]["total"]


def test_an_earlier_checkpoint_has_earlier_weights(earlier, tmp_path: Path) -> None:
    folder, weights = earlier
    seen = AtBegin()
    toy_fit(tmp_path, start_weights=folder / "checkpoints" / "step-4", callbacks=(seen,), max_steps=1)
    expected = load_file(folder / "checkpoints" / "step-4" / "model.safetensors")
    assert all(torch.equal(value, expected[name]) for name, value in seen.weights.items())
    assert not torch.equal(seen.weights["outer.weight"], weights["outer.weight"])


def test_the_setting_alone_is_enough(earlier, tmp_path: Path) -> None:
    seen = AtBegin()
    toy_fit(tmp_path, load_from_checkpoint=str(earlier[0] / "model"), callbacks=(seen,), max_steps=1)
    assert torch.equal(seen.weights["outer.weight"], earlier[1]["outer.weight"])


def test_a_resumed_run_does_not_begin_again(earlier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"start_weights": earlier[0] / "final.ckpt", "dropout": 0.2}
    whole, _ = toy_fit(tmp_path / "whole", **options)
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "cut", stop_after_steps=3, **options)
    monkeypatch.setattr("audiorig.train.fit.load_start", lambda *given: pytest.fail("begun again"))
    assert toy_fit(tmp_path / "cut", **options)[0] == whole


def test_a_run_is_told_by_the_weights_not_by_their_place(earlier, tmp_path: Path, caplog) -> None:
    folder = earlier[0]
    moved = shutil.copy(folder / "final.ckpt", tmp_path / "moved.ckpt")
    options = {"start_weights": folder / "final.ckpt", "load_from_checkpoint": str(folder / "final.ckpt")}
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "run", stop_after_steps=3, **options)
    with pytest.raises(Unfinished, match="step 4 of 8"):
        toy_fit(tmp_path / "run", stop_after_steps=1, start_weights=Path(moved), load_from_checkpoint="elsewhere.ckpt")
    with pytest.raises(Unfinished, match="step 1 of 8"):
        toy_fit(tmp_path / "run", stop_after_steps=1, start_weights=folder / "checkpoints" / "step-4")
    assert "start_weights_sha256" in caplog.text
    assert (tmp_path / "run" / "checkpoints.stale-1" / "step-4").is_dir()
    with pytest.raises(Unfinished, match="step 1 of 8"):
        toy_fit(tmp_path / "run", stop_after_steps=1)
    assert (tmp_path / "run" / "checkpoints.stale-2").is_dir()


def changed(weights: dict[str, torch.Tensor], **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    found = {**weights, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value.clone() for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"outer__bias": None}, r"they lack outer\.bias;"),
        ({"extra__weight": torch.zeros(1)}, r"they have too much extra\.weight;"),
        ({"inner__weight": torch.zeros(3, 4)}, r"of another shape: inner\.weight is \(3, 4\) and not \(16, 6\);"),
        (
            {f"layer__{number}": torch.zeros(1) for number in range(6)} | {"outer__bias": None},
            r"they lack outer\.bias; they have too much layer\.0, layer\.1, layer\.2, layer\.3 and 2 more;",
        ),
    ],
)
def test_weights_of_another_model_are_refused(earlier, tmp_path: Path, changes: dict, sentence: str) -> None:
    save_file(changed(earlier[1], **changes), tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=f"train.load_from_checkpoint: .*not of this model: {sentence} take") as error:
        toy_fit(tmp_path / "run", start_weights=tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_what_is_no_weights_is_refused_in_one_sentence(earlier, tmp_path: Path) -> None:
    folder = earlier[0]
    broken = shutil.copytree(folder / "checkpoints" / "step-8", tmp_path / "broken")
    content = bytearray((broken / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (broken / "model.safetensors").write_bytes(content)
    (tmp_path / "text.ckpt").write_text("no weights")
    (tmp_path / "half.ckpt").write_bytes((folder / "final.ckpt").read_bytes()[:500])
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "empty").mkdir()
    torch.save({"state": {}}, tmp_path / "foreign.ckpt")
    torch.save({"weights": {"inner.weight": PreTrainedConfig()}}, tmp_path / "pickle.ckpt")
    model = TOY.toy_experiment().model
    expected: dict[Path, tuple[type[ReportedError], str]] = {
        broken: (ResumeError, "model.safetensors is not what was written"),
        tmp_path / "none.ckpt": (ConfigError, "no such file or folder"),
        tmp_path / "text.ckpt": (ConfigError, "cannot be read as weights"),
        tmp_path / "half.ckpt": (ConfigError, "cannot be read as weights"),
        tmp_path / "text.safetensors": (ConfigError, "cannot be read as weights"),
        tmp_path / "empty": (ConfigError, "without model.safetensors"),
        tmp_path / "foreign.ckpt": (ConfigError, "holds no `weights`"),
        tmp_path / "pickle.ckpt": (ConfigError, "cannot be read as weights"),
        folder / "checkpoints": (ConfigError, "name one of them, such as step-8"),
    }
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for path, (kind, words) in expected.items():
        with pytest.raises(kind, match=words) as error:
            load_start(model, path)
        assert str(error.value).startswith(start.SETTING)
        assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_file_behind_each_kind(earlier) -> None:
    folder = earlier[0]
    assert weights_file(folder / "final.ckpt") == folder / "final.ckpt"
    for name in ("model", "checkpoints/step-8"):
        assert weights_file(folder / name) == folder / name / "model.safetensors"
