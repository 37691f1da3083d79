"""Device and precision: what fits is taken, and what does not ends in one sentence before anything is read."""

import importlib.util
from pathlib import Path

import pytest
import torch

from audiorig.config import TrainConfig
from audiorig.errors import ConfigError
from audiorig.train.devices import device_kind, precision, require_machine

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """A machine with these devices, as PyTorch would tell of it."""

    def make(*kinds: str, has_bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)

    return make


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        ((), "auto", "cpu"),
        (("cuda",), "auto", "cuda"),
        (("mps",), "auto", "cpu"),
        (("cuda",), "cpu", "cpu"),
        (("cuda",), "cuda", "cuda"),
        (("mps",), "mps", "mps"),
    ],
)
def test_the_kind_of_device(machine, there: tuple[str, ...], asked: str, found: str) -> None:
    machine(*there)
    assert device_kind(TrainConfig(device=asked)) == found


@pytest.mark.parametrize(
    ("there", "asked", "computed"),
    [
        ((), {}, "fp32"),
        ((), {"precision": "bf16"}, "bf16"),
        (("cuda",), {}, "bf16"),
        (("cuda",), {"precision": "fp16"}, "fp16"),
        (("cuda",), {"precision": "fp32"}, "fp32"),
        (("cuda",), {"device": "cpu"}, "fp32"),
        (("cuda",), {"device": "cpu", "precision": "bf16"}, "bf16"),
        (("mps",), {"device": "mps"}, "fp32"),
        (("mps",), {"device": "mps", "precision": "fp32"}, "fp32"),
    ],
)
def test_what_is_computed_in(machine, there: tuple[str, ...], asked: dict, computed: str) -> None:
    machine(*there)
    assert precision(TrainConfig(**asked)) == computed


def test_a_gpu_without_bfloat16_computes_in_fp32(machine) -> None:
    machine("cuda", has_bf16=False)
    assert precision(TrainConfig()) == "fp32"
    with pytest.raises(ConfigError, match=r"train\.precision: bf16 and this machine's GPU has no bfloat16.*fp16"):
        require_machine(TrainConfig(precision="bf16"))


@pytest.mark.parametrize(
    ("there", "asked", "sentence"),
    [
        ((), {"device": "cuda"}, r"train\.device: cuda needs a GPU.*auto or cpu"),
        (("mps",), {"device": "cuda"}, r"train\.device: cuda needs a GPU"),
        (("cuda",), {"device": "mps"}, r"train\.device: mps is the GPU of Apple's chips.*none here"),
        ((), {"precision": "fp16"}, r"train\.precision: fp16 needs a GPU"),
        (("mps",), {"precision": "fp16"}, r"train\.precision: fp16 needs a GPU"),
        (("mps",), {"device": "mps", "precision": "fp16"}, r"fp16 and train\.device: mps"),
        (("mps",), {"device": "mps", "precision": "bf16"}, r"bf16 and train\.device: mps"),
        (("mps",), {"device": "mps", "compile": True}, r"train\.compile: true and train\.device: mps"),
    ],
)
def test_what_does_not_fit_ends_before_a_step(machine, tmp_path: Path, there, asked: dict, sentence: str) -> None:
    machine(*there)
    with pytest.raises(ConfigError, match=sentence) as error:
        toy_fit(tmp_path, **asked)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_several_processes_need_several_devices(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("mps")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="mps is one GPU, and 2 processes were started"):
        require_machine(TrainConfig(device="mps"))


def test_the_cpu_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    history, experiment = toy_fit(tmp_path / "cpu", device="cpu")
    assert experiment.model.device.type == "cpu"
    assert history == toy_fit(tmp_path / "auto", device="auto", precision="fp32")[0] or torch.cuda.is_available()
