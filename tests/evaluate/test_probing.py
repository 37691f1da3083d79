"""A whole probe on stretches of recordings: what adaptation brought is found, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import Tensor

from audiorig.config import ProbeConfig, ProbeTask
from audiorig.errors import DataError
from audiorig.evaluate.probing import plan_tasks, probe_model
from audiorig.evaluate.systems import BEFORE, RANDOM, SHUFFLED
from audiorig.models.outputs import EncoderOutput

RATE, HOMES, EACH = 8000, 20, 6
SECONDS, NUM_TESTED = 8, 5 * EACH
LABELS = {"CHI": 300.0, "FEM": 700.0}
TASK = ProbeTask(label="speaker_type", items="segments")


@dataclass(frozen=True)
class Ear:
    """A stub of an encoder. One that knows hears the pitch; one that does not hears rounding errors."""

    knows: bool
    seed: int = 0
    sample_rate_hz: int = RATE

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        frames = waveform[:, : waveform.shape[1] // 160 * 160].reshape(len(waveform), -1, 160)
        is_padding = torch.arange(frames.shape[1]) >= (lengths // 160)[:, None]
        rounding = (frames[..., :4] * (32768.0 + 1000 * self.seed) / 7) % 1
        pitch = (frames[..., 1:] * frames[..., :-1] < 0).float().mean(-1, keepdim=True).expand(-1, -1, 4)
        first = torch.where(is_padding[..., None], 1e9, rounding)
        last = torch.where(is_padding[..., None], 1e9, pitch if self.knows else rounding**2)
        return EncoderOutput(features=last, is_padding=is_padding, layers=(first, last))

    def untrained(self, seed: int) -> "Ear":
        return Ear(False, seed + 1)


Probed = tuple[dict[tuple[str, str], dict[str, Any]], pd.DataFrame]


@dataclass(frozen=True)
class Homes:
    root: Path
    split: Path
    segments: pd.DataFrame


def build(folder: Path) -> Homes:
    """20 recordings of 8 s: noise, in which every other stretch of .4 to .8 s is a tone with a label."""
    generator = np.random.default_rng(0)
    rows, found = [], []
    for home in range(HOMES):
        samples = 0.02 * generator.standard_normal(SECONDS * RATE)
        for index in range(EACH):
            start, length = index * 1.1 + 0.1, 0.4 + 0.4 * generator.random()
            label = ("CHI", "FEM")[(index + home) % 2]
            begin, count = round(start * RATE), round(length * RATE)
            tone = np.sin(2 * np.pi * LABELS[label] * (np.arange(count) / RATE + generator.random()))
            samples[begin : begin + count] += 0.3 * tone
            row = {"wav_path": f"{home:02d}.wav", "start_sec": round(start, 3), "end_sec": round(start + length, 3)}
            found.append(row | {"speaker_type": label, "activity": "play" if index < 3 else "meal"})
        soundfile.write(folder / f"{home:02d}.wav", samples, RATE)
        side = "train" if home < 10 else ("dev", "test")[home % 2]
        rows.append({"participant_id": f"p{home:02d}", "recording_id": f"{home:02d}", "wav_path": f"{home:02d}.wav",
                     "duration_sec": float(SECONDS), "group_id": f"p{home:02d}", "side": side})  # fmt: skip
    table = pd.DataFrame(rows)
    for side, own in table.groupby("side"):
        own.drop(columns="side").to_parquet(folder / f"{side}.parquet")
    return Homes(folder, folder, pd.DataFrame(found))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    return build(tmp_path_factory.mktemp("homes"))


@pytest.fixture(scope="module")
def alone(homes: Homes) -> Probed:
    return probed(homes, Ear(True))


def settings(tasks: Mapping[str, ProbeTask] | None = None, **changed: Any) -> ProbeConfig:
    quick = {"bootstrap": 200, "shuffles": 2, "random_encoders": 1, "inverse_penalties": (0.01, 1.0)}
    return ProbeConfig(**{"tasks": tasks or {"voice": TASK}, "layer": "dev", **quick, **changed})


def probed(
    homes: Homes, after: Ear, before: Ear | None = None, config: ProbeConfig | None = None, **changed: Any
) -> Probed:
    """Rows by system and metric, and items."""
    table = changed.get("segments", homes.segments)
    rows, items = probe_model(
        after, homes.split, homes.root, config or settings(), "encoder", before=before, segments=table
    )
    return {(row["system"], row["metric"]): row for row in rows}, items


def test_what_only_the_adapted_encoder_knows_is_a_certain_difference(homes: Homes) -> None:
    rows, items = probed(homes, Ear(True), Ear(False))
    after, before, difference = (rows[name, "accuracy"] for name in ("encoder", BEFORE, f"encoder minus {BEFORE}"))
    assert after["value"] > 0.95
    assert before["low"] < 0.5 < before["high"] + 0.1
    assert difference["value"] == pytest.approx(after["value"] - before["value"], abs=2e-6)
    assert difference["low"] > 0.2
    assert (after["n"], after["num_groups"], after["interval_over"]) == (NUM_TESTED, 5, "groups")
    assert after["layer"] in ("block-2", "final", "all")
    assert before["layer"] is not None  # its own
    assert (BEFORE, "knn_accuracy") in rows
    assert not any(system.startswith(f"{BEFORE}, ") for system, _ in rows)
    for system in ("encoder", BEFORE, SHUFFLED):
        hits = items[items["system"] == system]
        assert hits["item"].is_unique
        assert len(hits) == NUM_TESTED
        assert hits["hit"].mean() == pytest.approx(rows[system, "accuracy"]["value"], abs=2e-6)
    assert items["item"].str.fullmatch(r"\d\d\.wav#\d+\.\d{3}-\d+\.\d{3}").all()


def test_an_encoder_that_did_not_change_differs_by_nothing(homes: Homes) -> None:
    rows, _ = probed(homes, Ear(True), Ear(True))
    for metric in ("accuracy", "macro_f1", "balanced_accuracy"):
        difference = rows[f"encoder minus {BEFORE}", metric]
        assert (difference["value"], difference["low"], difference["high"]) == (0, 0, 0)
        assert rows[BEFORE, metric]["layer"] == rows["encoder", metric]["layer"]


def test_shuffled_labels_and_untrained_encoders_are_at_chance(homes: Homes, alone: Probed) -> None:
    """Two kinds of sounds: a shuffle gives each one label, right or wrong, so it takes many to see chance."""
    many = settings(layer="all", each_layer=False, shuffles=20, inverse_penalties=(1.0,))
    shuffled = probed(homes, Ear(True), config=many)[0][SHUFFLED, "accuracy"]
    for control in (shuffled, alone[0][RANDOM, "accuracy"]):
        assert control["low"] <= 0.5 <= control["high"]
        assert 0.25 < control["value"] < 0.75
    assert alone[0][f"encoder minus {RANDOM}", "accuracy"]["low"] > 0.1
    assert (BEFORE, "accuracy") not in alone[0]


def test_a_before_changes_no_other_score(homes: Homes, alone: Probed) -> None:
    beside, _ = probed(homes, Ear(True), Ear(False))
    assert {key: row for key, row in beside.items() if BEFORE not in key[0]} == alone[0]


def test_what_stands_in_held_out_recordings_is_not_learnt(alone: Probed, tmp_path: Path) -> None:
    """Wrong labels and wild sounds in one test recording change nothing for the others."""
    one, items = alone
    other = build(tmp_path)
    is_poisoned = other.segments["wav_path"] == "11.wav"
    labels = other.segments["speaker_type"].map({"CHI": "FEM", "FEM": "CHI"})
    other.segments["speaker_type"] = other.segments["speaker_type"].where(~is_poisoned, labels)
    soundfile.write(tmp_path / "11.wav", np.random.default_rng(1).uniform(-1, 1, SECONDS * RATE), RATE)
    assert "11.wav" in set(pd.read_parquet(tmp_path / "test.parquet")["wav_path"])
    two, poisoned = probed(other, Ear(True))
    clean = [table[~table["item"].str.startswith("11.wav")].reset_index(drop=True) for table in (items, poisoned)]
    learnt = clean[0]["system"] != RANDOM
    assert clean[0][learnt].equals(clean[1][learnt])
    for key, row in one.items():
        assert row.get("dev_accuracy") == two[key].get("dev_accuracy")
        assert row["layer"] == two[key]["layer"]


def test_tasks_on_stretches_share_features_and_each_has_its_own_labels(homes: Homes, alone: Probed) -> None:
    """One stretch has two lines in the annotations, each with one of the labels."""
    table = homes.segments
    voices, activities = table.assign(activity=""), table.assign(speaker_type="")
    config = settings({"voice": TASK, "activity": ProbeTask(label="activity", items="segments")})
    calls: list[int] = []

    class Counting(Ear):
        def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
            calls.append(len(waveform))
            return super().encode(waveform, lengths)

    twice = pd.concat([voices, activities], ignore_index=True)
    rows, items = probe_model(Counting(True), homes.split, homes.root, config, "encoder", segments=twice)
    assert sum(calls) == HOMES * EACH
    assert items.groupby(["task", "system"]).size().eq(NUM_TESTED).all()
    found = {row["task"]: row["value"] for row in rows if (row["system"], row["metric"]) == ("encoder", "accuracy")}
    assert found["voice"] > 0.95
    assert found["voice"] == alone[0]["encoder", "accuracy"]["value"]


def test_files_and_stretches_can_be_asked_about_in_one_probe(homes: Homes) -> None:
    tasks = {"voice": TASK, "home": ProbeTask(label="participant_id", assign="shots", shots=1, draws=1, piece_sec=1.0)}
    # A home is one recording here, so nothing is left to test; the plan says so before anything is heard.
    with pytest.raises(DataError, match="0 for dev, 0 to test"):
        plan_tasks(homes.split, settings(tasks), homes.segments)


def test_the_plan_counts_stretches_of_each_side(homes: Homes) -> None:
    (plan,) = plan_tasks(homes.split, settings({"voice": TASK.model_copy(update={"max_items": 20})}), homes.segments)
    assert plan["clips"] == {"train": 20, "dev": 20, "test": 20}
    assert plan["labels"] == ["CHI", "FEM"]
    (plan,) = plan_tasks(homes.split, settings(), homes.segments)
    assert plan["clips"] == {"train": 10 * EACH, "dev": NUM_TESTED, "test": NUM_TESTED}
    with pytest.raises(DataError, match="the corpus has no annotations"):
        plan_tasks(homes.split, settings())


def test_stretches_can_be_cut_and_sent_through_channels(homes: Homes) -> None:
    task = TASK.model_copy(update={"piece_sec": 0.2, "random_channel": True, "max_items": 10})
    rows, items = probed(homes, Ear(True), config=settings({"voice": task}, each_layer=True))
    assert rows["encoder", "accuracy"]["n"] > 20  # pieces of 10 stretches
    assert items.loc[items["system"] == "encoder", "item"].is_unique
    assert items["item"].str.count("#").eq(2).all()


def test_encoders_of_different_rates_are_not_compared(homes: Homes) -> None:
    with pytest.raises(DataError, match="8000 Hz and the one before its adaptation 16000 Hz"):
        probed(homes, Ear(True), Ear(False, sample_rate_hz=16000))
