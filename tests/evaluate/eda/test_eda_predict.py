"""A network is asked song by song whatever lies in the batch, only about what it was trained for; both scripts run."""

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from audiorig.data.eda.scale import MfccScale, TraceScale
from audiorig.errors import DataError
from audiorig.evaluate.eda import predict
from audiorig.evaluate.eda.predict import batches, load_network, predict_songs, scale_of
from audiorig.evaluate.eda.scores import measure
from audiorig.evaluate.eda.table import BASELINES, NETWORK, HeardSongs
from audiorig.files import read_json
from audiorig.models.eda.model import Audio2Eda

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"


def load(name: str, path: Path) -> ModuleType:
    """What several tests share; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planted = load("predict_planted", Path(__file__).with_name("planted_listeners.py"))
TINY = {
    "encoder": {"kind": "wavenet", "stride": 5, "width": 4, "skip_width": 4, "stacks": 1, "dilations": 2},
    "decoder": {"kind": "cnn", "layers": 1, "width": 4, "kernel": 2},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """Files of a corpus, and a network with weights as drawn."""
    folder = tmp_path_factory.mktemp("predict")
    files = planted.write_corpus(folder, [planted.follows(song) for song in range(18)])
    run = planted.run_of(model=TINY)
    scale = files.scale(run)
    model = Audio2Eda.of_run(run, MfccScale(np.zeros(3), np.ones(3)), scale)
    model.save_pretrained(folder / "model")
    return folder, files, run, scale


def test_batches_hold_every_item_once_and_no_more_steps_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "STEPS_AT_ONCE", 100)
    found = batches([30, 90, 31, 32, 200, 10])
    assert sorted(item for batch in found for item in batch) == list(range(6))
    assert found == [[4], [1], [3, 2, 0], [5]]


def test_a_prediction_does_not_depend_on_the_batch(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, files, run, scale = trained
    model, songs = load_network(folder / "model"), files.songs(run, "test", scale)
    before = torch.get_rng_state()
    together = predict_songs(model, songs)
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(predict, "STEPS_AT_ONCE", 1)
    alone = predict_songs(model, songs)
    assert {name: len(line) for name, line in together.items()} == {
        song.song_id: songs.num_steps(item) for item, song in enumerate(songs.songs)
    }
    for name, line in together.items():
        assert line == pytest.approx(alone[name], abs=1e-6)
    assert len({len(line) for line in together.values()}) > 1


def test_a_network_of_another_training_is_refused(trained) -> None:
    folder, _, run, scale = trained
    model = load_network(folder / "model")
    assert scale_of(model, run, scale, folder) == scale
    with pytest.raises(DataError, match=r"trained with eda.target 'clean', and is to be scored with 'tonic'"):
        scale_of(model, planted.run_of(eda={"rate_hz": 4, "target": "tonic"}), scale, folder)
    with pytest.raises(DataError, match=r"audio.hop 400, and is to be scored with 200"):
        scale_of(model, planted.run_of(audio={**planted.RUN["audio"], "hop": 200}), scale, folder)
    with pytest.raises(DataError, match="another training side"):
        scale_of(model, run, TraceScale("trace_z", 4.0, (1.0, 1.0)), folder)


def test_another_kind_of_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict.AutoModel, "from_pretrained", lambda folder: torch.nn.Linear(1, 1))
    with pytest.raises(DataError, match=r"a Linear: expected the network of a run of audio2eda"):
        load_network(tmp_path)


def call(script: str, *arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")


def test_both_scripts_leave_what_the_report_reads(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, files, run, _ = trained
    config = tmp_path / "probe.yaml"
    config.write_text(yaml.safe_dump(run.stage("probe")))
    inputs = ("--config", config, "--split", files.split, "--mfcc", *files.mfcc, "--traces", files.traces)
    call("baselines", *inputs, "--output", tmp_path / "predictions.parquet", monkeypatch=monkeypatch)
    outputs = {name: tmp_path / "traces" / name for name in ("items.parquet", "predictions.parquet", "nulls.json")}
    call(
        "score_traces",
        *inputs,
        *("--model", folder / "model", "--baselines", tmp_path / "predictions.parquet"),
        *("--output", tmp_path / "traces" / "scores.json", "--items", outputs["items.parquet"]),
        *("--predictions", outputs["predictions.parquet"], "--nulls", outputs["nulls.json"]),
        monkeypatch=monkeypatch,
    )
    rows = read_json(tmp_path / "traces" / "scores.json")
    assert {NETWORK, *BASELINES} <= {row["system"] for row in rows}
    assert read_json(outputs["nulls.json"]).keys() == {"planted"}
    assert set(pd.read_parquet(outputs["items.parquet"])["system"]) >= {NETWORK, *BASELINES, "shifted"}
    assert len(pd.read_parquet(outputs["predictions.parquet"])) == 6 * 3 * 9
    record = read_json(tmp_path / "predictions.parquet.provenance.json")
    assert record["baselines"]["planted"]["num_songs"] == 9
    assert read_json(tmp_path / "traces" / "scores.json.provenance.json")["normalize"] == "trace_z"


def test_two_runs_are_compared_by_the_rule_against(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, files, run, scale = trained
    songs = list(HeardSongs(files.songs(run, "test", scale)))
    for name, share in (("ours", 0.9), ("theirs", 0.0)):
        table = measure(songs, {NETWORK: lambda song, share=share: share * song.traces[0]}, run.score, 4)
        table.to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(run.stage("probe")))
    both = ("--configs", tmp_path / "probe.yaml", tmp_path / "probe.yaml")
    items = ("--probes", tmp_path / "ours.parquet", tmp_path / "theirs.parquet")
    output = tmp_path / "against.json"
    call("against", *both, *items, "--name", "other", "--output", output, monkeypatch=monkeypatch)
    rows = {row["metric"]: row for row in read_json(output)}
    assert rows["pearson"]["value"] > 0.5 and rows["mse"]["value"] < 0
    assert rows["pearson"]["with"] == "other"
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump({"experiment": "wavemae"}))
    mixed = ("--configs", tmp_path / "probe.yaml", tmp_path / "tuned.yaml")
    with pytest.raises(SystemExit):
        call("against", *mixed, *items, "--name", "other", "--output", output, monkeypatch=monkeypatch)
