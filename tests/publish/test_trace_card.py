"""The card of a network of traces: scores beside baselines and nulls, and no more than was measured."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard

from audiorig.publish.model_card import hub_card, read_card_inputs
from audiorig.publish.trace_tables import NOTHING, trace_tables

CORPUS = {"kind": "demo-eda", "title": "Generated songs and skin conductance", "license": "made here"}
SPLIT = {
    "group": "song",
    "sides": {
        side: {"hours": 1.0, "num_files": traces, "num_groups": songs, "num_songs": songs, "num_subjects": 24}
        for side, traces, songs in (("train", 288, 48), ("dev", 72, 12), ("test", 120, 20))
    },
}
HISTORY = [{"step": 240, "total": 0.4}, {"step": 240, "eval_total": 0.5}]
RECORD = {"wall_sec": 300.0, "git_commit": "c" * 40, "package_digest": "d" * 64, "machine": {"cores": 2}}


def row(system: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    spread = {"low": round(value - 0.05, 3), "high": round(value + 0.05, 3), "n": 120, "num_groups": 20}
    return {"task": "demo", "system": system, "metric": metric, "value": value, **spread, **more}


ROWS = [
    *(row(name, "pearson", r) for name, r in (("zero", 0.0), ("template", 0.5), ("ridge", 0.71), ("audio2eda", 0.77))),
    *(row(name, "mse", mse) for name, mse in (("zero", 1.0), ("template", 0.75), ("audio2eda", 0.44))),
    row("permuted-songs", "pearson", 0.33),
    row("audio2eda minus template", "pearson", 0.27),
    row("audio2eda", "sd_ratio", 0.8),
    row("audio2eda", "p_permuted_songs", 0.005, low=None, high=None),
    row("audio2eda", "p_shifted", 0.005, low=None, high=None),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``results/audio2eda`` as the rules leave it."""
    results = tmp_path / "results"
    run, corpus = results / "audio2eda", results / "corpora" / "demo-eda"
    settings = {"experiment": "audio2eda", "data": {"corpus": "demo-eda"}, "hub": {"license": "cc-by-4.0"}}
    written: dict[Path, Any] = {
        run / "config" / "train.yaml": settings,
        run / "metrics.json": ROWS,
        run / "history.json": HISTORY,
        run / "final.ckpt.provenance.json": RECORD,
        corpus / "corpus.yaml": CORPUS,
        corpus / "splits" / "by-song" / "split_summary.json": SPLIT,
    }
    for path, content in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))
    pd.DataFrame({"wav_path": ["a.mp3"]}).to_parquet(corpus / "manifest.parquet")
    return run


def card_of(folder: Path, **changes: Any) -> ModelCard:
    settings = folder / "config" / "train.yaml"
    settings.write_text(yaml.safe_dump({**yaml.safe_load(settings.read_text()), **changes}))
    return ModelCard(hub_card(read_card_inputs(folder), "team/eda"))


def test_what_it_is_what_it_learnt_from_and_what_it_is_not(folder: Path) -> None:
    card = card_of(folder)
    assert {"electrodermal-activity", "audio2eda", "trained-from-scratch"} <= set(card.data.tags)
    assert card.data.pipeline_tag is None and card.data.base_model is None and card.data.license == "cc-by-4.0"
    assert "A causal network (wavenet encoder, cnn decoder), trained from random weights by" in card.text
    assert "to predict listeners' skin conductance on: Generated songs and skin conductance (licence of" in card.text
    assert "288 traces of 24 listeners hearing 48 songs are on the training side." in card.text
    assert "dev (72 traces of 24 listeners hearing 12 songs)" in card.text
    assert "songs of which it heard nothing (their listeners may be on several sides)" in card.text
    assert "says nothing of how a person feels or of anybody's health" in card.text
    assert 'AutoModel.from_pretrained("team/eda")' in card.text


def test_other_beginnings_are_said(folder: Path) -> None:
    card = card_of(folder, train={"load_from_checkpoint": "results/other/final.ckpt"})
    assert "trained from weights of an earlier run by" in card.text
    assert "trained-from-scratch" not in card.data.tags
    assert "It is a control" in card_of(folder, data={"corpus": "demo-eda", "permute_songs": True}).text


def test_scores_stand_beside_baselines_and_nulls(folder: Path) -> None:
    text = card_of(folder).text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == "| dataset | system | r | mse | sd_ratio |"
    assert lines[2] == "| demo | this network | 0.770 [0.720, 0.820] | 0.440 [0.390, 0.490] | 0.800 [0.750, 0.850] |"
    assert [line.split(" | ")[1] for line in lines[3:]] == ["zero", "template", "ridge", "permuted-songs"]
    assert "| template | 0.500 [0.450, 0.550] | 0.750 [0.700, 0.800] |  |" in text
    said = "120 test traces of 20 songs; p 0.005 against predictions of other songs; p 0.005 against predictions"
    assert f"- demo: {said} shifted in time." in text
    assert "Scores are of skin conductance, in deviations of each trace about its own mean" in text


def test_without_scores_nothing_is_claimed() -> None:
    assert trace_tables([], "audio2eda", "microsiemens") == NOTHING
