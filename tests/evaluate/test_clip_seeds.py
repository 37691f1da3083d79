"""Seeds joined: by hand, with planted differences, and as often right as the interval promises."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import Side, answer_rows, answer_table
from audiorig.evaluate.clip_metrics import mean_errors
from audiorig.evaluate.clip_seeds import join_seeds, shared_targets
from audiorig.evaluate.shared_draws import SharedDraws, TestSet, joined
from audiorig.models.answers import Answer

REASON = Target("reason", "class", "reason", ("hungry", "tired", "pain"))
EFFORT = Target("effort", "rating", "effort", steps=(1.0, 2.0, 3.0), threshold=2.0)


def predictions(
    true: np.ndarray, predicted: np.ndarray, groups: list[str] | None = None, prefix: str = "", target: Target = REASON
) -> pd.DataFrame:
    """A table of one target, with the commonest answer as a control, and rows of dev that nobody may count."""
    names = [f"{prefix}{index:03d}.wav" for index in range(len(true))]
    side = Side("test", names, groups or names, true[:, None].astype(float))
    dev = Side("dev", names, groups or names, 2 - true[:, None].astype(float))
    answers = {"infantcry": answer(predicted, target), "majority": answer(np.zeros(len(true)), target)}
    parts = [answer_rows(system, each, target, 0, found) for system, found in answers.items() for each in (dev, side)]
    return answer_table(parts, [target])


def answer(predicted: np.ndarray, target: Target) -> Answer:
    if target.kind == "rating":
        return Answer(predicted.astype(float), (predicted[:, None] > np.arange(target.num_answers - 1)).astype(float))
    return Answer(predicted.astype(float), np.eye(target.num_answers)[predicted.astype(int)])


def of(rows: list[dict[str, Any]], system: str, metric: str) -> dict[str, Any]:
    (found,) = [row for row in rows if row["system"] == system and row["metric"] == metric]
    return found


GROUPS = [f"g{index // 4:02d}" for index in range(48)]
TRUE = np.random.default_rng(0).integers(0, 3, 48)


def wrong(share: float, seed: int, true: np.ndarray = TRUE) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.where(generator.random(len(true)) < share, (true + 1) % 3, true)


def test_means_and_confusions_over_seeds_by_hand() -> None:
    true = np.array([0, 0, 1, 1, 2, 2])
    one, two = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 0])
    tables = {0: predictions(true, one), 1: predictions(true, two)}
    rows = join_seeds(tables, 100)
    assert of(rows, "infantcry", "accuracy")["value"] == pytest.approx((1 + 0.5) / 2)
    assert of(rows, "infantcry", "balanced_accuracy")["value"] == pytest.approx((1 + 0.5) / 2)
    assert of(rows, "infantcry", "recall/pain")["value"] == 0.5
    assert of(rows, "infantcry minus majority", "accuracy")["value"] == pytest.approx(0.75 - 1 / 3, abs=1e-6)
    row = of(rows, "infantcry", "recall/pain")
    assert (row["n"], row["num_groups"], row["seeds"], row["interval_over"]) == (2, 2, [0, 1], "clips")
    assert row["low"] <= row["value"] <= row["high"] <= 1


def test_one_seed_has_the_interval_of_a_single_run() -> None:
    (row,) = [row for row in join_seeds({3: predictions(TRUE, wrong(0.4, 0), GROUPS)}, 400) if
              (row["system"], row["metric"]) == ("infantcry", "accuracy")]  # fmt: skip
    hits = (wrong(0.4, 0) == TRUE).reshape(12, 4).mean(1)
    half = 2.2 * hits.std(ddof=1) / np.sqrt(12)  # t of 11 degrees
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.2)


def test_ratings_are_joined_too() -> None:
    tables = {seed: predictions(TRUE, wrong(0.2, seed), GROUPS, target=EFFORT) for seed in range(2)}
    rows = join_seeds(tables, 100)
    assert 0.5 < of(rows, "infantcry", "kappa")["value"] < 1
    assert of(rows, "infantcry", "mae")["value"] > 0


def test_targets_with_other_classes_are_refused() -> None:
    other = Target("reason", "class", "reason", ("tired", "hungry", "pain"))
    with pytest.raises(DataError, match=r"seed 1.*tired, hungry, pain.*name its classes"):
        shared_targets({"seed 0": predictions(TRUE, TRUE), "seed 1": predictions(TRUE, TRUE, target=other)})


def test_a_group_of_several_test_sets_is_drawn_as_often_for_each() -> None:
    names = [f"g{index}" for index in range(8)]
    sets = {
        "a": TestSet(tuple("abcdefgh"), tuple(names)),
        "b": TestSet(tuple("hgfedcba"), tuple(reversed(names))),
        "c": TestSet(tuple("uvwxyz"), ("g0", "g1", *"uvwx")),
    }
    draws = SharedDraws(sets, 50, 0)
    assert np.array_equal(draws.weights("a"), draws.weights("b")[:, ::-1])
    assert np.array_equal(draws.weights("a")[:, :2], draws.weights("c")[:, :2])
    assert draws.num_units("a") == draws.num_units("a", "b") == 8
    assert draws.num_units("a", "c") == 12
    assert draws.interval_over("a", "c") == "groups"


def test_too_few_groups_are_drawn_clip_by_clip() -> None:
    draws = SharedDraws({0: TestSet(tuple("abcdef"), ("x", "x", "x", "y", "y", "y"))}, 50, 0)
    assert draws.interval_over(0) == "clips"
    assert draws.num_units(0) == 6
    assert len({tuple(row[:3]) for row in draws.weights(0)}) > 1


def covers(kind: str, seed_effect: float, key: int) -> bool:
    """Whether the interval of 5 seeds holds the truth, .6: groups of 8 clips with an effect in common."""
    generator = np.random.default_rng(key)
    effects, hits, sets = 0.15 * generator.standard_normal(60), {}, {}
    for seed in range(5):
        groups = np.arange(10) + (10 * seed if kind == "disjoint" else 0)
        rate = np.clip(0.6 + effects[groups] + seed_effect * generator.standard_normal(), 0, 1)
        hits[seed] = (generator.random((10, 8)) < rate[:, None]).ravel().astype(float)
        named = [f"g{group}" for group in groups for _ in range(8)]
        sets[seed] = TestSet(tuple(f"{group}-{index}" for index, group in enumerate(named)), tuple(named))
    draws = SharedDraws(sets, 150, key)
    drawn = np.stack([mean_errors(hits[seed], draws.weights(seed)) for seed in sets], axis=1)
    low, high = joined(np.array([hits[seed].mean() for seed in sets]), drawn, draws.num_units(*sets)).interval
    return low <= 0.6 <= high


@pytest.mark.parametrize("kind", ["equal", "disjoint"])
@pytest.mark.parametrize("seed_effect", [0.0, 0.1])
def test_intervals_over_groups_and_seeds_cover_as_promised(kind: str, seed_effect: float) -> None:
    covered = np.mean([covers(kind, seed_effect, key) for key in range(150)])
    assert 0.89 <= covered <= 0.995


def test_where_groups_change_nothing_the_seeds_still_do() -> None:
    """Seeds that score .5, .6 and .7 on every group alike: t of 2 degrees of freedom."""
    score = joined(np.array([0.5, 0.6, 0.7]), np.tile([0.5, 0.6, 0.7], (1000, 1)), 10)
    assert score.value == pytest.approx(0.6)
    low, high = score.interval
    assert high - low == pytest.approx(2 * 4.30 * 0.1 / np.sqrt(3), rel=0.02)


def test_equal_seeds_without_a_difference_have_no_width() -> None:
    assert joined(np.ones(3), np.ones((100, 3)), 10).interval == (1, 1)
