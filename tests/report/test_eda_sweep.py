"""Several seeds or cases of a run that predicts traces on one page, from planted measures."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import Audio2EdaRun
from audiorig.config.sweeps import Sweep
from audiorig.evaluate.eda.seeds import join_seeds
from audiorig.report.comparison import Compared, build_comparison
from audiorig.report.joined import Member
from audiorig.report.joint_page import build_joint_page
from audiorig.report.scores import Beside, Estimate, Scores
from audiorig.report.tables import beside_table

RUN = Audio2EdaRun.model_validate(
    {
        "experiment": "audio2eda",
        "data": {"corpus": "demo"},
        "score": {"bootstrap": 100},
        "report": {"notes": ["A note."]},
    }
)
BASELINES = {"template": 0.3, "ridge": 0.5, "zero": 0.0}


def items(seed: int, r: float, songs: range = range(8)) -> pd.DataFrame:
    """Measures of 8 songs with 3 listeners each."""
    rows: list[dict[str, Any]] = []
    for system, level in {"audio2eda": r, **BASELINES}.items():
        generator = np.random.default_rng((seed, round(100 * level)))
        for song in songs:
            for listener in range(3):
                value = level + 0.05 * generator.normal()
                about = {"task": "demo", "system": system, "item": f"demo/{song}/{listener}/0", "group": f"demo/{song}"}
                rows.append({**about, "participant_id": f"demo/{listener}", "pearson": value, "mse": 1 - value})
    return pd.DataFrame(rows)


def member(name: str, table: pd.DataFrame, *, private: bool = False) -> Member:
    values = {
        "pearson": float(table.loc[table["system"] == "audio2eda", "pearson"].mean()),
        "p_permuted_songs": 0.01,
    }
    rows = [
        {"task": "demo", "system": "audio2eda", "metric": metric, "value": value, "low": value, "high": value,
         "n": 24, "num_groups": 8} for metric, value in values.items()
    ]  # fmt: skip
    training = {"wall_sec": 61.0, "package_digest": "a", "private": private}
    return Member(name, Scores(rows), table, None, training, f"../{name}/report.html")


def sweep(*cases: str, seeds: tuple[int, ...] = (0, 1, 2)) -> Sweep:
    return Sweep(
        name="swept",
        title="Seeds of a run",
        achieves="",
        reference=cases[0],
        seeds=seeds,
        cases={case: case.replace("-", " ") for case in cases},
        folders={case: f"swept/{case}" for case in cases},
        changes={case: {"model": {"causal": False}} for case in cases[1:]},
        common={},
    )


def page_of(cases: dict[str, float], **more: Any) -> str:
    about = sweep(*cases)
    members = [
        member(about.run(case, seed), items(seed, r + 0.02 * seed), **more)
        for case, r in cases.items()
        for seed in about.seeds
    ]
    return build_joint_page(about, RUN, members)


def test_seeds_are_joined_beside_the_baselines() -> None:
    page = page_of({"only": 0.7})
    assert re.search(
        r"demo: r 0\.7\d+ \[0\.\d+, 0\.\d+\], mean of 3 seeds, which reach from \.(69|70)\d to \.7[34]\d", page
    )
    assert "minus the time since onset alone +0.4" in page
    assert "time since onset (template)" in page
    assert "A note." in page
    assert "3 seeds: how much seeds differ" in page
    assert 'href="../swept/only/seed-1/report.html"' in page
    assert "p .010" in page
    assert "Cases</h2>" not in page


def test_cases_stand_beside_the_reference() -> None:
    page = page_of({"all": 0.7, "hears-it-all": 0.4})
    assert re.search(r"demo, hears it all: r −0\.(29|30)\d \[−0\.\d+, −0\.\d+\]", page)
    assert "model.causal False" in page
    assert "minus the reference" in page


def test_of_a_private_corpus_no_value_of_a_setting_is_shown() -> None:
    page = page_of({"all": 0.7, "other": 0.4}, private=True)
    assert "A note." not in page and "model.causal" not in page and "Seeds of a run" not in page


def test_seeds_with_songs_of_their_own_are_joined_too() -> None:
    about = sweep("only", seeds=(0, 1))
    members = [member(about.run("only", seed), items(seed, 0.7, range(4 * seed, 4 * seed + 8))) for seed in about.seeds]
    assert "36 test items of 12 groups" in build_joint_page(about, RUN, members)


@pytest.mark.parametrize("metric", ["pearson", "mse"])
def test_differences_to_other_runs_have_the_units_of_traces(metric: str) -> None:

    table = beside_table(Beside("other", {("demo", metric): Estimate(0.1, 0.05, 0.15, 24, 8, "groups")}))
    assert table.rows[0][2] == f"+0.100 [+0.050, +0.150] {'r' if metric == 'pearson' else 'MSE'}"


def test_runs_that_predict_traces_stand_in_a_table_of_their_own() -> None:
    runs = []
    for name, r in (("first", 0.7), ("second", 0.6)):
        rows = join_seeds({0: items(0, r)}, 100, 0)
        runs.append(Compared(name, f"{name}/report.html", RUN, Scores(rows), {"package_digest": "a"}))
    page = build_comparison(runs)
    assert "Predicted traces" in page and "Probes" not in page
    assert re.search(r"0\.(69|70)\d \[0\.\d+, 0\.\d+\]", page)
    assert "network minus template, r" in page
