"""Pitch scores of curves whose scores were worked out by hand."""

import numpy as np
import pytest

from audiorig.evaluate.intervals import Resampling
from audiorig.evaluate.pitch_scores import METRICS, carry_last, pitch_scores, pitch_sums


def hz(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def flags(text: str) -> np.ndarray:
    """``#`` is True."""
    return np.array([character == "#" for character in text])


def off_by(cents: float, base_hz: float = 200) -> float:
    return base_hz * 2 ** (cents / 1200)


def sums_of(*curves: np.ndarray) -> dict[str, list[float]]:
    return dict(zip(METRICS, pitch_sums(*curves).tolist(), strict=True))


def test_sums_worked_out_by_hand() -> None:
    true = hz(200, 200, 200, 200, 200, 200)
    predicted = hz(off_by(30), off_by(-40), off_by(1200 + 20), off_by(60), 500, off_by(10))
    # Frames:       fine         unvoiced      octave off            wrong      truly unvoiced, unscored
    sums = sums_of(true, flags("####.#"), predicted, flags("#.###."), flags("#####."))
    assert sums["rpa50"] == [2, 4]
    assert sums["rca"] == [3, 4]
    assert sums["vuv_error"] == [2, 5]
    assert sums["f0_rmse_cents"][1] == 3
    assert sums["f0_rmse_cents"][0] == pytest.approx(30**2 + 1220**2 + 60**2, rel=1e-3)


@pytest.mark.parametrize(("cents", "rpa", "rca"), [(49, 1, 1), (-49, 1, 1), (51, 0, 0), (-1180, 0, 1), (2451, 0, 0)])
def test_edges_of_the_tolerance(cents: float, rpa: int, rca: int) -> None:
    sums = sums_of(hz(200), flags("#"), hz(off_by(cents)), flags("#"), flags("#"))
    assert sums["rpa50"][0] == rpa
    assert sums["rca"][0] == rca


def test_what_is_not_scored_is_not_read() -> None:
    nonsense = hz(200, np.nan, 0)
    sums = pitch_sums(nonsense, flags("###"), nonsense, flags("###"), flags("#.."))
    assert sums.tolist() == [[1, 1], [1, 1], [0, 1], [0, 1]]


def test_scores_of_three_clips() -> None:
    """Frames weigh alike, not clips; the root is taken after summing."""
    sums = np.array([[[1, 1], [1, 1], [0, 2], [9, 1]], [[0, 3], [3, 3], [1, 6], [0, 0]], [[0, 0]] * 4], dtype=float)
    scores = pitch_scores(sums, Resampling(["a", "b", "c"], 200, "test"))
    assert {name: score.value for name, score in scores.items()} == {
        "rpa50": 0.25,
        "rca": 1.0,
        "vuv_error": 0.125,
        "f0_rmse_cents": 3.0,
    }
    low, high = scores["rpa50"].interval
    assert 0 <= low <= 0.25 <= high <= 1


def test_a_metric_without_frames_has_no_score() -> None:
    silent = pitch_sums(hz(100), flags("."), hz(100), flags("#"), flags("#"))
    assert list(pitch_scores(silent[None], Resampling(["a"], 20, "test"))) == ["vuv_error"]


def test_draws_without_voiced_frames_are_left_out_of_the_interval() -> None:
    voiced = pitch_sums(hz(200), flags("#"), hz(200), flags("#"), flags("#"))
    silent = pitch_sums(hz(200), flags("."), hz(200), flags("."), flags("#"))
    scores = pitch_scores(np.stack([voiced, silent]), Resampling(["a", "b"], 200, "test"))
    assert np.isnan(scores["rpa50"].replicates).any()
    assert scores["rpa50"].interval == (1.0, 1.0)


def test_the_anchor_repeats_what_was_known_last() -> None:
    curve = hz(1, 110, 120, 9, 9, 130, 140, 9, 9)
    carried, voicing = carry_last(curve, flags("###..#..."), flags(".##..##.."))
    assert carried.tolist() == [110, 110, 120, 120, 120, 130, 140, 130, 130]  # 140 is no voiced pitch
    assert voicing.tolist() == flags("######...").tolist()


def test_the_anchor_reads_nothing_unknown() -> None:
    is_known = flags("..##...#..")
    generator = np.random.default_rng(0)
    curve, voicing = generator.uniform(50, 500, 10).astype(np.float32), generator.random(10) < 0.5
    other = np.where(is_known, curve, 1).astype(np.float32), np.where(is_known, voicing, ~voicing)
    for mine, theirs in zip(carry_last(curve, voicing, is_known), carry_last(*other, is_known), strict=True):
        assert np.array_equal(mine, theirs, equal_nan=True)


def test_the_anchor_with_nothing_to_repeat() -> None:
    carried, voicing = carry_last(hz(100, 200), flags("##"), flags(".."))
    assert np.isnan(carried).all()
    assert not voicing.any()
    sums = sums_of(hz(100, 200), flags("##"), carried, voicing, flags("##"))
    assert sums == {"rpa50": [0, 2], "rca": [0, 2], "vuv_error": [2, 2], "f0_rmse_cents": [0, 0]}
