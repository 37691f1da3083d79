"""Hidden-frame R2 of guesses whose score is known beforehand."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.evaluate.intervals import Resampling
from audiorig.evaluate.rebuild import RebuiltClip
from audiorig.evaluate.reconstruction import (
    DISTANCES,
    INTERPOLATION,
    VISIBLE_MEAN,
    distance_to_visible,
    interpolate,
    r2_rows,
    reconstruction_rows,
    squared_errors,
)
from audiorig.files import write_json
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig

ALL = np.ones(4, dtype=bool)


def mask(text: str) -> np.ndarray:
    """``#`` is hidden."""
    return np.array([character == "#" for character in text])


# ------------------------------------------------------------------------ distances and lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("....", [0, 0, 0, 0]),
        (".#.", [0, 1, 0]),
        (".#####.", [0, 1, 2, 3, 2, 1, 0]),
        ("###..", [3, 2, 1, 0, 0]),
        ("..####", [0, 0, 1, 2, 3, 4]),
        ("##.####.#", [2, 1, 0, 1, 2, 2, 1, 0, 1]),
    ],
)
def test_distance_to_the_nearest_visible_frame(text: str, expected: list[int]) -> None:
    assert distance_to_visible(mask(text)).tolist() == expected


def test_every_distance_has_exactly_one_name() -> None:
    for distance in range(1, 200):
        assert sum(low <= distance <= high for low, high in DISTANCES.values()) == 1


def test_a_line_is_interpolated_exactly_and_ends_are_flat() -> None:
    ramp = np.stack([np.arange(12), -2.0 * np.arange(12)], axis=1).astype(np.float32)
    is_hidden = mask("##.###.#.###")
    drawn = interpolate(ramp, is_hidden)
    assert drawn[2:9] == pytest.approx(ramp[2:9], abs=1e-5)
    assert np.array_equal(drawn[~is_hidden], ramp[~is_hidden])
    assert np.array_equal(drawn[:2], ramp[[2, 2]])
    assert np.array_equal(drawn[9:], ramp[[8, 8, 8]])


def test_interpolation_does_not_look_at_what_is_hidden() -> None:
    is_hidden = mask(".###..#.")
    original = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    changed = np.where(is_hidden[:, None], 99, original).astype(np.float32)
    assert np.array_equal(interpolate(original, is_hidden), interpolate(changed, is_hidden))


# ------------------------------------------------------------------------ scores


def clip(seed: int, predict: str) -> RebuiltClip:
    """80 frames whose spans reach every distance."""
    generator = np.random.default_rng(seed)
    original = generator.standard_normal((80, 4)).astype(np.float32)
    is_hidden = np.zeros(80, dtype=bool)
    for first, length in ((4, 1), (10, 4), (20, 9), (40, 30)):
        is_hidden[first : first + length] = True
    guess = {"truth": original, "zero": 0 * original, "half": original / 2}[predict]
    return RebuiltClip(f"clip-{seed}", original, np.where(is_hidden[:, None], guess, original), is_hidden)


def rows_of(clips: list[RebuiltClip], groups: list[str], is_scored: np.ndarray = ALL, bootstrap: int = 100) -> list:
    return r2_rows(clips, is_scored, "model-x", Resampling(groups, bootstrap, 0, "reconstruction"))


def values(clips: list[RebuiltClip], is_scored: np.ndarray = ALL) -> dict[str, list[float]]:
    rows = rows_of(clips, [each.name for each in clips], is_scored)
    found: dict[str, list[float]] = {}
    for row in rows:
        assert row["low"] <= row["value"] + 1e-9
        assert row["value"] <= row["high"] + 1e-9
        found.setdefault(row["system"], []).append(row["value"])
    return found


@pytest.mark.parametrize(("predict", "r2"), [("truth", 1), ("zero", 0), ("half", 0.75)])
def test_known_guesses_have_known_scores(predict: str, r2: float) -> None:
    found = values([clip(seed, predict) for seed in range(8)])
    assert found["model-x"] == pytest.approx([r2] * 5, abs=1e-6)
    assert all(value < 0.1 for value in found[INTERPOLATION] + found[VISIBLE_MEAN])  # of noise, nothing can be known
    for anchor in (INTERPOLATION, VISIBLE_MEAN):
        differences = np.subtract(found["model-x"], found[anchor])
        assert found[f"model-x minus {anchor}"] == pytest.approx(differences, abs=2e-6)


def test_the_anchors_know_lines_and_levels() -> None:
    flat, lines = [], []
    for seed in range(6):
        made = clip(seed, "zero")
        flat.append(
            RebuiltClip(made.name, np.full((80, 4), seed + 1, dtype=np.float32), made.predicted, made.is_hidden)
        )
        line = np.repeat(np.arange(80, dtype=np.float32)[:, None] * (seed + 1), 4, axis=1)
        lines.append(RebuiltClip(made.name, line, made.predicted, made.is_hidden))
    assert values(flat)[VISIBLE_MEAN] == pytest.approx([1] * 5)
    assert values(flat)[INTERPOLATION] == pytest.approx([1] * 5)
    assert values(lines)[INTERPOLATION] == pytest.approx([1] * 5, abs=1e-6)
    assert max(values(lines)[VISIBLE_MEAN]) < 0.95


def test_bins_that_are_not_scored_do_not_count() -> None:
    clips = [clip(seed, "truth") for seed in range(6)]
    for each in clips:
        each.predicted[each.is_hidden, 3] = 1e3
    assert values(clips, np.array([True, True, True, False]))["model-x"] == pytest.approx([1] * 5)
    assert max(values(clips)["model-x"]) < -1000


def test_errors_are_summed_by_distance_over_hidden_frames_alone() -> None:
    is_hidden = mask(".###.")
    original = np.array([[7.0], [1.0], [2.0], [3.0], [9.0]], dtype=np.float32)
    predicted = np.array([[-99.0], [0.0], [0.0], [3.0], [-99.0]], dtype=np.float32)
    sums = squared_errors(RebuiltClip("x", original, predicted, is_hidden), np.ones(1, dtype=bool))
    assert sums["model"].tolist() == [1, 4, 0, 0, 0]
    assert sums["total"].tolist() == [1 + 9, 4, 0, 0, 0]
    assert sums[VISIBLE_MEAN].tolist() == [49 + 25, 36, 0, 0, 0]
    assert sums[INTERPOLATION] == pytest.approx([(7.5 - 1) ** 2 + (8.5 - 3) ** 2, 36, 0, 0, 0])


def test_distances_that_do_not_occur_have_no_row() -> None:
    short = [
        RebuiltClip(str(seed), np.ones((6, 4), np.float32), np.ones((6, 4), np.float32), mask(".#..#."))
        for seed in range(6)
    ]
    rows = rows_of(short, list("abcdef"))
    assert {row["metric"] for row in rows} == {"r2 at 1 frames"}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_a_distance_of_few_groups_still_has_a_finite_interval(tmp_path: Path) -> None:
    """One long clip among short ones: a third of the draws have no frame so far from a visible one."""
    clips = [clip(0, "half")]
    for seed in range(1, 6):
        whole = clip(seed, "half")
        clips.append(RebuiltClip(whole.name, whole.original[:18], whole.predicted[:18], whole.is_hidden[:18]))
    rows = rows_of(clips, [each.name for each in clips], bootstrap=200)
    write_json(tmp_path / "metrics.json", rows)  # refuses NaN
    assert all(np.isfinite([row["low"], row["high"]]).all() for row in rows)


def test_rows_have_the_keys_of_the_design() -> None:
    rows = rows_of([clip(seed, "half") for seed in range(6)], list("aabbcc"))
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
    assert all(set(row) == keys for row in rows)
    assert {(row["n"], row["num_groups"], row["interval_over"]) for row in rows} == {(6, 3, "clips")}
    assert len({(row["system"], row["metric"]) for row in rows}) == len(rows) == 5 * 5


def test_distances_in_db_are_told_of_hidden_frames_and_of_the_model_s_visible_ones() -> None:
    """A guess that is one deviation too loud everywhere is 20 / ln 10 times the deviation off, in dB."""
    model = PatchEncoder(WaveMAEConfig(model={"width": 8, "depth": 1, "kernel": 3, "wide_kernel": 3}))
    model.bin_std.fill_(0.5)
    generator = np.random.default_rng(0)
    clips = []
    for number in range(4):
        original = generator.standard_normal((12, len(model.bin_std))).astype(np.float32)
        is_hidden = mask("...####.....")
        predicted = np.where(is_hidden[:, None], original + 1, original)
        clips.append(RebuiltClip(f"clip-{number}", original, predicted, is_hidden, guess=original + 2))
    rows = reconstruction_rows(clips, list("abcd"), model, "model-x", 100, 0)
    found = {(row["system"], row["metric"]): row["value"] for row in rows}
    decibels = 0.5 * 20 / np.log(10)
    assert found["model-x", "lsd_db hidden"] == pytest.approx(decibels, rel=1e-4)
    assert found["model-x", "lsd_db visible"] == pytest.approx(2 * decibels, rel=1e-4)
    assert found[f"model-x minus {INTERPOLATION}", "lsd_db hidden"] == pytest.approx(
        decibels - found[INTERPOLATION, "lsd_db hidden"], abs=1e-5
    )
    assert {metric for system, metric in found if system == VISIBLE_MEAN and "_db" in metric} == {
        "lsd_db hidden",
        "mel_db hidden",
    }
