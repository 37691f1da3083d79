"""From generated songs and listeners to a page, through every rule; twice, and with settings that change one stage."""

import importlib.util
import json
from pathlib import Path

import pytest

RUN = {
    "build": ["heard"],
    "corpora": {"demo-eda": {"num_songs": 20, "num_subjects": 8, "listeners_per_song": 3, "duration_sec": 14.0}},
    "heard": {
        "extends": "audio2eda",
        "seeds": [0, 1],
        "data": {"split_per_seed": True},
        "audio": {"sample_rate_hz": 16000, "window": 640, "hop": 160, "num_mels": 32, "num_mfcc": 13, "num_shards": 1},
        "model": {"encoder": {"width": 8, "skip_width": 8, "dilations": 3, "stacks": 1}, "decoder": {"width": 8}},
        "train": {"max_steps": 12, "batch_size": 4, "eval_steps": 6, "save_steps": 6, "cpu_threads": 1},
        "score": {"permutations": 50, "bootstrap": 100},
    },
}


@pytest.mark.slow
def test_from_songs_to_a_page(checkout) -> None:
    config = checkout.configure("heard.yaml", RUN)
    target = "results/heard/report.html"
    done = checkout.snakemake("--configfile", config, "--", target)
    assert done.returncode == 0, done.stdout[-4000:]
    scores = json.loads((checkout.folder / "results/heard/seed-0/metrics.json").read_text())
    systems = {row["system"] for row in scores}
    assert {
        "audio2eda",
        "zero",
        "template",
        "ridge",
        "loudness-ridge",
        "song-mean",
        "permuted-songs",
        "shifted",
    } <= systems
    page = (checkout.folder / "results/heard/seed-0/report.html").read_text()
    assert "time since onset (template)" in page
    assert "quantised" in page, "a planted defect was not reported"
    assert checkout.planned("--configfile", config, "--", target) == {}, "a second call finds something to do"
    changed = {**RUN, "heard": {**RUN["heard"], "score": {"permutations": 60, "bootstrap": 100}}}
    jobs = checkout.planned("--configfile", checkout.configure("more.yaml", changed), "--", target)
    assert jobs["score_traces"] == 2
    assert "train" not in jobs, "how traces are judged is no reason to train"
    checks = {**RUN, "corpora": {"demo-eda": {**RUN["corpora"]["demo-eda"], "checks": {"min_levels": 4}}}}
    jobs = checkout.planned("--configfile", checkout.configure("checks.yaml", checks), "--", target)
    assert jobs["quality"] == 1
    assert "traces" not in jobs, "bounds of the checks are no reason to read the files again"


@pytest.mark.slow
def test_play_durations_that_come_later_are_read(new_checkout, tmp_path: Path) -> None:
    """The ratings of HKU956's first release have none; their name has spaces."""
    path = Path(__file__).parents[1] / "data" / "eda" / "published.py"
    spec = importlib.util.spec_from_file_location("workflow_published", path)
    assert spec and spec.loader
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    published.write_hku956(tmp_path / "my data/HKU956")
    hku956 = {"layout": "hku956", "folder": "HKU956"}
    corpus = {"kind": "listeners", "root": str(tmp_path / "my data"), "datasets": {"hku956": hku956}}
    checkout = new_checkout("records")
    config = checkout.configure("records.yaml", {"build": [], "corpora": {"records": corpus}})
    call = ("--configfile", config, "--", "results/corpora/records/traces/index.parquet")
    done = checkout.snakemake(*call)
    assert done.returncode == 0, done.stdout[-4000:]
    assert checkout.planned(*call) == {}
    table = tmp_path / "my data/HKU956/3. AV_ratings.csv"
    table.write_text(table.read_text().replace(",11.0", ",24.0"))
    jobs = checkout.planned(*call)
    assert jobs["traces"] == 1
    assert "manifest" not in jobs, "ratings are no reason to list the audio again"
