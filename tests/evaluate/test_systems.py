"""A task scored on made features: what was planted is found above every control, and nothing else."""

import dataclasses
import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import ProbeConfig, ProbeTask
from audiorig.evaluate.baselines import LOG_MEL, MFCC
from audiorig.evaluate.embed import ALL_BLOCKS, LAST
from audiorig.evaluate.systems import BEFORE, MAJORITY, RANDOM, SHUFFLED, Features, TaskScorer

NUM_CLASSES, GROUPS, EACH = 3, 30, 8
SETTINGS = ProbeConfig(bootstrap=200, shuffles=4, random_encoders=2, inverse_penalties=(0.01, 1.0))
TASK = ProbeTask(label="language")


def table() -> pd.DataFrame:
    """30 voices in three languages; a half to learn from, a quarter each for dev and test."""
    voice = np.repeat(np.arange(GROUPS), EACH)
    return pd.DataFrame(
        {
            "wav_path": [f"{index:03d}.wav" for index in range(len(voice))],
            "participant_id": [f"v{one:02d}" for one in voice],
            "language": [("en", "fr", "ru")[(index + one) % 3] for index, one in enumerate(voice)],
            "split_side": [("train", "dev", "train", "test")[one % 4] for one in voice],
        }
    )


def noise(seed: int, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((GROUPS * EACH, width))


def made(strength: float = 5.0) -> Features:
    """block-2 knows the language; nothing else does."""
    knows = noise(0)
    knows[:, :NUM_CLASSES] += strength * np.eye(NUM_CLASSES)[pd.factorize(table()["language"], sort=True)[0]]

    def layers(one: np.ndarray, two: np.ndarray, last: np.ndarray) -> dict[str, np.ndarray]:
        return {"block-1": one, "block-2": two, LAST: last, ALL_BLOCKS: np.concatenate([one, two], axis=1)}

    randoms = [layers(noise(10 * seed), noise(10 * seed + 1), noise(10 * seed + 2)) for seed in (4, 5)]
    return Features(layers(noise(1), knows, noise(2)), randoms, {LOG_MEL: noise(3), MFCC: noise(6)})


def scored(features: Features | None = None, **settings: Any) -> list[dict[str, Any]]:
    config = SETTINGS.model_copy(update=settings)
    return TaskScorer("language", TASK, table(), config, "encoder").score(features or made())


@functools.cache
def scored_once() -> tuple[dict[str, Any], ...]:
    return tuple(scored())


def row(system: str, metric: str = "accuracy", rows: Any = None) -> dict[str, Any]:
    found = [each for each in rows or scored_once() if (each["system"], each["metric"]) == (system, metric)]
    assert len(found) == 1, system
    return found[0]


CONTROLS = (LOG_MEL, MFCC, RANDOM, MAJORITY, SHUFFLED)


def test_a_planted_encoder_is_above_every_control_with_its_interval() -> None:
    assert row("encoder")["value"] > 0.95
    for control in CONTROLS:
        difference = row(f"encoder minus {control}")
        assert difference["low"] > 0.3, control
        assert difference["value"] == pytest.approx(row("encoder")["value"] - row(control)["value"], abs=2e-6)


def test_shuffled_labels_and_the_other_controls_are_at_chance() -> None:
    for control in CONTROLS:
        found = row(control, "balanced_accuracy")
        assert found["low"] - 1e-6 <= 1 / 3 <= found["high"] + 1e-6, control
        assert found["value"] < 0.5


def test_noise_is_not_above_its_controls() -> None:
    rows = scored(made(strength=0.0))
    for control in CONTROLS:
        difference = row(f"encoder minus {control}", rows=rows)
        assert difference["low"] < 0.05, control


def test_every_row_has_the_keys_of_the_design_and_is_the_only_one_of_its_kind() -> None:
    keys = {
        "task",
        "split",
        "system",
        "layer",
        "seed",
        "metric",
        "value",
        "low",
        "high",
        "n",
        "num_groups",
        "interval_over",
    }
    seen = set()
    for each in scored_once():
        assert set(each) - {"dev_accuracy", "num_pretrained"} == keys
        assert (each["task"], each["split"], each["interval_over"]) == ("language", "test", "groups")
        assert each["n"] == (table()["split_side"] == "test").sum()
        assert each["num_groups"] == table().loc[table()["split_side"] == "test", "participant_id"].nunique()
        if not each["metric"].startswith("knn_"):
            assert each["low"] <= each["high"]
        seen.add((each["task"], each["split"], each["system"], each["layer"], each["seed"], each["metric"]))
    assert len(seen) == len(scored_once())


def test_all_systems_layers_and_metrics_are_there() -> None:
    systems = {each["system"] for each in scored_once()}
    layers = {f"encoder, {layer}" for layer in ("block-1", "block-2", LAST, ALL_BLOCKS)}
    randoms = {f"{RANDOM}, seed {seed}" for seed in (0, 1)}
    assert systems == {"encoder", *layers, *randoms, *CONTROLS, *(f"encoder minus {control}" for control in CONTROLS)}
    for system in systems:
        metrics = {each["metric"] for each in scored_once() if each["system"] == system}
        assert metrics >= {"accuracy", "macro_f1", "balanced_accuracy"}
    assert {each["system"] for each in scored_once() if each["metric"] == "knn_accuracy"} == {
        "encoder",
        RANDOM,
        LOG_MEL,
    }


def test_the_untrained_encoders_are_averaged_and_kept_apart() -> None:
    apart = [row(f"{RANDOM}, seed {seed}") for seed in (0, 1)]
    assert [each["seed"] for each in apart] == [0, 1]
    assert row(RANDOM)["value"] == pytest.approx(np.mean([each["value"] for each in apart]), abs=2e-6)


def test_neighbours_find_the_planted_signal_too() -> None:
    assert row("encoder", "knn_accuracy")["value"] > 0.8
    assert row(RANDOM, "knn_accuracy")["value"] < 0.55


def test_dev_can_choose_the_layer_and_controls_follow() -> None:
    rows = scored(layer="dev")
    best = row("encoder", rows=rows)["layer"]
    assert best in ("block-2", ALL_BLOCKS)
    dev = {each["layer"]: each["dev_accuracy"] for each in rows if "dev_accuracy" in each}
    assert dev[best] == max(dev.values())
    assert row(f"{RANDOM}, seed 0", rows=rows)["layer"] in dev  # an untrained encoder chooses its own
    assert row("encoder", rows=rows)["value"] == row(f"encoder, {best}", rows=rows)["value"]
    assert row("encoder")["layer"] == ALL_BLOCKS


def test_the_test_side_does_not_choose_the_layer() -> None:
    """A layer that knows everything but dev must lose to one that knows a little everywhere."""
    features = made(strength=2.0)
    peeking = made(strength=9.0).encoder["block-2"]
    is_dev = (table()["split_side"] == "dev").to_numpy()
    peeking[is_dev] = noise(8)[is_dev]
    features.encoder["block-1"] = peeking
    rows = scored(features, layer="dev")
    assert row("encoder, block-1", rows=rows)["value"] > row("encoder, block-2", rows=rows)["value"]
    assert row("encoder", rows=rows)["layer"] in ("block-2", ALL_BLOCKS)


def test_scores_are_the_same_again() -> None:
    assert scored() == list(scored_once())


def test_shots_are_tested_on_what_was_not_learnt_and_averaged() -> None:
    task = ProbeTask(label="language", assign="shots", shots=4, draws=3)
    rows = TaskScorer("few", task, table(), SETTINGS, "encoder").score(made())
    assert row("encoder", rows=rows)["value"] > 0.6
    assert row(SHUFFLED, rows=rows)["value"] < 0.5
    assert row("encoder", rows=rows)["n"] > 200
    assert row("encoder", rows=rows)["num_groups"] == GROUPS


@pytest.mark.parametrize(
    "task",
    [TASK, ProbeTask(label="language", assign="shots", shots=4, draws=3), ProbeTask(label="language", assign="rotate")],
)
def test_the_mean_of_the_hits_is_the_accuracy(task: ProbeTask) -> None:
    scorer = TaskScorer("any", task, table(), SETTINGS, "encoder")
    rows, items = scorer.score(made()), scorer.items()
    assert set(items["system"]) == {"encoder", *CONTROLS}
    for system, found in items.groupby("system"):
        assert found["hit"].mean() == pytest.approx(row(str(system), rows=rows)["value"], abs=2e-6)
        assert found["item"].is_unique
        assert len(found) == row("encoder", rows=rows)["n"]
    assert items.groupby("item")["group"].nunique().max() == 1


def test_pieces_are_told_apart_by_their_start() -> None:
    cut = pd.concat([table().assign(start=0), table().assign(start=24000)], ignore_index=True)
    task = ProbeTask(label="language", piece_sec=1.0)
    scorer = TaskScorer("pieces", task, cut, SETTINGS, "encoder")
    scorer._hits = {"encoder": np.ones(len(scorer.tested))}
    assert {name.split("#")[1] for name in scorer.items()["item"]} == {"0", "24000"}


def test_only_the_headline_is_scored_where_layers_are_not_asked_for() -> None:
    rows = scored(each_layer=False)
    assert {each["system"] for each in rows if each["system"].startswith("encoder, ")} == {f"encoder, {ALL_BLOCKS}"}
    assert row("encoder", rows=rows) == row("encoder")


# ------------------------------------------------------------------------ before and after


def adapted(before: dict[str, np.ndarray]) -> Features:
    return dataclasses.replace(made(), before=before)


def test_what_adaptation_brought_is_a_paired_difference() -> None:
    rows = scored(adapted(made(strength=0.0).encoder), layer="dev")
    difference = row(f"encoder minus {BEFORE}", rows=rows)
    assert difference["low"] > 0.3
    assert difference["value"] == pytest.approx(row("encoder", rows=rows)["value"] - row(BEFORE, rows=rows)["value"])
    assert row(BEFORE, "knn_accuracy", rows)["value"] < 0.55


def test_before_chooses_a_layer_of_its_own() -> None:
    """What the encoder knows in its second block, it knew in its first."""
    knew = made().encoder
    swapped = {**knew, "block-1": knew["block-2"], "block-2": noise(9), ALL_BLOCKS: noise(11), LAST: noise(12)}
    rows = scored(adapted(swapped), layer="dev")
    assert row(BEFORE, rows=rows)["layer"] == "block-1"
    assert row("encoder", rows=rows)["layer"] in ("block-2", ALL_BLOCKS)
    assert row(BEFORE, rows=rows)["value"] > 0.95


def test_nothing_but_its_rows_comes_with_a_before() -> None:
    rows = scored(adapted(made().encoder))
    assert [each for each in rows if BEFORE not in each["system"]] == list(scored_once())
    assert {each["system"] for each in rows} - {each["system"] for each in scored_once()} == {
        BEFORE,
        f"encoder minus {BEFORE}",
    }
    for metric in ("accuracy", "macro_f1", "balanced_accuracy"):
        same = row(f"encoder minus {BEFORE}", metric, rows)
        assert (same["value"], same["low"], same["high"]) == (0, 0, 0)
