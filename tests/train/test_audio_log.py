"""Examples in TensorBoard: what is written, at which level, and that training does not notice."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from audiorig.evaluate.audio import griffin_lim
from audiorig.models.wavemae import WaveMAE
from audiorig.train.audio_log import (
    BINS_PER_ROW,
    HIDDEN,
    MARK_ROWS,
    AudioLog,
    log_audio_to_tensorboard,
    rebuild_examples,
    spectrogram_picture,
)
from audiorig.train.trainer import RigTrainer

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)
tiny_run = HELPERS.tiny_run
NUM_CLIPS = 2


def train(make_experiment, folder: Path, every_steps: int, max_steps: int = 6, **fit) -> WaveMAE:
    """Train with the log, or without (0)."""
    run = tiny_run(max_steps=max_steps, save_steps=2)
    experiment = make_experiment(run)
    log = AudioLog(folder, experiment.model, dev_batch(experiment), every_steps)
    RigTrainer(experiment, run.train, folder, run.seed, callbacks=[log]).train(**fit)
    return experiment.model


def dev_batch(experiment) -> dict[str, torch.Tensor]:
    return experiment.collate_dev([experiment.dev_dataset[0, item] for item in range(NUM_CLIPS)])


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"audio": 0, "images": 0, "scalars": 0})
    return found.Reload()


def steps_of(found: EventAccumulator) -> dict[str, list[int]]:
    tags = found.Tags()
    steps = {tag: [event.step for event in found.Audio(tag)] for tag in tags["audio"]}
    return {**steps, **{tag: [event.step for event in found.Images(tag)] for tag in tags["images"]}}


def waveform_of(encoded: bytes) -> np.ndarray:
    """The samples of a WAV file of TensorBoard's, in [-1, 1]."""
    return np.frombuffer(encoded[44:], dtype="<i2") / 32767


def test_weights_are_the_same_with_and_without(make_experiment, tmp_path: Path) -> None:
    """Byte for byte, and the global random states with them."""
    weights, states = [], []
    for every_steps in (2, 0):
        weights.append(train(make_experiment, tmp_path / str(every_steps), every_steps).state_dict())
        states.append((torch.get_rng_state(), np.random.get_state()[1]))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(states[0][0], states[1][0])
    assert np.array_equal(states[0][1], states[1][1])
    assert not (tmp_path / "0" / "tensorboard").exists()


def test_originals_come_once_and_reconstructions_every_few_steps(make_experiment, tmp_path: Path) -> None:
    train(make_experiment, tmp_path, 2)
    found = steps_of(events(tmp_path / "tensorboard" / "audio"))
    expected = {}
    for clip in range(NUM_CLIPS):
        expected |= {f"audio/{clip}/{name}": [0] for name in ("original", "griffin_lim_of_original")}
        expected |= {f"audio/{clip}/{name}": [2, 4, 6] for name in ("reconstruction", "oracle_phase")}
        expected[f"spectrogram/{clip}"] = [2, 4, 6]
    assert found == expected


def test_a_resumed_run_leaves_no_doubled_examples(make_experiment, tmp_path: Path) -> None:
    """Stopped after step 5, gone on from step 4: step 5 is taken back, originals are not repeated."""
    train(make_experiment, tmp_path, 1, max_steps=5)
    train(make_experiment, tmp_path, 1, resume_from_checkpoint=str(tmp_path / "checkpoints" / "step-4"))
    found = steps_of(events(tmp_path / "tensorboard" / "audio"))
    assert found["audio/0/original"] == [0]
    assert found["audio/0/reconstruction"] == found["spectrogram/1"] == [1, 2, 3, 4, 5, 6]


def test_a_fresh_start_in_a_used_folder_begins_again(make_experiment, tmp_path: Path) -> None:
    for attempt in range(2):
        train(make_experiment, tmp_path, 2, max_steps=2 + attempt)
        for checkpoint in (tmp_path / "checkpoints").glob("step-*"):
            checkpoint.rename(tmp_path / f"{attempt}-{checkpoint.name}")
    found = steps_of(events(tmp_path / "tensorboard" / "audio"))
    assert found["audio/0/original"] == [0]
    assert found["audio/0/reconstruction"] == [2]


def test_scalars_beside_it_stay(make_experiment, tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "tensorboard")) as writer:
        for step in range(5):
            writer.add_scalar("train/total", 1.0, step)
    train(make_experiment, tmp_path, 2, max_steps=2)
    scalars = events(tmp_path / "tensorboard")
    assert [event.step for event in scalars.Scalars("train/total")] == [0, 1, 2, 3, 4]
    assert scalars.Tags()["audio"] == []


@pytest.fixture
def model_and_batch(make_experiment) -> tuple[WaveMAE, dict[str, torch.Tensor]]:
    experiment = make_experiment(tiny_run())
    return experiment.model, dev_batch(experiment)


def test_visible_frames_are_true_and_hidden_ones_the_models(model_and_batch) -> None:
    model, batch = model_and_batch
    model.train()
    examples = rebuild_examples(model, batch)
    assert model.training
    for example in examples:
        assert len(example.waveform) // model.stft.hop + 1 == len(example.original) == len(example.is_hidden)
        assert 0 < example.is_hidden.sum() < len(example.is_hidden)
        shown = example.rebuilt[~example.is_hidden]
        torch.testing.assert_close(shown, example.original[~example.is_hidden], atol=1e-4, rtol=0)
        assert (example.rebuilt - example.original)[example.is_hidden].abs().mean() > 0.1


def test_16_bit_samples_are_the_same_examples(model_and_batch) -> None:
    model, batch = model_and_batch
    whole = (batch["waveform"].float() * 32768).round() if batch["waveform"].is_floating_point() else batch["waveform"]
    pairs = [rebuild_examples(model, {**batch, "waveform": each}) for each in (whole.to(torch.int16), whole / 32768)]
    for one, other in zip(*pairs, strict=True):
        assert torch.equal(one.waveform, other.waveform)
        assert torch.equal(one.rebuilt, other.rebuilt)


def test_all_of_a_clip_has_one_gain(make_experiment, tmp_path: Path) -> None:
    """What is 12 dB too quiet in the hidden half stays so; the original peaks at one half."""
    model = train(make_experiment, tmp_path, 2, max_steps=2)
    batch = dev_batch(make_experiment(tiny_run()))
    found = events(tmp_path / "tensorboard" / "audio")
    for clip, example in enumerate(rebuild_examples(model, batch)):
        (original,) = found.Audio(f"audio/{clip}/original")
        assert original.sample_rate == 24000
        assert original.content_type == "audio/wav"
        heard = waveform_of(original.encoded_audio_string)
        assert heard == pytest.approx(0.5 * (example.waveform / example.waveform.abs().max()).numpy(), abs=1e-4)
        (rebuilt,) = found.Audio(f"audio/{clip}/reconstruction")
        expected = griffin_lim(example.rebuilt, model.stft, len(example.waveform))
        expected = (expected * 0.5 / example.waveform.abs().max()).clamp(-1, 1)
        assert waveform_of(rebuilt.encoded_audio_string) == pytest.approx(expected.numpy(), abs=1e-4)


def test_what_is_too_loud_is_clipped_without_a_word(model_and_batch, tmp_path: Path, capsys) -> None:
    model, batch = model_and_batch
    with torch.no_grad():
        model.level_head.bias[0] = 5.0  # standard deviations too loud
    with SummaryWriter(str(tmp_path)) as writer:
        log_audio_to_tensorboard(writer, 1, model, batch)
    assert capsys.readouterr().out == ""
    heard = waveform_of(events(tmp_path).Audio("audio/0/reconstruction")[0].encoded_audio_string)
    assert np.abs(heard).max() == pytest.approx(1)


def test_a_model_that_went_astray_does_not_end_the_run(model_and_batch, tmp_path: Path, caplog) -> None:
    model, batch = model_and_batch
    with torch.no_grad():
        model.patch_head.weight.fill_(math.nan)
    with SummaryWriter(str(tmp_path)) as writer:
        log_audio_to_tensorboard(writer, 7, model, batch)
    assert events(tmp_path).Tags()["audio"] == []
    assert "step 7: example 0 is not finite" in caplog.text


def test_the_picture_marks_the_hidden_frames(model_and_batch) -> None:
    model, batch = model_and_batch
    (example, *_) = rebuild_examples(model, batch)
    picture = spectrogram_picture(example, model.stft)
    num_frames, num_rows = len(example.original), model.stft.n_fft // 2 // BINS_PER_ROW + 1
    assert picture.shape == (2 * num_rows + MARK_ROWS, num_frames, 3)
    assert picture.dtype == np.uint8
    marked = (picture[num_rows + MARK_ROWS // 2] == HIDDEN).all(1)
    assert np.array_equal(marked, example.is_hidden.numpy())
    above, below = picture[:num_rows], picture[num_rows + MARK_ROWS :]
    assert np.array_equal(above[:, ~marked], below[:, ~marked])
    assert not np.array_equal(above[:, marked], below[:, marked])
    loudest = num_rows - 1 - above.sum((1, 2)).argmax()
    assert loudest * BINS_PER_ROW * 24000 / model.stft.n_fft < 1100  # a tone of 200 or 900 Hz: low rows are low
