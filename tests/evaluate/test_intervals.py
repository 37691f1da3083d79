"""Intervals hold the truth as often as they say, if groups are what is resampled."""

import numpy as np
import pytest

from audiorig.evaluate.intervals import MIN_GROUPS, Resampling, Score


def mean_score(values: np.ndarray, resampling: Resampling) -> Score:
    """A mean over items, as a ratio of sums."""
    total, drawn = resampling.totals(np.stack([values, np.ones(len(values))], axis=1))
    return Score(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1])


def covers(num_groups: int, over: str, key: int) -> bool:
    """Whether the interval of one simulated data set holds 0: groups of 8 items with an effect in common."""
    generator = np.random.default_rng(key)
    groups = np.repeat(np.arange(num_groups), 8)
    values = generator.standard_normal(num_groups)[groups] + 0.5 * generator.standard_normal(len(groups))
    units = groups if over == "groups" else np.arange(len(groups))
    low, high = mean_score(values, Resampling([str(unit) for unit in units], 200, "simulation", key)).interval
    return low <= 0 <= high


def test_groups_cover_as_promised_and_items_do_not() -> None:
    """The reason for this module: over clips of 25 voices, an interval would be far too small."""
    over_groups = np.mean([covers(25, "groups", key) for key in range(200)])
    over_items = np.mean([covers(25, "items", key) for key in range(200)])
    assert 0.89 <= over_groups <= 0.98
    assert over_items < 0.7


def test_interval_is_the_central_95_percent() -> None:
    low, high = Score(0.5, np.linspace(0, 1, 1001)).interval
    assert (low, high) == pytest.approx((0.025, 0.975))


def test_equal_systems_differ_by_exactly_nothing() -> None:
    groups = [str(index // 3) for index in range(30)]
    values = np.random.default_rng(0).random(30)
    one, two = (mean_score(values, Resampling(groups, 200, 0, "task")) for _ in range(2))
    difference = one.minus(two)
    assert difference.value == 0
    assert difference.interval == (0, 0)


def test_a_paired_difference_is_narrower_than_one_of_separate_draws() -> None:
    groups = [str(index // 3) for index in range(60)]
    values = np.random.default_rng(0).standard_normal(20)[np.arange(60) // 3]
    better = values + 0.1
    paired = mean_score(better, Resampling(groups, 500, 0)).minus(mean_score(values, Resampling(groups, 500, 0)))
    unpaired = mean_score(better, Resampling(groups, 500, 0)).minus(mean_score(values, Resampling(groups, 500, 1)))
    assert paired.interval == pytest.approx((0.1, 0.1))
    assert unpaired.interval[0] < 0 < unpaired.interval[1]


def test_equal_keys_give_equal_draws_and_others_do_not() -> None:
    groups, values = [str(index % 7) for index in range(21)], np.random.default_rng(0).random(21)
    drawn = [
        mean_score(values, Resampling(groups, 100, *key)).replicates for key in ((0, "a"), (0, "a"), (0, "b"), (1, "a"))
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[3])


def test_draws_depend_on_the_names_of_groups_not_on_the_order_of_items() -> None:
    groups, values = np.array([str(index % 7) for index in range(21)]), np.random.default_rng(0).random(21)
    order = np.random.default_rng(1).permutation(21)
    one = mean_score(values, Resampling(groups.tolist(), 100, 0))
    two = mean_score(values[order], Resampling(groups[order].tolist(), 100, 0))
    assert two.replicates == pytest.approx(one.replicates)


@pytest.mark.parametrize(("num_groups", "is_over_items"), [(1, True), (MIN_GROUPS - 1, True), (MIN_GROUPS, False)])
def test_fewer_than_five_groups_are_resampled_over_items(num_groups: int, is_over_items: bool) -> None:
    groups = [str(index % num_groups) for index in range(40)]
    resampling = Resampling(groups, 100, 0)
    assert resampling.num_groups == num_groups
    assert resampling.is_over_items is is_over_items
    _, drawn = resampling.totals(np.eye(40))
    assert (drawn.sum(1) == 40).all()  # 40 items, or groups of equal size
    if is_over_items:
        assert any(len(set(row[np.arange(40) % num_groups == 0])) > 1 for row in drawn)
    else:
        assert all(
            len(set(row[np.arange(40) % num_groups == group])) == 1 for row in drawn for group in range(num_groups)
        )


def test_totals_keep_the_shape_of_the_values() -> None:
    values = np.random.default_rng(0).random((12, 3, 2))
    total, drawn = Resampling([str(index) for index in range(12)], 50, 0).totals(values)
    assert total == pytest.approx(values.sum(0))
    assert drawn.shape == (50, 3, 2)
    assert drawn.mean(0) == pytest.approx(total, rel=0.15)


def test_mean_over_seeds_is_taken_draw_by_draw() -> None:
    mean = Score.mean([Score(1.0, np.array([0.0, 2.0])), Score(3.0, np.array([4.0, 2.0]))])
    assert mean.value == 2.0
    assert mean.replicates.tolist() == [2.0, 2.0]


def test_repetitions_that_are_a_sample_widen_the_interval_by_their_spread() -> None:
    """Ten shuffles that score 0 or 1 each: their mean is known to about .3, however still each one is."""
    shuffles = [Score(float(number % 2), np.full(2000, number % 2, dtype=float)) for number in range(10)]
    assert Score.mean(shuffles).interval == (0.5, 0.5)
    mean = Score.mean_of_draws(shuffles, np.random.default_rng(0))
    assert mean.value == 0.5
    assert mean.interval == pytest.approx((0.2, 0.8), abs=0.051)  # a binomial of ten


def test_draws_without_a_score_are_left_out_of_its_interval() -> None:
    assert Score(0.5, np.array([np.nan, *np.linspace(0, 1, 1001), np.nan])).interval == pytest.approx((0.025, 0.975))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 1, 2, 3, 4, 5, 5], True), ([0, 1, 1, 2, 3, 4, 5, 5], False), ([0, 0, 0, 2, 3, 4, 5, 5], False)],
)
def test_groups_that_are_the_labels_are_recognised(labels: list[int], expected: bool) -> None:
    resampling = Resampling(list("aabcdeff"), 10, 0)
    assert resampling.groups_are_labels(np.array(labels)) is expected
