"""Differences of runs: planted ones are found, items must be the same, and few seeds widen the interval."""

import numpy as np
import pandas as pd
import pytest

from audiorig.errors import DataError
from audiorig.evaluate.intervals import Resampling
from audiorig.evaluate.paired import (
    Items,
    difference_rows,
    distance_items,
    joint_score,
    paired_difference,
    probe_items,
)
from audiorig.evaluate.reconstruction import DISTANCES

GROUPS, EACH = 12, 10
NAMES = [f"{index:03d}.wav" for index in range(GROUPS * EACH)]
VOICES = [f"v{index % GROUPS:02d}" for index in range(GROUPS * EACH)]


def items(gains: np.ndarray, where: str = "a", names: list[str] | None = None) -> Items:
    each = tuple(names or NAMES)
    return Items("language", "accuracy", where, each, tuple(VOICES), np.atleast_2d(gains), np.ones(len(each)))


def hits(seed: int, rate: float = 0.7) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(size=len(NAMES)) < rate).astype(float)


def table(hit: np.ndarray, system: str = "wavemae", task: str = "language") -> pd.DataFrame:
    return pd.DataFrame({"task": task, "system": system, "item": NAMES, "group": VOICES, "hit": hit})


def test_a_run_minus_itself_is_nothing() -> None:
    score = paired_difference(items(hits(0)), items(hits(0)), 200, 0)
    assert (score.value, *score.interval) == (0.0, 0.0, 0.0)


def test_of_one_seed_the_interval_is_that_of_the_run() -> None:
    resampling = Resampling(VOICES, 200, 3, "language")
    _, drawn = resampling.totals(np.stack([hits(0), np.ones(len(NAMES))], axis=1))
    score = joint_score(items(hits(0)), 200, 3)
    assert score.value == pytest.approx(hits(0).mean())
    expected = np.quantile(drawn[:, 0] / drawn[:, 1], [resampling.tail, 1 - resampling.tail])
    assert score.interval == pytest.approx(tuple(expected))


def test_pairing_cancels_what_is_hard_for_both() -> None:
    """Voices differ by far more than the runs do: only the paired interval can tell."""
    difficulty = np.array([0.9 if index % GROUPS < GROUPS // 2 else 0.1 for index in range(len(NAMES))])
    theirs = (np.arange(len(NAMES)) // GROUPS / EACH < difficulty).astype(float)
    ours = theirs.copy()
    ours[:GROUPS] = 1.0  # one item of every voice
    difference = paired_difference(items(ours), items(theirs), 300, 0)
    assert difference.value == pytest.approx((ours - theirs).mean())
    assert difference.interval[0] >= 0
    low, high = joint_score(items(ours), 300, 0).interval
    assert high - low > 3 * (difference.interval[1] - difference.interval[0])


def test_the_value_is_the_mean_over_seeds_and_the_order_of_rows_does_not_matter() -> None:
    tables = {f"seed-{seed}": table(hits(seed)) for seed in range(3)}
    found = probe_items(tables, "wavemae")["language"]
    assert found.by_seed.tolist() == pytest.approx([hits(seed).mean() for seed in range(3)])
    mixed = {where: each.sample(frac=1, random_state=1) for where, each in tables.items()}
    assert np.array_equal(probe_items(mixed, "wavemae")["language"].gains, found.gains)
    assert joint_score(found, 100, 0).value == pytest.approx(found.by_seed.mean())


def test_seeds_that_differ_widen_the_interval_beyond_their_range() -> None:
    """Three seeds at -1, 0 and +1 about a mean that items do not blur: a t interval reaches 2.5."""
    gains = np.stack([np.full(len(NAMES), value) for value in (-1.0, 0.0, 1.0)])
    low, high = joint_score(items(gains), 4000, 0).interval
    assert -3.4 < low < -1.8
    assert 1.8 < high < 3.4
    equal = np.zeros((3, len(NAMES)))
    assert joint_score(items(equal), 200, 0).interval == (0.0, 0.0)


@pytest.mark.parametrize("seed_spread", [0.0, 0.3])
def test_intervals_hold_the_truth_as_often_as_they_say(seed_spread: float) -> None:
    held, repeats, draws = 0, 150, 200
    for repeat in range(repeats):
        generator = np.random.default_rng([repeat, int(10 * seed_spread)])
        voices = generator.normal(0, 0.3, GROUPS)
        seeds = generator.normal(0, seed_spread, (3, 1))
        gains = seeds + voices[np.arange(len(NAMES)) % GROUPS] + generator.normal(0, 1, (3, len(NAMES)))
        low, high = joint_score(items(gains), draws, repeat).interval
        held += low <= 0 <= high
    assert 0.88 < held / repeats <= 1.0


def test_items_that_differ_are_refused_by_name() -> None:
    other = [*NAMES[:-1], "other.wav"]
    with pytest.raises(DataError, match=r"a and b were not tested on the same items: 2 differ, such as '119\.wav'"):
        paired_difference(items(hits(0)), items(hits(1), "b", other), 100, 0)
    tables = {"one": table(hits(0)), "two": table(hits(1)).assign(group="v00")}
    with pytest.raises(DataError, match="one and two were not tested on the same items"):
        probe_items(tables, "wavemae")


def test_seeds_must_be_as_many_on_both_sides() -> None:
    with pytest.raises(DataError, match="a has 2 seeds and b 1"):
        paired_difference(items(np.stack([hits(0), hits(1)])), items(hits(2), "b"), 100, 0)


# ------------------------------------------------------------------------ reconstruction


def errors(share: float, scale: float = 1.0) -> pd.DataFrame:
    total = scale * np.random.default_rng(0).uniform(50, 150, len(NAMES))
    columns = {f"sse_total_{index}": total for index in range(len(DISTANCES))}
    columns |= {f"sse_model_{index}": share * total for index in range(len(DISTANCES))}
    return pd.DataFrame({"item": NAMES, "group": VOICES, **columns})


def test_r2_comes_from_sums() -> None:
    found = distance_items({"a": errors(0.4)})
    assert list(found) == list(DISTANCES)
    score = joint_score(found["2-3"], 100, 0)
    assert (score.value, *score.interval) == pytest.approx((0.6, 0.6, 0.6))
    difference = paired_difference(found["1"], distance_items({"b": errors(0.5)})["1"], 100, 0)
    assert difference.value == pytest.approx(0.1)


def test_other_hidden_frames_are_refused() -> None:
    ours, theirs = distance_items({"a": errors(0.4)}), distance_items({"b": errors(0.4, scale=0.5)})
    with pytest.raises(DataError, match="a and b hid different frames"):
        paired_difference(ours["1"], theirs["1"], 100, 0)


# ------------------------------------------------------------------------ rows


def test_rows_hold_what_both_were_asked_on_the_same_items() -> None:
    ours = [*probe_items({"a": pd.concat([table(hits(0)), table(hits(0), task="voice")])}, "wavemae").values()]
    ours += distance_items({"a": errors(0.4)}).values()
    theirs = [*probe_items({"b": table(hits(1, 0.4))}, "wavemae").values()]
    theirs += distance_items({"b": errors(0.5, scale=2)}).values()
    (row,) = difference_rows(ours, theirs, "base", 200, 0)
    assert {key: row[key] for key in ("task", "metric", "with", "n", "num_groups", "interval_over")} == {
        "task": "language",
        "metric": "accuracy",
        "with": "base",
        "n": 120,
        "num_groups": 12,
        "interval_over": "groups",
    }
    assert row["value"] == pytest.approx(hits(0).mean() - hits(1, 0.4).mean(), abs=1e-6)
    assert row["low"] < row["value"] < row["high"]
