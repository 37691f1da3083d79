"""The ladder of planted cases: a leak is found, luck is luck, and equal test sets are compared clip by clip."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.data.manifest import write_table
from audiorig.errors import DataError
from audiorig.evaluate.ladder import LadderCase, build_ladder, read_cases

ROOT = Path(__file__).parents[2]


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


seeds = load("clip_seeds_tables", Path(__file__).with_name("test_clip_seeds.py"))
predictions, wrong, TRUE, GROUPS = seeds.predictions, seeds.wrong, seeds.TRUE, seeds.GROUPS
LUCK = 2 / 3  # share of errors of who knows nothing of three classes


def blind(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 100).integers(0, 3, len(TRUE))


def by_clip(seed: int, share: float) -> pd.DataFrame:
    """Another test set for each seed, of clips that are groups of their own."""
    true = np.random.default_rng(seed + 50).integers(0, 3, 60)
    return predictions(true, wrong(share, seed, true), prefix=f"clip-{seed}-")


@pytest.fixture(scope="module")
def ladder() -> dict[str, Any]:
    def case(name: str, title: str, answers: Callable[[int], np.ndarray]) -> LadderCase:
        return LadderCase(name, title, {seed: predictions(TRUE, answers(seed), GROUPS) for seed in range(3)})

    cases = [
        case("infantcry", "", lambda seed: wrong(0.5, seed)),
        LadderCase("by-clip", "by clip", {seed: by_clip(seed, 0.05) for seed in range(3)}),
        case("other", "another encoder", lambda seed: wrong(0.2, seed)),
        case("permuted", "labels permuted", blind),
    ]
    return build_ladder(cases, 300)


def row(ladder: dict[str, Any], case: str, metric: str = "balanced_accuracy") -> dict[str, Any]:
    (found,) = [each for each in ladder["rows"] if (each["case"], each["metric"]) == (case, metric)]
    return found


def test_every_case_has_every_score_and_the_last_is_the_commonest_answer(ladder: dict[str, Any]) -> None:
    assert list(dict.fromkeys(each["case"] for each in ladder["rows"])) == [
        *("infantcry", "by-clip", "other", "permuted", "majority")
    ]
    assert {each["metric"] for each in ladder["rows"]} == {"accuracy", "balanced_accuracy", "macro_f1", "auc"}
    assert (ladder["reference"], ladder["system"]) == ("infantcry", "infantcry")
    assert row(ladder, "infantcry")["title"] == "infantcry"
    json.dumps(ladder, allow_nan=False)


def test_a_planted_leak_is_certain_and_not_paired(ladder: dict[str, Any]) -> None:
    leak = row(ladder, "by-clip")["minus_reference"]
    assert leak["low"] > 0.2
    assert leak["is_certain"]
    assert not leak["is_paired"]
    assert row(ladder, "by-clip")["low"] > row(ladder, "infantcry")["high"]


def test_cases_on_the_same_clips_are_paired(ladder: dict[str, Any]) -> None:
    other = row(ladder, "other")["minus_reference"]
    assert other["is_paired"]
    assert other["is_certain"]
    values = [np.subtract(*(row(ladder, case)["by_seed"] for case in ("other", "infantcry")))]
    assert other["value"] == pytest.approx(np.mean(values), abs=1e-5)


def test_luck_is_not_certain_to_be_above_luck(ladder: dict[str, Any]) -> None:
    permuted = row(ladder, "permuted")
    assert permuted["chance"] == pytest.approx(1 / 3, abs=1e-6)
    assert permuted["low"] < 1 / 3 < permuted["high"]
    assert not permuted["above_majority"]["is_certain"]
    assert row(ladder, "infantcry")["above_majority"]["is_certain"]
    assert row(ladder, "majority")["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert row(ladder, "majority", "accuracy")["value"] == row(ladder, "infantcry", "accuracy")["majority"]


def test_support_counts_each_clip_once(ladder: dict[str, Any]) -> None:
    mine, leaky = row(ladder, "infantcry"), row(ladder, "by-clip")
    assert mine["support"] == dict(zip(("hungry", "tired", "pain"), np.bincount(TRUE).tolist(), strict=True))
    assert (mine["n"], mine["num_groups"], mine["clips_by_seed"], mine["groups_by_seed"]) == (
        *(48, 12, [48] * 3, [12] * 3),
    )
    assert (leaky["n"], leaky["num_groups"], leaky["clips_by_seed"]) == (180, 180, [60] * 3)


def test_the_best_is_one_that_was_tested_on_the_same_clips(ladder: dict[str, Any]) -> None:
    (best,) = ladder["best"]
    assert (best["case"], best["metric"], best["num_cases"]) == ("other", "balanced_accuracy", 3)
    assert best["above_chance"]["value"] == pytest.approx(best["value"] - 1 / 3, abs=1e-5)
    assert best["above_chance"]["low"] > 0


def test_a_case_that_can_learn_nothing_is_never_the_best() -> None:
    tables = {0: predictions(TRUE, wrong(0.5, 0), GROUPS)}
    lucky = LadderCase("permuted", "", {0: predictions(TRUE, wrong(0.0, 0), GROUPS)}, is_control=True)
    (best,) = build_ladder([LadderCase("a", "", tables), lucky], 100)["best"]
    assert (best["case"], best["num_cases"]) == ("a", 1)


def test_a_case_minus_itself_is_nothing() -> None:
    tables = {seed: predictions(TRUE, wrong(0.5, seed), GROUPS) for seed in range(3)}
    ladder = build_ladder([LadderCase("a", "", tables), LadderCase("b", "", tables)], 100)
    difference = row(ladder, "b")["minus_reference"]
    assert (difference["value"], difference["low"], difference["high"]) == (0, 0, 0)


def test_cases_of_different_seeds_are_compared_as_they_are() -> None:
    cases = [
        LadderCase("a", "", {0: predictions(TRUE, wrong(0.5, 0), GROUPS)}),
        LadderCase("b", "", {seed: predictions(TRUE, wrong(0.1, seed), GROUPS) for seed in (1, 2)}),
    ]
    difference = row(build_ladder(cases, 200), "b")["minus_reference"]
    assert difference["is_certain"]
    assert not difference["is_paired"]


def test_the_same_files_give_the_same_bytes() -> None:
    cases = [LadderCase("a", "", {0: predictions(TRUE, wrong(0.5, 0), GROUPS)})]
    assert json.dumps(build_ladder(cases, 100)) == json.dumps(build_ladder(cases, 100))


def test_cases_are_read_from_files(tmp_path: Path) -> None:
    for seed in (2, 10):
        write_table(predictions(TRUE, wrong(0.5, seed), GROUPS), tmp_path / f"{seed}.parquet")
    files = {str(seed): str(tmp_path / f"{seed}.parquet") for seed in (10, 2)}
    (case,) = read_cases([{"case": "a", "title": "A", "files": files}])
    assert list(case.tables) == [2, 10]
    assert build_ladder([case], 100)["rows"][0]["seeds"] == [2, 10]
    bare = predictions(TRUE, TRUE)
    bare.attrs = {}
    write_table(bare, tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="rule score"):
        read_cases([{"case": "a", "title": "", "files": {"0": str(tmp_path / "bare.parquet")}}])


@pytest.mark.slow
def test_the_script_writes_the_ladder(tmp_path: Path) -> None:
    write_table(predictions(TRUE, wrong(0.5, 0), GROUPS), tmp_path / "0.parquet")
    (tmp_path / "probe.yaml").write_text("experiment: infantcry\nscore: {bootstrap: 100}\n")
    members = json.dumps([{"case": "a", "title": "", "files": {"0": str(tmp_path / "0.parquet")}}])
    arguments = ["--config", str(tmp_path / "probe.yaml"), "--members", members, "--output", str(tmp_path / "l.json")]
    subprocess.run(
        [sys.executable, "workflow/scripts/ladder.py", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": "", "OMP_NUM_THREADS": "1"},
        check=True,
    )
    assert json.loads((tmp_path / "l.json").read_text())["reference"] == "a"
