"""Weights & Biases: what is told there and what is not, in one run over all stops, without a change to the training."""

import importlib.machinery
import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import SecretStr
from safetensors.torch import load_file

from audiorig.config import LogConfig
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.errors import ConfigError, Unfinished
from audiorig.files import read_json
from audiorig.train.wandb_log import NOT_SENT, WandbLog, require_wandb, without_names

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

KEY = "5ecre7" + "0123456789abcdef" * 2 + "00"
OFFLINE = {"wandb": {"mode": "offline"}}
SETTINGS = {"data": {"corpus": "homes"}, "train": {"load_from_checkpoint": "/srv/me/runs/final.ckpt", "steps": (1, 2)}}


class FakeRun:
    """Remembers what it is told; may fail at a step, or at its end."""

    def __init__(self, options: dict[str, Any], fails_at: int | None) -> None:
        self.options, self.fails_at = options, fails_at
        self.entries: list[tuple[int, dict[str, float]]] = []
        self.exit_code: int | None = None

    def log(self, values: dict[str, float], step: int) -> None:
        if step == self.fails_at:
            raise BrokenPipeError
        self.entries.append((step, values))

    def finish(self, exit_code: int) -> None:
        assert self.exit_code is None, "ended twice"
        self.exit_code = exit_code


class FakeWandb(types.ModuleType):
    """In place of the library: no process, no network."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None, origin="here")
        self.errors = types.SimpleNamespace(Error=ConnectionError, AuthenticationError=ConnectionRefusedError)
        self.runs: list[FakeRun] = []
        self.fails_at: int | None = None
        self.refuses: Exception | None = None
        self.num_teardowns = 0

    def Settings(self, **given: Any) -> dict[str, Any]:  # noqa: N802
        return given

    def teardown(self) -> None:
        self.num_teardowns += 1

    def init(self, **options: Any) -> FakeRun:
        sys.excepthook = print  # as the library sets its own
        if self.refuses is not None and options["mode"] == "online":
            raise self.refuses
        self.runs.append(FakeRun(options, self.fails_at))
        return self.runs[-1]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    found = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return found


def test_it_is_not_imported_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # whoever imports it fails
    toy_fit(tmp_path, max_steps=1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoints", "tensorboard"]


@pytest.mark.slow
def test_nothing_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    """In a process of its own: no wandb, no variable of it, no folder."""
    program = (
        "import runpy, sys, os, pathlib\n"
        f"toy = runpy.run_path({str(Path(__file__).with_name('toy.py'))!r}, run_name='toy')\n"
        f"toy['toy_fit'](pathlib.Path({str(tmp_path)!r}), max_steps=1)\n"
        "assert 'wandb' not in sys.modules and not any(name.startswith('WANDB') for name in os.environ)\n"
    )
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoints", "tensorboard"]


def test_what_is_told_of_a_run(wandb: FakeWandb, tmp_path: Path) -> None:
    log = {
        "wandb": {"mode": "offline", "project": "sounds", "entity": "team", "tags": ["a", "b"]},
        "every_steps": 3,
    }
    folder, hook = tmp_path / "results" / "toy" / "seed-1", sys.excepthook
    history, _ = toy_fit(folder, log=log, run_settings=SETTINGS)
    (run,) = wandb.runs
    shown = {name: run.options[name] for name in ("mode", "project", "entity", "name", "tags", "dir", "resume")}
    assert shown == {
        **{"mode": "offline", "project": "sounds", "entity": "team", "name": "toy/seed-1", "tags": ["a", "b"]},
        **{"dir": str(folder), "resume": "allow"},
    }
    assert run.options["config"] == {
        "data": {"corpus": "homes"},
        "train": {"load_from_checkpoint": "a folder", "steps": [1, 2]},
    }
    assert run.options["settings"].items() >= {**NOT_SENT, "silent": True, "api_key": None}.items()
    # Dev every 3 steps and at the end, of the training each third step, and how long it took; nothing but numbers.
    assert [(step, "train/total" in entry, "eval/error" in entry) for step, entry in run.entries] == [
        *((3, True, False), (3, False, True), (6, True, False), (6, False, True), (8, False, True), (8, False, False)),
    ]
    totals = {entry["step"]: entry["total"] for entry in history if "total" in entry}
    assert run.entries[0][1]["train/total"] == totals[3]
    assert all(isinstance(value, float | int) for _, entry in run.entries for value in entry.values())
    assert [entry["step"] for entry in history if "total" in entry] == list(range(1, 9))  # all of them
    assert run.exit_code == 0
    assert sys.excepthook is hook


def test_settings_are_sent_only_if_they_may_be(wandb: FakeWandb, tmp_path: Path) -> None:
    toy_fit(tmp_path, log={**OFFLINE, "settings": False}, run_settings=SETTINGS, max_steps=1)
    toy_fit(tmp_path / "named", log={"wandb": {"mode": "offline", "name": "mine"}}, max_steps=1)
    assert [(run.options["config"], run.options["name"]) for run in wandb.runs][1] == (None, "mine")
    assert wandb.runs[0].options["config"] is None


def test_a_resumed_run_goes_on_in_the_same_one_and_a_new_one_does_not(wandb: FakeWandb, tmp_path: Path) -> None:
    for stop in (2, 3):
        with pytest.raises(Unfinished):
            toy_fit(tmp_path, log=OFFLINE, stop_after_steps=stop)
    toy_fit(tmp_path, log=OFFLINE)
    first = {run.options["id"] for run in wandb.runs}
    assert len(first) == 1
    assert [[step for step, entry in run.entries if "train/total" in entry] for run in wandb.runs] == [
        *([1, 2], [3, 4, 5], [6, 7, 8]),
    ]
    toy_fit(tmp_path, log=OFFLINE)  # which has ended: nothing more is told
    assert len(wandb.runs) == 3
    toy_fit(tmp_path, log=OFFLINE, learning_rate=0.5, max_steps=1)
    assert wandb.runs[-1].options["id"] not in first


def test_a_tracker_that_fails_ends_no_training(wandb: FakeWandb, tmp_path: Path, caplog) -> None:
    plain, _ = toy_fit(tmp_path / "plain")
    wandb.fails_at = 5
    assert toy_fit(tmp_path / "failing", log=OFFLINE)[0] == plain
    assert caplog.text.count("wandb has failed (BrokenPipeError)") == 1
    assert max(step for step, _ in wandb.runs[0].entries) == 4


def test_an_error_of_the_training_ends_the_run_there_as_failed(wandb: FakeWandb, tmp_path: Path) -> None:
    with pytest.raises(TOY.DataError):
        toy_fit(tmp_path, log=OFFLINE, broken_rank=0)
    assert wandb.runs[0].exit_code == 1


def online(wandb: FakeWandb, tmp_path: Path) -> WandbLog:
    log = LogConfig.model_validate({"wandb": {"mode": "online"}})
    return WandbLog(log, tmp_path, "toy", None, SecretStr(KEY))


def test_without_a_connection_it_logs_offline(wandb: FakeWandb, tmp_path: Path, caplog) -> None:
    wandb.refuses = ConnectionError()
    tracker = online(wandb, tmp_path)
    tracker.on_train_begin(None, types.SimpleNamespace(is_world_process_zero=True), None)
    assert [run.options["mode"] for run in wandb.runs] == ["offline"]
    assert wandb.num_teardowns == 1
    assert "cannot be reached (ConnectionError): logging offline" in caplog.text


def test_a_refused_key_is_told_without_the_key(wandb: FakeWandb, tmp_path: Path) -> None:
    wandb.refuses = ConnectionRefusedError(KEY)
    with pytest.raises(ConfigError, match="WANDB_API_KEY is refused") as error:
        online(wandb, tmp_path).on_train_begin(None, types.SimpleNamespace(is_world_process_zero=True), None)
    assert KEY not in str(error.value)
    assert error.value.__suppress_context__


def test_other_ranks_tell_nothing(wandb: FakeWandb, tmp_path: Path) -> None:
    tracker = online(wandb, tmp_path)
    tracker.on_train_begin(None, types.SimpleNamespace(is_world_process_zero=False), None)
    tracker.on_log(None, types.SimpleNamespace(global_step=1), None, logs={"total": 1.0})
    tracker.close()
    assert wandb.runs == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_ends_it_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    log = LogConfig.model_validate({"wandb": {"mode": "online"}})
    with pytest.raises(ConfigError, match=r"WANDB_API_KEY is neither in the environment nor in .env; set it"):
        toy_fit(tmp_path / "run", log={"wandb": {"mode": "online"}})
    require_wandb(log, SecretStr(KEY))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    require_wandb(log)
    # A folder of logs of that name, from where Python looks first, is no library.
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "wandb")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "wandb").mkdir()
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=r"the package wandb is not installed: run `make setup`"):
        require_wandb(log)
    require_wandb(LogConfig())
    assert not (tmp_path / "run").exists()


def test_settings_name_nobody_of_a_private_corpus(tmp_path: Path) -> None:
    """Participants and files that settings may choose rows by."""
    for side in ("train", "dev", "test"):
        rows = [{"wav_path": f"{side}/visit-{side}.wav", "participant_id": f"margarethe-{side}", "recording_id": side}]
        pd.DataFrame(rows).to_parquet(tmp_path / f"{side}.parquet")
    names = CorpusPseudonyms.of_split(tmp_path)
    settings = {"probe": {"where": {"participant_id": ["margarethe-dev"]}}, "file": "dev/visit-dev.wav", "steps": 3}
    shown = without_names(settings, names)
    assert "margarethe" not in str(shown)
    assert "visit" not in str(shown)
    assert shown["steps"] == 3
    assert without_names(settings, None) == settings
    assert without_names({"a": ["/home/someone/x.ckpt"]}, None) == {"a": ["a folder"]}


# ------------------------------------------------------------------ the library itself, without a network


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """Folders of a plain run and of one with wandb offline that was cut; what they did to this process."""
    pytest.importorskip("wandb")
    place = tmp_path_factory.mktemp("offline")
    plain, logged = place / "plain", place / "results" / "logged"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(place / "home"))
        patched.setenv("WANDB_API_KEY", KEY)
        patched.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        toy_fit(plain, dropout=0.2, num_workers=1)
        before = state_of_process()
        with pytest.raises(Unfinished):
            toy_fit(logged, dropout=0.2, num_workers=1, log=OFFLINE, run_settings=SETTINGS, stop_after_steps=5)
        toy_fit(logged, dropout=0.2, num_workers=1, log=OFFLINE, run_settings=SETTINGS)
    return plain, logged, {"before": before, "after": state_of_process()}


def state_of_process() -> dict[str, Any]:
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    return {
        "handlers": [signal.getsignal(each) for each in signals],
        "hooks": (sys.exit, sys.excepthook, threading.excepthook, sys.stdout, sys.stderr),
        "mode": os.environ.get("WANDB_MODE"),
    }


@pytest.mark.slow
def test_an_offline_run_ends_in_the_same_weights(offline) -> None:
    plain, logged, _ = offline
    names = ("model.safetensors", "scheduler.pt", "rng_state.pth")
    for name in names:
        files = [folder / "checkpoints" / "step-8" / name for folder in (plain, logged)]
        assert files[0].read_bytes() == files[1].read_bytes(), name
    assert load_file(plain / "checkpoints" / "step-8" / "model.safetensors").keys()


@pytest.mark.slow
def test_an_offline_run_lies_in_the_folder_under_one_id(offline) -> None:
    _, logged, _ = offline
    drawn = read_json(logged / "checkpoints" / "wandb.json")["id"]
    found = sorted(path.name for path in (logged / "wandb").glob("offline-run-*"))
    assert len(found) == 2
    assert all(name.endswith(f"-{drawn}") for name in found)
    assert len(list((logged / "wandb").glob(f"offline-run-*/run-{drawn}.wandb"))) == 2


@pytest.mark.slow
def test_the_process_is_left_as_it_was(offline) -> None:
    _, _, states = offline
    assert states["before"] == states["after"]


@pytest.mark.slow
def test_neither_the_key_nor_the_machine_is_in_any_file(offline) -> None:
    plain, logged, _ = offline
    record = b"".join(path.read_bytes() for path in logged.glob("wandb/*/*.wandb"))
    assert b"train/total" in record and b"eval/error" in record and b"homes" in record  # it is no empty one
    told = [str(plain.parent).encode(), str(Path.cwd()).encode(), b"/srv/me", os.fsencode(sys.executable), b"pytest"]
    if len(host := socket.gethostname().encode()) > 4:
        told.append(host)
    for each in told:
        assert each not in record, each
    for path in plain.parent.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_the_library_takes_nothing_from_global_random_states(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    tracker = WandbLog(LogConfig.model_validate(OFFLINE), tmp_path, "toy", SETTINGS)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    tracker.on_train_begin(None, types.SimpleNamespace(is_world_process_zero=True), None)
    tracker.on_log(None, types.SimpleNamespace(global_step=1), None, logs={"total": 1.0})
    tracker.close()
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
