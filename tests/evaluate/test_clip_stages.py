"""A tiny tuned model scored from files to rows: what is read, what is left out, and what may not matter."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from audiorig.config import ClipConfig, ScoreConfig, SplitConfig
from audiorig.data.clips import ClipDataset
from audiorig.data.manifest import read_table, write_table
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.data.split import write_split
from audiorig.data.targets import resolve_targets
from audiorig.errors import ConfigError, DataError
from audiorig.evaluate.answers_table import read_answers, targets_of, tuned_system
from audiorig.evaluate.clip_examples import envelope, in_plane, write_arrays
from audiorig.evaluate.clip_predictions import clip_groups, hear, listen_as_tuner
from audiorig.evaluate.clip_stages import Scored, load_tuner, score_model, score_settings
from audiorig.models.answers import decisions_of
from audiorig.models.tuner import SpeechTuner

RATE = 16000
SETTINGS = ScoreConfig(bootstrap=100, shuffles=20, batch_size=5, examples=3, group="participant_id")
REASONS = ("hungry", "tired", "pain")
DATA = ClipConfig(corpus="demo", split="by-speaker", max_sec=1.0)


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("stages_tiny", Path(__file__).parents[1] / "models" / "tiny_tuner.py")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of .2 to .5 s: the pitch says the reason, the level says loud, some values are missing."""
    folder = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(0)
    sides: dict[str, pd.DataFrame] = {}
    for side, num_infants in (("train", 6), ("dev", 5), ("test", 6)):
        rows = []
        for index in range(num_infants * 6):
            reason, loud = int(generator.integers(3)), int(generator.integers(2))
            seconds = generator.uniform(0.2, 0.5)
            time = np.arange(int(seconds * RATE)) / RATE
            tone = (0.02, 0.3)[loud] * np.sin(2 * np.pi * (300, 900, 2700)[reason] * time)
            name = f"{side}-{index:02d}.wav"
            soundfile.write(folder / name, tone + 1e-3 * generator.standard_normal(len(tone)), RATE, subtype="FLOAT")
            rows.append(
                {
                    "participant_id": f"{side}-infant-{index // 6}",
                    "recording_id": name,
                    "wav_path": name,
                    "duration_sec": len(tone) / RATE,
                    "sample_rate": RATE,
                    "channels": 1,
                    "group_id": f"{side}-infant-{index // 6}",
                    "reason": REASONS[reason],
                    "loud": "" if index % 7 == 3 else str(loud),
                    "rate": "" if index % 5 == 2 else str(1 + reason + loud),
                }
            )
        sides[side] = pd.DataFrame(rows)
    write_split(sides, SplitConfig(), folder / "split")
    return folder / "split"


@pytest.fixture(scope="module")
def model(split: Path) -> SpeechTuner:
    run = tiny.run_of(pooling={"kind": "attention"})
    return SpeechTuner.assemble(
        tiny.encoder_of(), run, resolve_targets(run.used_targets, read_table(split / "train.parquet"))
    ).eval()


def clips_of(split: Path, model: SpeechTuner) -> dict[str, ClipDataset]:
    shared = (split.parent, DATA, model.targets, RATE, 0)
    sides = {side: ClipDataset(split / f"{side}.arrow", *shared, side="dev") for side in ("train", "dev")}
    return sides | {"test": ClipDataset(split / "test.arrow", *shared, side="test")}


def scored_of(split: Path, model: SpeechTuner, settings: ScoreConfig = SETTINGS, **more: Any) -> Scored:
    return score_model(model, clips_of(split, model), split, settings, "speechtune", **more)


@pytest.fixture(scope="module")
def scored(split: Path, model: SpeechTuner) -> Scored:
    return scored_of(split, model, base=tiny.encoder_of())


def row(scored: Scored, task: str, system: str, metric: str) -> dict[str, Any]:
    (found,) = [
        each for each in scored.rows if (each["task"], each["system"], each["metric"]) == (task, system, metric)
    ]
    return found


def test_every_target_has_the_model_its_controls_and_their_differences(scored: Scored) -> None:
    assert list(dict.fromkeys(each["task"] for each in scored.rows)) == ["reason", "loud", "rate"]
    controls = ["majority", "log-mel", "untuned encoder", "permuted labels"]
    for task in ("reason", "loud", "rate"):
        systems = dict.fromkeys(each["system"] for each in scored.rows if each["task"] == task)
        assert list(systems) == ["speechtune", *controls, *(f"speechtune minus {each}" for each in controls)]
    json.dumps(scored.rows, allow_nan=False)
    json.dumps(scored.notes, allow_nan=False)


def test_plain_spectra_know_pitch_and_level_and_the_commonest_answer_does_not(scored: Scored) -> None:
    assert row(scored, "reason", "log-mel", "balanced_accuracy")["value"] > 0.9
    assert row(scored, "loud", "log-mel", "auc")["value"] > 0.9
    assert row(scored, "rate", "log-mel", "spearman")["value"] > 0.8
    assert row(scored, "reason", "majority", "balanced_accuracy")["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert row(scored, "loud", "majority", "auc")["value"] == 0.5
    assert row(scored, "reason", "log-mel", "auc")["num_learnt"] == 36
    assert row(scored, "reason", "speechtune minus log-mel", "balanced_accuracy")["high"] < 0


def test_predictions_hold_both_sides_of_all_systems(scored: Scored, model: SpeechTuner, tmp_path: Path) -> None:
    write_table(scored.predictions, tmp_path / "predictions.parquet")
    table = read_answers(tmp_path / "predictions.parquet")
    assert tuned_system(table) == "speechtune"
    assert targets_of(table) == model.targets
    assert set(table["side"]) == {"dev", "test"}
    assert len(table) == 4 * 3 * (30 + 36)
    mine = table[(table["system"] == "speechtune") & (table["side"] == "test")]
    widths = {name: len(found.iloc[0]) for name, found in mine.groupby("target")["probabilities"]}
    assert widths == {"reason": 3, "loud": 1, "rate": 4}
    assert mine[mine["target"] == "loud"]["true"].isna().sum() == 5
    answers = mine[mine["target"] == "reason"].dropna(subset="true")
    assert (answers["true"] == answers["predicted"]).mean() == pytest.approx(
        row(scored, "reason", "speechtune", "accuracy")["value"], abs=1e-6
    )


def test_the_threshold_is_that_of_dev_and_stands_in_the_scores(scored: Scored) -> None:
    decision = decisions_of(scored.rows)["loud"]
    mine = scored.predictions.query("system == 'speechtune' and target == 'loud'")
    for side in ("dev", "test"):
        rows = mine[mine["side"] == side]
        probability = np.concatenate(rows["probabilities"].to_list())
        assert (rows["predicted"] == (probability >= decision.threshold)).all()
    assert scored.notes["decisions"]["loud"]["threshold"] == decision.threshold


def test_batches_and_their_order_change_nothing(split: Path, model: SpeechTuner) -> None:
    table, clips = read_table(split / "test.parquet"), clips_of(split, model)["test"]
    one, many = (
        hear("test", clips, table, "group_id", {"x": listen_as_tuner(model)}, size).found["x"] for size in (1, 7)
    )
    for name in one:
        assert one[name] == pytest.approx(many[name], abs=1e-5)


def test_other_labels_of_train_change_no_score_of_a_fixed_model(
    split: Path, model: SpeechTuner, scored: Scored
) -> None:
    """The model is what it is: what train is said to hold may move the controls alone."""
    clips = clips_of(split, model)
    clips["train"]._values = clips["train"]._values[::-1].copy()
    poisoned = score_model(model, clips, split, SETTINGS, "speechtune", base=tiny.encoder_of())

    def of(found: Scored) -> list[dict[str, Any]]:
        return [each for each in found.rows if each["system"] in ("speechtune", "permuted labels")]

    assert of(poisoned) == of(scored)
    assert row(poisoned, "reason", "log-mel", "balanced_accuracy")["value"] < 0.8


def test_unreadable_clips_are_counted_named_and_replaced_by_nobody(
    split: Path, model: SpeechTuner, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for path in split.parent.glob("*.wav"):
        (folder / path.name).symlink_to(path)
    for name in ("test-00.wav", "test-07.wav", "dev-03.wav"):
        (folder / name).unlink()
        (folder / name).write_bytes(b"RIFF, and nothing else")
    clips = clips_of(split, model)
    for each in clips.values():
        each.root = dataclasses.replace(each.root, folder=folder)
    scored = score_model(model, clips, split, SETTINGS, "speechtune")
    assert scored.notes["unreadable"] == {"train": [], "dev": ["dev-03.wav"], "test": ["test-00.wav", "test-07.wav"]}
    assert row(scored, "reason", "speechtune", "accuracy")["n"] == 34
    assert row(scored, "reason", "speechtune", "accuracy")["num_unreadable"] == 2
    assert not scored.predictions["item"].isin(["test-00.wav", "test-07.wav", "dev-03.wav"]).any()
    pseudonyms = CorpusPseudonyms.of_split(split)
    private = score_model(model, clips, split, SETTINGS, "speechtune", pseudonyms=pseudonyms)
    assert not any(".wav" in name for names in private.notes["unreadable"].values() for name in names)


def test_a_class_without_test_clips_has_no_recall_and_is_named(split: Path, model: SpeechTuner) -> None:
    clips = clips_of(split, model)
    values = clips["test"]._values
    values[values[:, 0] == model.targets[0].classes.index("pain"), 0] = np.nan
    scored = score_model(model, clips, split, SETTINGS, "speechtune")
    assert scored.notes["without_items"]["reason"] == ["pain"]
    recalls = {each["metric"] for each in scored.rows if each["metric"].startswith("recall/")}
    assert recalls == {"recall/hungry", "recall/tired"}


def test_examples_show_sound_attention_a_map_and_what_changed(
    scored: Scored, model: SpeechTuner, tmp_path: Path
) -> None:
    write_arrays(tmp_path / "examples.npz", scored.arrays)
    found = np.load(tmp_path / "examples.npz", allow_pickle=False)
    assert int(found["num_examples"]) == 3
    assert len({float(found[f"true_{index}"][0]) for index in range(3)}) == 3  # spread over the reasons
    for index in range(3):
        low, high = found[f"envelope_{index}"]
        assert (low <= high).all()
        attention = found[f"attention_{index}"]
        assert attention.sum() == pytest.approx(1, abs=1e-5)
        assert len(attention) == model.encoder.num_frames(round(float(found[f"seconds_{index}"]) * RATE))
    assert found["map"].shape == (36, 2)
    assert set(found["map_group"]) == {f"test-infant-{index}" for index in range(6)}
    assert found["map_true"].shape == (36, 3)
    assert found["change_part"].tolist()[:3] == ["front", "block 0", "block 1"]
    assert found["change_relative"] == pytest.approx(0)  # nothing was trained here
    assert found["targets"].tolist() == ["reason", "loud", "rate"]


def test_a_private_corpus_shows_neither_names_nor_sound(split: Path, model: SpeechTuner) -> None:
    arrays = scored_of(split, model, pseudonyms=CorpusPseudonyms.of_split(split)).arrays
    assert not any(name.startswith("envelope") for name in arrays)
    text = " ".join(str(value) for array in arrays.values() if array.dtype.kind == "U" for value in array.flat)
    assert "infant" not in text and "test-" not in text
    assert "participant-" in text and "recording-" in text


def test_twice_the_same(split: Path, model: SpeechTuner, scored: Scored) -> None:
    again = scored_of(split, model, base=tiny.encoder_of())
    assert again.rows == scored.rows
    assert all(np.array_equal(array, again.arrays[name], equal_nan=array.dtype.kind == "f")
               for name, array in scored.arrays.items())  # fmt: skip


def test_a_wrong_group_is_a_sentence(split: Path) -> None:
    with pytest.raises(DataError, match=r"voice.*score\.group"):
        clip_groups(read_table(split / "test.parquet"), "voice", "the split's test side")


def test_unknown_participants_are_groups_by_recording() -> None:
    table = pd.DataFrame({"participant_id": ["a", "unknown", "unknown"], "recording_id": ["x", "y", "z"]})
    assert clip_groups(table, "participant_id", "here").tolist() == ["a", "recording:y", "recording:z"]


def test_settings_are_those_of_the_stage(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(yaml.safe_dump({"experiment": "infantcry", "score": {"bootstrap": 300}}))
    assert score_settings(path).bootstrap == 300
    path.write_text(yaml.safe_dump({"experiment": "infantcry", "score": {"bootstraps": 300}}))
    with pytest.raises(ConfigError, match="bootstraps"):
        score_settings(path)


def test_a_model_that_is_no_tuner_is_refused(model: SpeechTuner, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    assert isinstance(load_tuner(tmp_path / "model"), SpeechTuner)
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    shape = {key: value for key, value in tiny.WAV2VEC2["network"].items() if key != "model_type"}
    Wav2Vec2Model(Wav2Vec2Config(**shape)).save_pretrained(tmp_path / "other")
    with pytest.raises(DataError, match="Wav2Vec2Model: expected"):
        load_tuner(tmp_path / "other")


def test_outlines_hold_every_peak() -> None:
    samples = np.zeros(1001, np.float32)
    samples[500], samples[700] = 0.9, -0.8
    low, high = envelope(samples, 10)
    assert (len(low), high.max(), low.min()) == (10, np.float32(0.9), np.float32(-0.8))
    assert envelope(samples[:3], 10).shape == (2, 3)


def test_neighbours_stay_neighbours_on_the_map() -> None:
    generator = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 20) * 20, 15, axis=0)
    laid = in_plane(centres + generator.standard_normal((45, 20)), 0)
    nearest = np.argsort(((laid[:, None] - laid[None]) ** 2).sum(-1), axis=1)[:, 1]
    assert (nearest // 15 == np.arange(45) // 15).all()
    assert np.array_equal(in_plane(np.ones((6, 4)), 0), np.zeros((6, 2)))
