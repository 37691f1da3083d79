"""The probe in training: it finds what is planted, changes nothing, and outlives a restart."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audiorig.config import TrainingProbeConfig, WaveMAERun
from audiorig.train import checkpoints
from audiorig.train.callbacks import StopInGoodOrder, TensorBoard
from audiorig.train.probe_log import ProbeInTraining, build_probe
from audiorig.train.trainer import RigTrainer

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)
tiny_run = HELPERS.tiny_run

SETTINGS = TrainingProbeConfig(every_steps=4, label="language", train_clips=12, dev_clips=9)


def train(folder: Path, make_experiment, build, stop_after_steps=None, max_steps=10, save_steps=5):
    """What fit does, with a probe: the trainer's log and the final weights."""
    run = tiny_run(max_steps=max_steps, eval_steps=5, save_steps=save_steps)
    experiment = make_experiment(run)
    probes = [build(experiment.model)] if build else []
    callbacks = [StopInGoodOrder(stop_after_steps), *probes, TensorBoard(folder / "tensorboard")]
    trainer = RigTrainer(experiment, run.train, folder, run.seed, callbacks=callbacks)
    for probe in probes:
        probe.attach(trainer)
    start = checkpoints.newest_whole(folder / "checkpoints", {})
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    history = [entry for entry in trainer.state.log_history if "train_runtime" not in entry]
    return history, experiment.model.state_dict()


@pytest.fixture
def build(tone_split, tones):
    return lambda model: build_probe(SETTINGS, tone_split, tones.root, model, seed=3)


def probed(history: list[dict]) -> list[dict]:
    return [entry for entry in history if "eval_linear_probe_accuracy" in entry]


def test_a_run_with_a_probe_ends_in_the_same_weights(make_experiment, build, tmp_path) -> None:
    history, weights = train(tmp_path / "with", make_experiment, build)
    plain, expected = train(tmp_path / "without", make_experiment, None)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert [entry["step"] for entry in probed(history)] == [0, 4, 8, 10]
    assert [entry for entry in history if "eval_linear_probe_accuracy" not in entry] == plain


def test_a_resumed_run_logs_what_an_unbroken_one_does(make_experiment, build, tmp_path) -> None:
    expected, weights = train(tmp_path / "whole", make_experiment, build)
    train(tmp_path / "cut", make_experiment, build, stop_after_steps=6)
    history, resumed = train(tmp_path / "cut", make_experiment, build)
    assert history == expected  # gains since the first evaluation among them
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_a_resumed_run_compares_with_the_first_hits(make_experiment, build, tmp_path, monkeypatch) -> None:
    """The log says that nothing was right at first; the gain is then the accuracy."""
    original = ProbeInTraining.evaluate

    def evaluate(self, history):
        found = original(self, history)
        if not history:
            found["eval_linear_probe_hits"] = "0" * len(found["eval_linear_probe_hits"])
        return found

    monkeypatch.setattr(ProbeInTraining, "evaluate", evaluate)
    train(tmp_path, make_experiment, build, stop_after_steps=6)
    history, _ = train(tmp_path, make_experiment, build)
    last = probed(history)[-1]
    assert last["eval_linear_probe_accuracy"] > 0
    assert last["eval_linear_probe_gain"] == last["eval_linear_probe_accuracy"]
    assert probed(history)[0]["eval_linear_probe_gain"] == 0


def test_tensorboard_has_every_point_once(make_experiment, build, tmp_path) -> None:
    """Steps 6 to 8 are done twice, as after a kill: the points of the first time are taken back."""
    train(tmp_path, make_experiment, build, stop_after_steps=9)
    (tmp_path / "checkpoints" / "step-9").rename(tmp_path / "elsewhere")
    train(tmp_path, make_experiment, build)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    names = ("accuracy", "accuracy_low", "accuracy_high", "gain", "gain_low", "gain_high", "majority")
    for tag in (*(f"eval/linear_probe_{name}" for name in names), "eval/latent_rank", "eval/latent_cosine"):
        assert [event.step for event in events.Scalars(tag)] == [0, 4, 8, 10], tag
    assert [event.step for event in events.Scalars("train/total")] == list(range(1, 11))
    assert not [tag for tag in events.Tags()["scalars"] if "hits" in tag or "clips" in tag]


def ready(probe: ProbeInTraining) -> ProbeInTraining:
    probe._batches = list(probe._read())
    return probe


def test_a_planted_label_is_found(make_experiment, build) -> None:
    """Languages are pitches here: any encoder tells them apart."""
    run = WaveMAERun.model_validate({**HELPERS.SETTINGS, "model": {**HELPERS.SETTINGS["model"], "width": 48}})
    found = ready(build(make_experiment(run).model)).evaluate([])
    assert found["eval_linear_probe_accuracy"] >= 0.99
    assert found["eval_linear_probe_accuracy_low"] >= 0.99
    assert 0.3 < found["eval_linear_probe_majority"] < 0.8
    assert set(found["eval_linear_probe_hits"]) == {"1"}


def test_shuffled_labels_are_at_chance(make_experiment, tone_split, tones, tmp_path) -> None:
    generator = np.random.default_rng(0)
    model, hits = make_experiment(tiny_run()).model, []
    for draw in range(12):

        def shuffle(side: str, table: pd.DataFrame) -> pd.DataFrame:
            return table.assign(language=generator.permutation(np.arange(len(table)) % 2).astype(str))

        split = HELPERS.with_labels(tone_split, tmp_path / str(draw), shuffle)
        found = ready(build_probe(SETTINGS, split, tones.root, model, 0)).evaluate([])
        hits += [int(hit) for hit in found["eval_linear_probe_hits"]]
    assert abs(np.mean(hits) - 0.5) < 0.2  # 108 hits: four standard errors


def test_a_corpus_without_the_label_is_trained_on_without_the_probe(make_experiment, caplog) -> None:
    """Runs inherit the probe of the run that they extend."""
    experiment = make_experiment(tiny_run(probe={"every_steps": 4, "label": "mood"}))
    assert experiment.callbacks == ()
    assert "no probe while training" in caplog.text
    assert "mood" in caplog.text
