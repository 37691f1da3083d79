"""A run that was cut goes on as if it had not been: byte for byte."""

import importlib.util
from pathlib import Path

import pytest
import torch

from audiorig.config import TeacherConfig
from audiorig.errors import ResumeError, Unfinished
from audiorig.files import read_json
from audiorig.train.fit import fit

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)
tiny_run = HELPERS.tiny_run


def state_of(folder: Path, step: int) -> dict[str, bytes]:
    """Bytes of what a checkpoint holds: weights, optimizer, schedule, random state."""
    checkpoint = folder / "checkpoints" / f"step-{step}"
    names = ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
    return {name: (checkpoint / name).read_bytes() for name in names}


def train(folder: Path, make_experiment, stop_after_steps=None, **settings):
    run = tiny_run(**settings)
    return fit(make_experiment(run), run.train, folder, run.seed, stop_after_steps=stop_after_steps)[0]


def optimizer_tensors(folder: Path, step: int) -> list[torch.Tensor]:
    state = torch.load(folder / "checkpoints" / f"step-{step}" / "optimizer.pt", weights_only=True)["state"]
    return [tensor for number in sorted(state) for _, tensor in sorted(state[number].items())]


@pytest.fixture(scope="module")
def unbroken_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unbroken")


@pytest.fixture
def unbroken(unbroken_folder, make_experiment):
    """40 steps in one go, made once."""
    if not (unbroken_folder / "checkpoints" / "step-40").exists():
        train(unbroken_folder, make_experiment)
    history = read_json(unbroken_folder / "checkpoints" / "step-40" / "trainer_state.json")["log_history"]
    return unbroken_folder, history


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("cut", [1, 13, 20])
def test_a_cut_run_equals_an_unbroken_one(unbroken, make_experiment, tmp_path, cut, num_workers) -> None:
    folder, expected = unbroken
    with pytest.raises(Unfinished, match=f"step {cut} of 40"):
        train(tmp_path, make_experiment, stop_after_steps=cut, num_workers=num_workers)
    history = train(tmp_path, make_experiment, num_workers=num_workers)
    assert history == expected  # every logged number of every step, and of every evaluation
    ours, theirs = state_of(tmp_path, 40), state_of(folder, 40)
    assert ours["model.safetensors"] == theirs["model.safetensors"]
    pairs = zip(optimizer_tensors(tmp_path, 40), optimizer_tensors(folder, 40), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_20_and_20_are_40_with_everything_on(make_experiment, tmp_path) -> None:
    """All losses, pitch and teacher from caches, the probe in training and audio logs: the same bytes.

    And the same weights as without the probe and the logs, which only watch.
    """
    watching = {
        "audio_steps": 10,
        "audio_clips": 1,
        "probe": {"every_steps": 10, "train_clips": 12, "dev_clips": 9},
        "save_steps": 20,
    }

    def run_it(folder: Path, stop_after_steps: int | None = None, **settings: object):
        run = tiny_run(**settings)
        teacher = TeacherConfig(kind="w2v-bert", components=8)
        run = run.model_copy(update={"teacher": teacher})
        assert set(run.model.weights.model_dump()) == {"main_recon", "main_percep", "aux_crepe", "aux_w2v"}
        experiment = make_experiment(run)
        assert experiment.model.w2v_target == "w2v-bert"
        assert set(experiment.model.part_weights) == set(run.model.weights.model_dump())
        return fit(experiment, run.train, folder, run.seed, stop_after_steps=stop_after_steps)[0]

    expected = run_it(tmp_path / "whole", **watching)
    with pytest.raises(Unfinished, match="step 20 of 40"):
        run_it(tmp_path / "cut", 20, **watching)
    assert run_it(tmp_path / "cut", **watching) == expected
    run_it(tmp_path / "plain", save_steps=20)
    whole = state_of(tmp_path / "whole", 40)
    assert state_of(tmp_path / "cut", 40)["model.safetensors"] == whole["model.safetensors"]
    assert state_of(tmp_path / "plain", 40)["model.safetensors"] == whole["model.safetensors"]
    assert all(
        torch.equal(a, b)
        for a, b in zip(optimizer_tensors(tmp_path / "cut", 40), optimizer_tensors(tmp_path / "whole", 40), strict=True)
    )
    for entry in expected:
        if "main_recon" in entry:
            weights = {"main_recon": 1.0, **dict.fromkeys(("main_percep", "aux_crepe", "aux_w2v"), 0.05)}
            total = sum(weight * entry[name] for name, weight in weights.items())
            assert entry["total"] == pytest.approx(total, rel=1e-5)


def test_two_runs_from_scratch_are_equal(unbroken, make_experiment, tmp_path) -> None:
    folder, expected = unbroken
    assert train(tmp_path, make_experiment) == expected
    assert state_of(tmp_path, 40)["model.safetensors"] == state_of(folder, 40)["model.safetensors"]


def test_another_seed_is_another_run(unbroken, make_experiment, tmp_path) -> None:
    run = tiny_run().model_copy(update={"seed": 4})
    history, _ = fit(make_experiment(run), run.train, tmp_path, run.seed)
    assert history[0]["total"] != unbroken[1][0]["total"]


def test_accumulation_resumes_too(make_experiment, tmp_path) -> None:
    settings = {"accumulation": 3, "max_steps": 9}
    whole = train(tmp_path / "whole", make_experiment, **settings)
    with pytest.raises(Unfinished):
        train(tmp_path / "cut", make_experiment, stop_after_steps=4, **settings)
    assert train(tmp_path / "cut", make_experiment, **settings) == whole


def test_a_finished_run_is_not_trained_again(unbroken, make_experiment) -> None:
    folder, expected = unbroken
    before = state_of(folder, 40)
    run = tiny_run()
    experiment = make_experiment(run)
    assert fit(experiment, run.train, folder, run.seed) == (expected, 40)
    assert state_of(folder, 40) == before
    reference = torch.frombuffer(bytearray(before["model.safetensors"][-4:]), dtype=torch.float32)
    assert torch.isfinite(reference).all()
    fresh = make_experiment(run)
    assert not torch.equal(experiment.model.stem.weight, fresh.model.stem.weight)


def test_changed_settings_start_anew_and_lose_nothing(make_experiment, tmp_path, caplog) -> None:
    with pytest.raises(Unfinished):
        train(tmp_path, make_experiment, stop_after_steps=5)
    with pytest.raises(Unfinished):
        train(tmp_path, make_experiment, stop_after_steps=2, learning_rate=1e-4)
    assert "train.learning_rate: 0.001 -> 0.0001" in caplog.text
    assert (tmp_path / "checkpoints.stale-1" / "step-5").is_dir()
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-2"]


def test_changed_operation_goes_on(make_experiment, tmp_path) -> None:
    with pytest.raises(Unfinished):
        train(tmp_path, make_experiment, stop_after_steps=5)
    with pytest.raises(Unfinished, match="step 8"):
        train(tmp_path, make_experiment, stop_after_steps=3, save_steps=4, num_workers=1)


def test_a_checkpoint_of_other_settings_is_refused_by_hand(make_experiment, tmp_path) -> None:
    with pytest.raises(Unfinished):
        train(tmp_path, make_experiment, stop_after_steps=5)
    run = tiny_run(learning_rate=5e-4)
    checkpoint = tmp_path / "checkpoints" / "step-5"
    with pytest.raises(ResumeError, match=r"train.learning_rate: 0.001 -> 0.0005"):
        fit(make_experiment(run), run.train, tmp_path, run.seed, resume_from=checkpoint)
    assert checkpoint.is_dir()


def test_a_broken_checkpoint_is_passed_over(unbroken, make_experiment, tmp_path, caplog) -> None:
    """One flipped bit in the newest: it resumes from the one before, and ends in the same weights."""
    with pytest.raises(Unfinished):
        train(tmp_path, make_experiment, stop_after_steps=23)
    damaged = tmp_path / "checkpoints" / "step-23" / "optimizer.pt"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    train(tmp_path, make_experiment)
    assert "step-23: passed over: optimizer.pt is not what was written" in caplog.text
    assert state_of(tmp_path, 40)["model.safetensors"] == state_of(unbroken[0], 40)["model.safetensors"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_run_resumes_to_the_same_weights(make_experiment, tmp_path) -> None:
    """With `train.compile`, evaluations and logs between the steps: cut at 5 of 12 or not."""
    settings = {"compile": True, "max_steps": 12, "save_steps": 4, "eval_steps": 3, "audio_steps": 4}
    whole = train(tmp_path / "whole", make_experiment, **settings)
    with pytest.raises(Unfinished, match="step 5 of 12"):
        train(tmp_path / "cut", make_experiment, stop_after_steps=5, **settings)
    assert train(tmp_path / "cut", make_experiment, **settings) == whole
    ours, theirs = (state_of(tmp_path / name, 12)["model.safetensors"] for name in ("cut", "whole"))
    assert ours == theirs
    eager = train(tmp_path / "eager", make_experiment, **{**settings, "compile": False})
    assert eager[0]["total"] == pytest.approx(whole[0]["total"], rel=1e-5)
