"""Seeds and ablations as targets: their plan, and a small one run to its page."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

COUNTED = ("train", "probe", "reconstruct", "report", "sweep", "against", "spectrum_statistics", "plan_probe")


def counted(jobs: dict[str, int]) -> dict[str, int]:
    return {name: jobs[name] for name in COUNTED if name in jobs}


def test_an_ablation_is_one_target_and_makes_once_what_all_share(checkout) -> None:
    jobs = counted(checkout.planned("results/ablation-wavemae/report.html"))
    each = dict.fromkeys(("train", "probe", "reconstruct", "report"), 8 * 3)
    assert jobs == {**each, "sweep": 1, "spectrum_statistics": 1, "plan_probe": 1}


def test_a_run_with_several_seeds_is_joined_and_compared_seed_by_seed(checkout) -> None:
    config = {"build": ["many"], "many": {"extends": "smoke", "seeds": [4, 5], "report": {"compare_with": "wavemae"}}}
    name = checkout.configure("many.yaml", config)
    jobs = counted(checkout.planned("--configfile", name, "--", "results/many/report.html"))
    # wavemae beside it: trained and probed once, and without a page.
    shared = {"spectrum_statistics": 2, "plan_probe": 2}
    assert jobs == {"train": 3, "probe": 3, "reconstruct": 3, "report": 2, "against": 2, "sweep": 1, **shared}


def test_one_seed_of_a_run_is_a_run(checkout) -> None:
    jobs = counted(checkout.planned("results/smoke/seed-3/final.ckpt"))
    assert jobs == {"train": 1, "spectrum_statistics": 1, "plan_probe": 1}


def test_a_wrong_key_in_a_case_is_a_sentence(checkout) -> None:
    case = "ablations={wavemae: {cases: {dense: {settings: {model: {encodr_mode: dense}}}}}}"
    done = checkout.snakemake("--dry-run", "--config", case, "--", "results/ablation-wavemae/report.html")
    assert done.returncode != 0
    sentence = "ablation 'wavemae', case 'dense': there is no setting 'model.encodr_mode'; did you mean encoder_mode"
    assert f"error: {sentence}" in done.stdout
    assert "Traceback" not in done.stdout


def small_sweep(folder: Path) -> dict:
    """Two cases and two seeds of the tiny run, which learns nothing; a rotated probe."""
    rotated = {"label": "language", "assign": "rotate", "folds": 3}
    common = {"train": {"max_steps": 4}, "probe": {"each_layer": False, "tasks": {"rotated": rotated}}}
    dense = {"title": "dense encoder", "settings": {"model": {"encoder_mode": "dense"}}}
    ablation = {"base": "tiny", "seeds": [0, 1], "common": common, "reference": "as-is", "cases": {"as-is": {}}}
    ablation["cases"]["dense"] = dense
    return {**yaml.safe_load((folder / "tiny.yaml").read_text()), "ablations": {"small": ablation}}


@pytest.mark.slow
def test_an_ablation_ends_in_a_page(finished) -> None:
    finished.configure("small.yaml", small_sweep(finished.folder))
    arguments = ("--configfile", "small.yaml", "--", "results/ablation-small/report.html")
    jobs = counted(finished.planned(*arguments))
    each = dict.fromkeys(("train", "probe", "reconstruct", "report"), 4)
    assert jobs == {**each, "sweep": 1, "plan_probe": 1}  # the statistics are those of tiny
    done = finished.snakemake(*arguments)
    assert done.returncode == 0, done.stdout[-5000:]
    folder = finished.folder / "results" / "ablation-small"
    page = (folder / "report.html").read_text()
    assert "Dense encoder: " in page
    links = set(re.findall(r'href="([^"]*)"', page))
    assert links == {f"{case}/seed-{seed}/report.html" for case in ("as-is", "dense") for seed in (0, 1)}
    assert all((folder / link).is_file() for link in links)
    for case in ("as-is", "dense"):
        run = folder / case / "seed-1"
        items = pd.read_parquet(run / "probe" / "items.parquet")
        rows = json.loads((run / "metrics.json").read_text())
        accuracy = {(row["task"], row["system"]): row["value"] for row in rows if row["metric"] == "accuracy"}
        for key, found in items.groupby(["task", "system"]):
            assert found["hit"].mean() == pytest.approx(accuracy[key], abs=2e-6)
        assert items.loc[items["task"] == "rotated", "group"].nunique() == 12  # every speaker was tested
    assert finished.planned(*arguments) == {}
