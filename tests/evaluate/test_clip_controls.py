"""Controls learn what is there to learn from train alone, and answer in the form of the tuned model."""

import numpy as np
import pytest
import torch

from audiorig.data.target import Target
from audiorig.evaluate.answers_table import Side
from audiorig.evaluate.baselines import LogMel
from audiorig.evaluate.clip_controls import commonest, regression
from audiorig.evaluate.clip_metrics import spearman

REASON = Target("reason", "class", "reason", ("hungry", "tired", "pain"))
LOUD = Target("loud", "binary", "loud", positive=("1",), negative=("0",))
EFFORT = Target("effort", "rating", "effort", steps=(1.0, 2.0, 3.0, 4.0), threshold=3.0)
SIZES = {"train": 90, "dev": 40, "test": 50}


def sides_of(values: dict[str, np.ndarray]) -> dict[str, Side]:
    return {
        side: Side(
            side, [f"{side}-{each}" for each in range(len(true))], ["g"] * len(true), true[:, None].astype(float)
        )
        for side, true in values.items()
    }


def planted(num_values: int, noise: float = 0.3, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values of each side, and features of 20 columns of which one tells them."""
    generator = np.random.default_rng(seed)
    values = {side: generator.integers(0, num_values, size) for side, size in SIZES.items()}
    features = {side: generator.standard_normal((len(true), 20)) for side, true in values.items()}
    for side, true in values.items():
        features[side][:, 3] = true + noise * generator.standard_normal(len(true))
    return values, features


def test_the_commonest_answer_by_hand() -> None:
    values = np.array([0, 0, 0, 1, np.nan, 2])
    sizes = {"dev": 2, "test": 3}
    control = commonest(REASON, values, sizes)
    assert control.num_learnt == 5
    assert control.answers["test"].predicted.tolist() == [0, 0, 0]
    assert control.answers["dev"].probabilities.tolist() == [[0.6, 0.2, 0.2]] * 2
    binary = commonest(LOUD, np.array([1, 1, 0, np.nan]), sizes).answers["test"]
    assert binary.predicted.tolist() == [1, 1, 1]
    assert binary.probabilities[0, 0] == pytest.approx(2 / 3)
    rating = commonest(EFFORT, np.array([0, 3, 3, 1.0]), sizes).answers["test"]
    assert rating.predicted[0] == pytest.approx(1.75)  # the mean step
    assert rating.probabilities[0].tolist() == [0.75, 0.5, 0.5]


def test_classes_are_learnt_from_features_that_tell_them() -> None:
    values, features = planted(3, 0.1)
    control = regression(REASON, 0, features, sides_of(values))
    assert control.num_learnt == 90
    assert (control.answers["test"].predicted == values["test"]).mean() > 0.9
    assert control.answers["dev"].probabilities.shape == (40, 3)
    assert control.answers["test"].probabilities.sum(1) == pytest.approx(1)


def test_noise_teaches_nothing() -> None:
    values, features = planted(2, 0.1)
    features = {side: each[:, 5:] for side, each in features.items()}
    predicted = regression(LOUD, 0, features, sides_of(values)).answers["test"].predicted
    assert 0.3 < (predicted == values["test"]).mean() < 0.7


def test_features_are_there_or_not_by_a_threshold_of_dev() -> None:
    values, features = planted(2, 0.2)
    answer = regression(LOUD, 0, features, sides_of(values)).answers["test"]
    assert (answer.predicted == values["test"]).mean() > 0.9
    assert answer.probabilities.shape == (50, 1)


def test_ratings_come_in_order_and_their_probabilities_fall() -> None:
    values, features = planted(4)
    answer = regression(EFFORT, 0, features, sides_of(values)).answers["test"]
    assert spearman(values["test"].astype(float), answer.predicted, np.ones((1, 50)))[0] > 0.85
    assert (np.diff(answer.probabilities, axis=1) <= 0).all()
    assert ((answer.probabilities[:, 1] >= 0.5) == (answer.predicted >= 1.5)).all()
    assert answer.predicted.min() >= 0
    assert answer.predicted.max() <= 3


def test_test_labels_change_nothing_and_missing_ones_are_left_out() -> None:
    values, features = planted(3)
    sides = sides_of(values)
    before = regression(REASON, 0, features, sides)
    sides["test"].values[:] = np.nan
    after = regression(REASON, 0, features, sides)
    assert np.array_equal(before.answers["test"].probabilities, after.answers["test"].probabilities)
    sides["train"].values[:30] = np.nan
    features["train"][:30] = 1e6  # whoever looked at these would go astray
    fewer = regression(REASON, 0, features, sides)
    assert fewer.num_learnt == 60
    assert (fewer.answers["test"].predicted == values["test"]).mean() > 0.7


def test_a_class_that_train_lacks_is_never_answered_and_one_class_alone_always() -> None:
    values, features = planted(3)
    values["train"][values["train"] == 2] = 1
    answer = regression(REASON, 0, features, sides_of(values)).answers["test"]
    assert (answer.probabilities[:, 2] == 0).all()
    values["train"][:] = 1
    assert (regression(REASON, 0, features, sides_of(values)).answers["test"].predicted == 1).all()


@pytest.mark.parametrize("target", [REASON, LOUD, EFFORT])
def test_a_dev_side_without_values_is_no_obstacle(target: Target) -> None:
    values, features = planted(2)
    sides = sides_of(values)
    sides["dev"].values[:] = np.nan
    assert len(regression(target, 0, features, sides).answers["test"].predicted) == 50


def test_rare_classes_weigh_as_much_where_the_run_weighs_them_so() -> None:
    generator = np.random.default_rng(0)
    values = {side: (generator.random(size) < 0.1).astype(int) for side, size in SIZES.items()}
    features = {side: true[:, None] + 1.2 * generator.standard_normal((len(true), 1)) for side, true in values.items()}
    two = {"classes": ("hungry", "pain"), "name": "reason", "kind": "class", "column": "reason"}
    found = [
        regression(Target(**two, weights=weights), 0, features, sides_of(values)).answers["test"].predicted.sum()
        for weights in ((), (0.55, 5.0))
    ]
    assert found[1] > found[0]


def test_log_mel_of_a_click_is_as_good_as_of_a_clip() -> None:
    log_mel = LogMel(16000)
    assert torch.isfinite(log_mel.statistics(torch.ones(3))).all()
    assert log_mel.statistics(torch.randn(16000, generator=torch.Generator().manual_seed(0))).shape == (160,)
