"""The page of predicted traces, from planted ones: what it says, and what it must not show."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import Audio2EdaRun, DemoEdaCorpus
from audiorig.report.eda.figures import stacked
from audiorig.report.eda.inputs import Heard
from audiorig.report.eda.page import content, example_songs
from audiorig.report.inputs import RunInputs, no_files
from audiorig.report.page import build_report
from audiorig.report.scores import Scores

STEPS = 80
SONGS = [f"demo/{number}" for number in (1, 2, 10, 11, 12)]
SUBJECTS = ("100083", "110414", "200440")


def row(system: str, metric: str, value: float, half: float = 0.05) -> dict[str, Any]:
    return {
        "task": "demo", "system": system, "metric": metric, "value": value, "low": value - half, "high": value + half,
        "n": 15, "num_groups": 5, "interval_over": "groups", "split": "test", "layer": None, "seed": None,
    }  # fmt: skip


def scores(p: float = 0.005, ratio: float = 0.9) -> Scores:
    values = {"audio2eda": 0.71, "template": 0.5, "ridge": 0.68, "song-mean": 0.75, "permuted-songs": 0.33, "zero": 0.0}
    rows = [row(system, "pearson", value) for system, value in values.items()]
    rows += [row(system, "mse", 1 - value**2) for system, value in values.items()]
    rows += [row("audio2eda minus template", "pearson", 0.21), row("audio2eda minus ridge", "pearson", 0.03)]
    rows += [
        row("audio2eda", "p_permuted_songs", p, 0),
        row("audio2eda", "sd_ratio", ratio),
        row("ceiling", "pearson", 0.8),
    ]
    return Scores(rows)


def predictions() -> pd.DataFrame:
    steps = np.arange(STEPS)
    found = []
    for place, song in enumerate(SONGS):
        for subject in SUBJECTS:
            true = np.sin(steps / 9 + place) + 0.1 * len(found)
            true[-5:] = np.nan  # nobody heard the end
            values = {
                "true": true,
                "audio2eda": np.sin(steps / 9 + place),
                "template": np.zeros(STEPS),
                "ridge": true / 2,
            }
            found += [
                {
                    "trace_id": f"{song}/{subject}/0", "song_id": song, "participant_id": f"demo/{subject}",
                    "dataset": "demo", "system": system, "values": each if system == "true" else np.nan_to_num(each),
                }
                for system, each in values.items()
            ]  # fmt: skip
    return pd.DataFrame(found)


def planted(*, private: bool = False, changes: dict[str, Any] | None = None, **of_scores: float) -> RunInputs:
    run = Audio2EdaRun.model_validate(
        {
            "experiment": "audio2eda",
            "data": {"corpus": "demo-eda"},
            "report": {"title": "Skin and song"},
            **(changes or {}),
        }
    )
    heard = Heard(
        predictions=predictions(),
        nulls={"demo": {"permuted-songs": [0.3, 0.31, 0.35, 0.36], "shifted": [0.1, 0.2]}},
        quality={
            "num_traces": 20,
            "num_kept": 15,
            "num_songs": 7,
            "num_subjects": 3,
            "flags": {"quantised": 5, "dead": 0},
        },
        excluded=pd.DataFrame({"trace_id": ["demo/9/110414/0"], "flags": ["quantised"]}),
        missing=pd.DataFrame({"dataset": ["demo"], "song_id": ["demo/77"], "link": [""], "reason": ["no such file"]}),
        assumptions=[{"code": "subject_digits", "text": "the last six digits", "count": 2, "files": ["EDA/9_EDA.csv"]}],
    )
    history = [
        {"step": step, "huber": 1 / (step + 1), "total": 1 / (step + 1), "learning_rate": 1e-3} for step in range(1, 21)
    ]
    history += [{"step": 20, "eval_huber": 0.2, "eval_total": 0.2, "eval_pearson": 0.5, "eval_mse": 0.4}]
    return RunInputs(
        name="mine",
        run=run,
        history=history,
        scores=scores(**of_scores),
        corpus=DemoEdaCorpus(kind="demo-eda", private=private),
        validation={"num_files": 7},
        invalid=pd.DataFrame(columns=["wav_path", "reason", "severity", "detail"]),
        invalid_link="../corpora/demo-eda/validation/invalid_files.parquet",
        split={"group": "song", "seed": 0, "sides": {}},
        provenance={
            "train": {"stage": "train", "wall_sec": 20.0, "receptive_sec": 12.5, "started": "2026-01-01T00:00:00"}
        },
        environment={},
        heard=heard,
        files=no_files(),
    )


def test_the_page_says_what_the_scores_say() -> None:
    page = build_report(planted())
    assert (
        "demo: r .710 [.660, .760] over 5 test songs; above the time since onset alone (+0.210 [+0.160, +0.260] r)"
        in page
    )
    assert "not certain to differ from a ridge on lagged coefficients (+0.030 [−0.020, +0.080] r)" in page
    assert "predictions of other songs reach .330" in page
    assert "5 of 20 traces are left out" in page
    assert "it hears" in page
    assert "12.5 s back" in page
    assert "the last six digits" in page
    assert "the shape alone is predicted" in page
    assert page.count("data:image/svg+xml") >= 4  # losses, null, traces, error by time


def test_r_that_other_songs_reach_and_flat_predictions_are_told_first() -> None:
    page = build_report(planted(p=0.4, ratio=0.2))
    assert "predictions of other songs score as well in .400 of the draws" in page
    assert "predictions are flat, with .20 of the true deviation" in page
    honest = build_report(planted())
    assert "score as well" not in honest
    assert "predictions are flat" not in honest


def test_flags_leave_out_what_the_corpus_checks_say() -> None:
    """The corpus' settings that the page reads are without its checks: quality.json has what counted."""
    inputs = planted()
    quality = {"flags": {"end_jump": 3, "dead": 1}, "exclude": ["end_jump"]}
    changed = replace(inputs, heard=replace(inputs.heard, quality=quality))
    assert content(changed, changed.run)["flags"].rows == (("end jump", "3", "left out"), ("dead", "1", "kept"))


def test_no_name_of_a_private_corpus_is_shown() -> None:
    page = build_report(planted(private=True))
    for name in ("110414", "demo/9", "demo/77", "demo/10", "EDA/9_EDA.csv"):
        assert name not in page, name
    assert "the last six digits" in page  # what was assumed is no name


def test_examples_are_spread_over_the_songs_and_not_picked() -> None:
    assert example_songs(planted(), 2) == ["demo/1", "demo/11"]
    assert example_songs(planted(), 99) == sorted(SONGS)
    assert example_songs(replace(planted(), heard=Heard()), 3) == []


def test_steps_that_nobody_heard_are_cut_from_the_picture() -> None:
    table = stacked([np.array([1.0, np.nan, np.nan], np.float32), np.array([2.0, 3.0, np.nan], np.float32)])
    assert table.shape == (2, 2)
    assert np.isnan(table[0, 1])


def test_a_page_without_traces_is_a_page() -> None:
    page = build_report(replace(planted(), heard=Heard(), scores=Scores([]), history=[]))
    assert "No scores were given" in page
    assert "No traces were kept" in page


@pytest.mark.parametrize("target", ["clean", "tonic", "phasic"])
def test_what_is_predicted_is_named(target: str) -> None:
    words = {"clean": "the filtered trace", "tonic": "its slow (tonic) part", "phasic": "its quick (phasic) part"}
    assert words[target] in build_report(planted(changes={"eda": {"target": target}}))


def test_a_network_that_hears_what_comes_is_not_said_to_look_back() -> None:
    page = build_report(planted(changes={"model": {"causal": False}}))
    assert "hears what was and what comes" in page
    assert "12.5 s back" not in page and "since the onset</dd>" not in page
