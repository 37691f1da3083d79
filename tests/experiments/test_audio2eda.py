"""Songs and traces to weights: the same twice and in two halves, and of dev and test no number gets into training."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from audiorig.errors import ConfigError, DataError, Unfinished
from audiorig.experiments import Inputs, build
from audiorig.report.card import loading
from audiorig.train.fit import fit
from audiorig.train.start import load_start


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("audio2eda_planted", Path(__file__).parents[1] / "data" / "eda" / "planted_songs.py")
MODEL = {
    "encoder": {"kind": "wavenet", "width": 8, "skip_width": 8, "dilations": 2, "stacks": 1, "dropout": 0.2},
    "decoder": {"kind": "cnn", "layers": 1, "width": 8, "kernel": 3, "dropout": 0.2},
}
TRAIN = {
    **{"max_steps": 10, "batch_size": 2, "accumulation": 2, "learning_rate": 0.01, "cpu_threads": 1},
    **{"eval_steps": 5, "save_steps": 2, "keep_checkpoints": 9},
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory):
    return tiny.plant(tmp_path_factory.mktemp("audio2eda"))


@pytest.fixture
def inputs(planted, tmp_path: Path) -> Inputs:
    return Inputs(split=planted.split, root=tmp_path, folder=tmp_path, mfcc=planted.mfcc, traces=planted.traces)


def settings_of(train: dict[str, Any] | None = None, **sections: Any):
    return tiny.run_of(**{"model": MODEL, "train": TRAIN | (train or {}), **sections})


def trained(run, inputs: Inputs, folder: Path, **options: Any) -> tuple[list[dict[str, Any]], PreTrainedModel]:
    experiment = build(run, inputs)
    history, _ = fit(experiment, run.train, folder, run.seed, **options)
    return history, experiment.model


def is_same(one: PreTrainedModel, other: PreTrainedModel) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def of_training(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in history if not any(name.startswith("eval_") for name in entry)]


def with_poison(planted, inputs: Inputs, folder: Path, *sides: str) -> Inputs:
    """The same, where each value of some sides' traces is 1e9."""
    folder.mkdir()
    tiny.write_signals(planted.rows, folder / "traces.arrow", sides)
    return replace(inputs, traces=folder / "traces.arrow")


# ------------------------------------------------------------------ exactness


def test_ten_steps_are_four_and_six(inputs: Inputs, tmp_path: Path) -> None:
    """With dropout, two micro-batches a step, and stretches that are drawn anew in each epoch."""
    run = settings_of()
    history, model = trained(run, inputs, tmp_path / "whole")
    with pytest.raises(Unfinished):
        trained(run, inputs, tmp_path / "halves", stop_after_steps=4)
    resumed, again = trained(run, inputs, tmp_path / "halves")
    assert is_same(model, again) and resumed == history
    assert len(of_training(history)) == 10 and history[0]["total"] != history[-2]["total"]


def test_workers_change_nothing(inputs: Inputs, tmp_path: Path) -> None:
    short = {"max_steps": 4, "eval_steps": 4, "save_steps": 4}
    one = trained(settings_of(short), inputs, tmp_path / "one")
    two = trained(settings_of(short | {"num_workers": 1}), inputs, tmp_path / "two")
    assert one[0] == two[0] and is_same(one[1], two[1])


def gradients(experiment, batches: list[list[int]]) -> dict[str, Tensor]:
    """Of one optimizer step over micro-batches of training items, as the trainer adds them up."""
    collated = [experiment.collate([experiment.train_dataset[0, item] for item in items]) for items in batches]
    count = sum((batch["labels"] != -100).sum() for batch in collated)
    experiment.model.zero_grad()
    for batch in collated:
        experiment.model(**batch, num_items_in_batch=count).loss.backward()
    return {name: each.grad.clone() for name, each in experiment.model.named_parameters() if each.grad is not None}


def test_micro_batches_add_up_to_the_step(inputs: Inputs) -> None:
    """Songs differ in length and in listeners, so micro-batches are padded in other ways than the whole batch."""
    experiment = build(settings_of(data=tiny.RUN["data"] | {"max_sec": 60}), inputs)
    experiment.model.eval()
    whole, parts = gradients(experiment, [[0, 1, 2, 3]]), gradients(experiment, [[0, 1], [2, 3]])
    assert whole.keys() == parts.keys() and len(whole) > 4
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-6)
    assert max(float(gradient.abs().max()) for gradient in whole.values()) > 1e-3
    others = gradients(experiment, [[0, 1]])
    assert any(not torch.allclose(others[name], gradient, atol=1e-4) for name, gradient in whole.items())


# -------------------------------------------------------------------- leakage


@pytest.mark.parametrize("mode", ["trace_z", "onset_delta", "subject_z_train"])
def test_poison_in_the_test_side_changes_no_number(planted, inputs: Inputs, tmp_path: Path, mode: str) -> None:
    """Not even of dev, though the best evaluation is kept."""
    follows = {"max_steps": 4, "eval_steps": 2, "selection": {"keep_best": True}}
    run = settings_of(follows, eda={"rate_hz": 4, "normalize": mode})
    clean = trained(run, inputs, tmp_path / "clean")
    poisoned = with_poison(planted, inputs, tmp_path / "poison", "test")
    found = trained(run, poisoned, tmp_path / "poisoned")
    assert found[0] == clean[0] and is_same(found[1], clean[1])
    assert found[1].config.to_dict() == clean[1].config.to_dict()
    assert build(run, poisoned).fingerprint == build(run, inputs).fingerprint


def test_poison_in_dev_is_seen_by_dev_alone(planted, inputs: Inputs, tmp_path: Path) -> None:
    run = settings_of({"max_steps": 4, "eval_steps": 2}, eda={"rate_hz": 4, "normalize": "onset_delta"})
    clean = trained(run, inputs, tmp_path / "clean")
    poisoned = with_poison(planted, inputs, tmp_path / "poison", "dev", "test")
    found = trained(run, poisoned, tmp_path / "poisoned")
    assert of_training(found[0]) == of_training(clean[0]) and is_same(found[1], clean[1])
    assert found[0] != clean[0]
    assert build(run, poisoned).fingerprint == build(run, inputs).fingerprint
    follows = settings_of({"selection": {"keep_best": True}})
    assert build(follows, poisoned).fingerprint != build(follows, inputs).fingerprint


def test_poison_in_training_would_be_seen(planted, inputs: Inputs, tmp_path: Path) -> None:
    run = settings_of({"max_steps": 2}, eda={"rate_hz": 4, "normalize": "subject_z_train"})
    clean = trained(run, inputs, tmp_path / "clean")
    found = trained(run, with_poison(planted, inputs, tmp_path / "poison", "train"), tmp_path / "poisoned")
    assert of_training(found[0]) != of_training(clean[0]) and not is_same(found[1], clean[1])


# ---------------------------------------------------------------- what it is


def test_what_is_told_of_it(planted, inputs: Inputs) -> None:
    experiment, rows = build(settings_of(), inputs), planted.side("train")
    told = {"num_songs": 8, "num_traces": len(rows), "num_subjects": 4}
    assert {name: experiment.about[name] for name in told} == told
    # Two convolutions of 3 taps, 1 and 2 frames of 4 Hz apart, then one of 3: 6 + 2 steps before the one at hand.
    assert experiment.about["receptive_sec"] == 9 / 4
    recurrent = settings_of(model=MODEL | {"decoder": {"kind": "lstm", "layers": 1, "width": 8}})
    assert build(recurrent, inputs).about["receptive_sec"] is None  # back to the onset
    assert experiment.item_sec == 8.0
    assert len(experiment.train_dataset) == 8 and len(experiment.dev_dataset) == 2


def test_what_makes_it_another_training(inputs: Inputs) -> None:
    first = build(settings_of(), inputs).fingerprint
    for same in (
        {"monitor": {"dev": ["mae"]}},
        {"score": {"seed": 9}},
        {"audio": tiny.RUN["audio"] | {"num_shards": 7}},
    ):
        assert build(settings_of(**same), inputs).fingerprint == first
    for other in ({"loss": {"name": "l1"}}, {"eda": {"target": "tonic"}}, {"data": tiny.RUN["data"] | {"max_sec": 9}}):
        assert build(settings_of(**other), inputs).fingerprint != first


def test_how_many_traces_dev_is_judged_by_is_part_of_it(inputs: Inputs) -> None:
    """Of dtw, which decides what is kept: with another number of them, evaluations before and after do not compare."""

    def found(metric: str, max_traces: int) -> dict[str, Any]:
        selection = {"metric": metric, "mode": "min", "keep_best": True}
        monitor = {"dev": ["dtw", "mse"], "max_traces": max_traces}
        return build(settings_of({"selection": selection}, monitor=monitor), inputs).fingerprint

    assert found("dtw", 4) != found("dtw", 8)
    assert found("mse", 4) == found("mse", 8)


def test_names_of_private_subjects_stay_out_of_a_model_that_is_trained_by_hand(inputs: Inputs) -> None:
    run = settings_of(eda={"rate_hz": 4, "normalize": "subject_z_train"})
    with pytest.raises(ConfigError, match="corpus is private: take trace_z or onset_delta"):
        build(run, replace(inputs, is_private=True))
    assert build(settings_of(), replace(inputs, is_private=True)).about["num_songs"] == 8


def test_a_run_that_begins_with_weights_scales_by_its_own_songs(inputs: Inputs, tmp_path: Path) -> None:
    """What is fitted to the training side is no weight; the config of the model names its own, too."""
    earlier = build(settings_of(seed=6), inputs).model
    with torch.no_grad():
        earlier.mean.add_(3)
        earlier.sd.mul_(2)
    earlier.save_pretrained(tmp_path / "model")
    model = build(settings_of(), inputs).model
    own = {name: getattr(model, name).clone() for name in ("mean", "sd")}
    load_start(model, tmp_path / "model")
    assert all(torch.equal(getattr(model, name), value) for name, value in own.items())
    assert torch.allclose(model.mean, torch.tensor(model.config.mfcc_mean))
    weights = dict(earlier.named_parameters())
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())


def test_weights_follow_from_the_seed(inputs: Inputs) -> None:
    torch.manual_seed(1)
    one = build(settings_of(), inputs).model
    torch.manual_seed(2)  # the global state has no part in it
    assert is_same(build(settings_of(), inputs).model, one)
    assert not is_same(build(settings_of(seed=6), inputs).model, one)


def test_a_control_hears_other_songs(inputs: Inputs) -> None:
    plain = build(settings_of(), inputs)
    control = build(settings_of(data=tiny.RUN["data"] | {"permute_songs": True}), inputs)
    for plain_side, side in ((plain.train_dataset, control.train_dataset), (plain.dev_dataset, control.dev_dataset)):
        for item in range(len(side)):
            assert side.songs[item].trace_ids == plain_side.songs[item].trace_ids
            assert not torch.equal(*(torch.from_numpy(each[0, item].mfcc[:20, 1]) for each in (plain_side, side)))


def test_what_is_missing_is_told(planted, inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mfcc_8000_peak_3_8_800_400 "):
        build(settings_of(), replace(inputs, mfcc=()))
    with pytest.raises(ConfigError, match=r"name traces\.arrow of eda_4_1_0\.05_2 "):
        build(settings_of(), replace(inputs, traces=None))
    with pytest.raises(DataError, match=r"has 4 steps a second, and the run predicts 5: .* eda_5_1_0.05_2"):
        build(settings_of(eda={"rate_hz": 5}, model={"encoder": {"kind": "wavenet", "stride": 4}}), inputs)
    shutil.copytree(planted.split, tmp_path / "split")
    tiny.write_side(planted.side("dev").iloc[:0], tmp_path / "split", "dev")
    with pytest.raises(DataError, match=r"dev.arrow: holds no trace"):
        build(settings_of(), replace(inputs, split=tmp_path / "split"))


def test_the_code_on_the_card_runs(inputs: Inputs, tmp_path: Path) -> None:
    run = settings_of()
    model = build(run, inputs).model
    model.save_pretrained(tmp_path / "model")
    code = loading(run, str(tmp_path / "model")).removeprefix("```python\n").removesuffix("```")
    waveform = np.random.default_rng(0).standard_normal(9 * 8000 + 123).astype(np.float32)
    found: dict[str, Any] = {"waveform": waveform}
    exec(code, found)
    assert found["output"].predicted.shape == (1, 9 * tiny.RATE)
    assert found["output"].predicted.std() > 0
