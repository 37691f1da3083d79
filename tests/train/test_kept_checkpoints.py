"""Checkpoints of the best evaluations, and those of every so many steps: which are there after each save."""

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from audiorig.config import SelectionConfig, TrainConfig
from audiorig.errors import ConfigError, Unfinished
from audiorig.files import read_json
from audiorig.train import best, checkpoints
from audiorig.train.selection import ranked

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

NAN = math.nan
TWO = ("whole", "cut")
VALUES = [5.0, NAN, 3.0, 4.0, 2.0, 6.0, 3.0, 1.0]  # what dev gives after step 1, 2, ...
# What lies there after each save, with keep_top 2 and keep_checkpoints 1; 7 is no better than 3, 2 is no number.
AFTER = {1: [1], 3: [1, 3], 4: [3, 4], 5: [3, 5], 8: [5, 8]}
LISTED = {1: [1], 3: [3, 1], 4: [3, 4], 5: [5, 3], 8: [8, 5]}
OPTIONS: dict[str, Any] = {
    **{"planted": VALUES, "dropout": 0.2, "max_steps": 8, "eval_steps": 1, "save_steps": 100, "keep_checkpoints": 1},
    "selection": {"metric": "planted", "keep_top": 2},
}


def steps_of(root: Path) -> list[int]:
    return sorted(checkpoints.step_of(path) for path in checkpoints.list_checkpoints(root))


def listed_in(root: Path) -> list[int]:
    index = read_json(root / best.INDEX)
    assert set(index) == {"metric", "mode", "checkpoints"}
    for entry in index["checkpoints"]:
        assert checkpoints.broken_because(root / entry["folder"]) is None
        assert checkpoints.step_of(root / entry["folder"]) == entry["step"]
        assert math.isfinite(entry["value"])
    return [entry["step"] for entry in index["checkpoints"]]


class Look(TrainerCallback):
    """Notes after each save what lies there, and what is listed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lying: dict[int, list[int]] = {}
        self.listed: dict[int, list[int]] = {}

    def on_save(self, args: Any, state: Any, control: Any, **other: Any) -> None:
        self.lying[state.global_step] = steps_of(self.root)
        self.listed[state.global_step] = listed_in(self.root)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_are_kept_and_listed_best_first(tmp_path: Path, mode: str) -> None:
    sign = 1 if mode == "min" else -1
    options = {**OPTIONS, "planted": [sign * value for value in VALUES]}
    options["selection"] = {**OPTIONS["selection"], "mode": mode}
    look = Look(tmp_path / "checkpoints")
    toy_fit(tmp_path, callbacks=(look,), **options)
    assert look.lying == AFTER
    assert look.listed == LISTED
    assert read_json(tmp_path / "checkpoints" / "best.json") == {
        "metric": "planted",
        "mode": mode,
        "checkpoints": [
            {"step": 8, "value": sign * 1.0, "folder": "step-8"},
            {"step": 5, "value": sign * 2.0, "folder": "step-5"},
        ],
    }


def test_they_hold_the_weights_that_were_evaluated_and_change_nothing(tmp_path: Path) -> None:
    history, _ = toy_fit(tmp_path / "top", **OPTIONS)
    plain = {**OPTIONS, "selection": {"metric": "planted"}, "save_steps": 1, "keep_checkpoints": 100}
    assert toy_fit(tmp_path / "all", **plain)[0] == history
    assert not (tmp_path / "all" / "checkpoints" / "best.json").exists()
    for step in (5, 8):
        files = [tmp_path / name / "checkpoints" / f"step-{step}" / "model.safetensors" for name in ("top", "all")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("cut", [1, 2, 4, 6])
def test_a_cut_run_keeps_what_an_unbroken_one_does(tmp_path: Path, cut: int) -> None:
    root = tmp_path / "checkpoints"
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=cut, **OPTIONS)
    look = Look(root)
    toy_fit(tmp_path, callbacks=(look,), **OPTIONS)
    assert look.listed == {step: listed for step, listed in LISTED.items() if step > cut}
    assert steps_of(root) == AFTER[8]


def test_it_goes_on_where_rotation_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed first, deleted then: whatever is listed is there."""
    root = tmp_path / "checkpoints"

    def kill(folder: Path, *given: Any) -> None:
        if (folder / "step-4").exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "rotate", kill)
        with pytest.raises(KeyboardInterrupt):
            toy_fit(tmp_path, **OPTIONS)
    assert listed_in(root) == [3, 4]
    assert steps_of(root) == [1, 3, 4]
    toy_fit(tmp_path, **OPTIONS)
    assert listed_in(root) == [8, 5]
    assert steps_of(root) == [5, 8]


def test_a_lost_one_is_listed_no_more(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=6, **OPTIONS)
    (root / "step-5").rename(tmp_path / "lost")
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=1, **OPTIONS)
    assert listed_in(root) == [3, 7]  # 6 and 7 were saved because the run was stopped there
    assert steps_of(root) == [3, 7]


def test_it_may_begin_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """What was better, but was not kept, takes nobody's place."""
    root = tmp_path / "checkpoints"
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=5, **{**OPTIONS, "selection": {"metric": "planted"}})
    (root / "step-5").rename(tmp_path / "step-5")
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, resume_from=tmp_path / "step-5", stop_after_steps=2, **OPTIONS)
    assert listed_in(root) == [5, 7]
    toy_fit(tmp_path, **{**OPTIONS, "selection": {"metric": "planted"}})
    assert not (root / "best.json").exists()


def test_they_come_along_when_a_run_goes_on_from_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "first", stop_after_steps=6, **OPTIONS)
    old, root = tmp_path / "first" / "checkpoints", tmp_path / "second" / "checkpoints"
    assert steps_of(old) == [3, 5, 6]
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "second", resume_from=old / "step-6", stop_after_steps=1, **OPTIONS)
    assert listed_in(root) == [5, 3]
    assert steps_of(root) == [3, 5, 7]


def test_the_best_of_gains_is_kept_beside_the_best_of_values(tmp_path: Path) -> None:
    """With a delta of 5, nothing after step 1 is a gain: what the run ends with is 1, and 8 and 5 are the best."""
    selection = {"metric": "planted", "keep_top": 2, "keep_best": True, "delta": 5.0}
    history, _ = toy_fit(tmp_path, **{**OPTIONS, "selection": selection})
    assert history[-1]["weights_step"] == 1
    assert steps_of(tmp_path / "checkpoints") == [1, 5, 8]
    assert listed_in(tmp_path / "checkpoints") == [8, 5]


def test_no_number_is_never_kept(tmp_path: Path) -> None:
    toy_fit(tmp_path, **{**OPTIONS, "planted": [NAN]})
    assert listed_in(tmp_path / "checkpoints") == []
    assert steps_of(tmp_path / "checkpoints") == [8]


@pytest.mark.parametrize(("mode", "expected"), [("min", [8, 5, 3, 7, 4, 1, 6]), ("max", [6, 1, 4, 3, 7, 5, 8])])
def test_ranks_of_evaluations(mode: str, expected: list[int]) -> None:
    """Of equal ones the earlier goes first; infinite ones have no rank either."""
    history = [{"step": step, "eval_planted": value} for step, value in enumerate(VALUES, 1)]
    history += [{"step": 9, "eval_planted": math.inf}, {"step": 10, "eval_planted": None}, {"step": 11, "total": 0.0}]
    selection = SelectionConfig(metric="planted", mode=mode, delta=100.0)
    assert [step for step, _ in ranked(history, selection)] == expected


def test_every_so_many_steps_are_kept_for_good(tmp_path: Path) -> None:
    toy_fit(tmp_path, max_steps=9, save_steps=1, keep_checkpoints=2, keep_every_steps=3)
    assert steps_of(tmp_path / "checkpoints") == [3, 6, 8, 9]


def test_a_metric_that_dev_does_not_give_ends_it_before_the_first_step(tmp_path: Path) -> None:
    for selection in ({"keep_top": 1}, {"keep_best": True}, {"patience": 3}):
        with pytest.raises(ConfigError, match="an evaluation gives no 'errors'; take one of error, share"):
            toy_fit(tmp_path, selection={"metric": "errors", **selection})
    assert list((tmp_path / "checkpoints").glob("step-*")) == []
    assert not (tmp_path / "tensorboard").exists()
    with pytest.raises(ConfigError, match="dev has no items"):
        toy_fit(tmp_path, num_dev=0, selection={"metric": "error", "keep_top": 1})


def test_looking_for_the_metric_changes_nothing(tmp_path: Path) -> None:
    plain, _ = toy_fit(tmp_path / "plain", dropout=0.2)
    judged, _ = toy_fit(tmp_path / "judged", dropout=0.2, selection={"metric": "error", "keep_top": 1})
    assert judged == plain


def test_ranks_agree_on_what_is_kept(fork_ranks: Callable, tmp_path: Path) -> None:
    """Two of them, whole and cut: dev comes twice in the epoch, and both save the same."""
    options = {"selection": {"metric": "error", "keep_top": 2}, "eval_epochs": 0.9, "keep_checkpoints": 1}
    assert fork_ranks(lambda: TOY.program(tmp_path, "compare", options)) == [0, 0]
    found = [(listed_in(tmp_path / name / "checkpoints"), steps_of(tmp_path / name / "checkpoints")) for name in TWO]
    assert found[0] == found[1]
    first = read_json(tmp_path / "rank-0.json")["whole"]["history"]
    dev = {entry["step"]: entry["eval_error"] for entry in first if "eval_error" in entry}
    assert list(dev) == list(range(1, 9))  # 0.9 x 10 items at 8 a step
    assert found[0][0] == sorted(dev, key=lambda step: dev[step])[:2]


def test_what_is_kept_is_operation() -> None:
    assert {"keep_every_steps", "selection"} <= set(TrainConfig(selection={"keep_top": 3}).operation_keys())


def test_keeping_more_of_them_goes_on_with_the_run(tmp_path: Path) -> None:
    """Also where dev is followed, and what it is judged by makes another run."""
    options = {**OPTIONS, "selection": {"metric": "planted", "keep_best": True}}
    with pytest.raises(Unfinished):
        toy_fit(tmp_path, stop_after_steps=3, **options)
    options["selection"] = {**options["selection"], "keep_top": 2}
    history, _ = toy_fit(tmp_path, **options)
    assert not (tmp_path / "checkpoints.stale-1").exists()
    assert [entry["step"] for entry in history if "total" in entry] == list(range(1, 9))
    assert listed_in(tmp_path / "checkpoints") == [8, 5]
    options["selection"] = {**options["selection"], "delta": 0.5}
    toy_fit(tmp_path, **options)
    assert (tmp_path / "checkpoints.stale-1").is_dir()
