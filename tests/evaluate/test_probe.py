"""A planted signal is found, shuffled labels score at chance, and no test row reaches the fit."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from audiorig.evaluate.folds import Fold
from audiorig.evaluate.intervals import Resampling
from audiorig.evaluate.metrics import classification_scores
from audiorig.evaluate.probe import (
    fit_logistic,
    linear_probe,
    majority_probe,
    neighbour_probe,
    onto_training_span,
    standardise,
)

PENALTIES = (0.01, 0.1, 1.0)


def fold(num: int = 300) -> Fold:
    """A third each."""
    order = np.random.default_rng(9).permutation(num)
    return Fold(*(np.sort(part) for part in np.split(order, 3)))


def planted(num: int = 300, width: int = 20, num_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noise, with the class in two of its directions."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, num_classes, num)
    features = generator.standard_normal((num, width))
    features[:, :num_classes] += 4 * np.eye(num_classes)[labels]
    return features, labels


def accuracy(predicted: np.ndarray, labels: np.ndarray, test: np.ndarray) -> float:
    return float(predicted[test, labels[test]].mean())


# ------------------------------------------------------------------------ what it finds


def test_a_planted_signal_is_found() -> None:
    features, labels = planted()
    result = linear_probe(features, labels, [fold()], PENALTIES)
    assert accuracy(result.predicted, labels, fold().test) > 0.95
    assert result.dev_accuracy > 0.95
    assert accuracy(neighbour_probe(features, labels, [fold()], 10).predicted, labels, fold().test) > 0.8


def test_shuffled_labels_score_at_chance() -> None:
    features, labels = planted()
    shuffled = np.random.default_rng(1).permutation(labels)
    test = fold().test
    result = linear_probe(features, shuffled, [fold()], PENALTIES)
    resampling = Resampling([str(index) for index in test], 500, 0)
    low, high = classification_scores(result.predicted[test], shuffled[test], 3, resampling)["accuracy"].interval
    assert low <= 1 / 3 <= high
    assert high < 0.6


def test_majority_is_the_most_frequent_training_label() -> None:
    labels = np.array([2, 2, 1, 0, 1, 1, 1])
    result = majority_probe(labels, [Fold(np.array([0, 1, 2]), np.array([3]), np.array([4, 5, 6]))])
    assert result.predicted[4:].tolist() == [[0, 0, 1]] * 3
    assert result.num_tests.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_dev_chooses_the_penalty() -> None:
    """Few rows of a weak signal in much noise: strong penalties do better here, and dev sees it."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    features = generator.standard_normal((200, 60))
    features[:, 0] += labels
    three = Fold(np.arange(60), np.arange(60, 130), np.arange(130, 200))
    alone = {penalty: linear_probe(features, labels, [three], (penalty,)).dev_accuracy for penalty in (1e-4, 1e-2, 1e2)}
    assert len(set(alone.values())) > 1
    chosen = linear_probe(features, labels, [three], tuple(alone))
    assert chosen.dev_accuracy == max(alone.values())
    best = max(alone, key=lambda penalty: alone[penalty])
    assert np.array_equal(chosen.predicted, linear_probe(features, labels, [three], (best,)).predicted)


def test_several_folds_are_shares_of_predictions() -> None:
    features, labels = planted(90)
    one, two = (
        Fold(np.arange(30), np.arange(30, 40), np.arange(40, 90)),
        Fold(np.arange(60, 90), np.arange(50, 60), np.arange(50)),
    )
    result = linear_probe(features, labels, [one, two], PENALTIES)
    assert result.num_tests.tolist() == [1] * 40 + [2] * 10 + [1] * 40
    assert result.predicted.sum(1) == pytest.approx(np.ones(90))
    single = linear_probe(features, labels, [one], PENALTIES)
    assert single.predicted[:40].sum() == 0


def test_a_class_that_is_never_learnt_is_never_predicted() -> None:
    features, labels = planted(90)
    train = np.flatnonzero(labels[:50] != 2)
    result = linear_probe(features, labels, [Fold(train, np.arange(50, 60), np.arange(60, 90))], PENALTIES)
    assert result.predicted.shape == (90, 3)
    assert result.predicted[:, 2].sum() == 0
    assert result.predicted[60:].sum() == 30


# ------------------------------------------------------------------------ what it must not see


@pytest.mark.parametrize("width", [20, 120])  # 120 is wider than the training rows: the rotation is in use
def test_poisoned_test_rows_change_nothing_for_the_others(width: int) -> None:
    features, labels = planted(150, width)
    three = fold(150)
    poisoned = features.copy()
    poisoned[three.test[:20]] = 1e6 * np.random.default_rng(2).standard_normal((20, width))
    for probe in (linear_probe, neighbour_probe):
        setting = PENALTIES[:2] if probe is linear_probe else 5
        clean, dirty = (probe(each, labels, [three], setting) for each in (features, poisoned))  # type: ignore[operator]
        assert np.array_equal(clean.predicted[three.test[20:]], dirty.predicted[three.test[20:]])
        assert clean.dev_accuracy == dirty.dev_accuracy or probe is neighbour_probe


def test_labels_of_the_test_rows_change_nothing() -> None:
    features, labels = planted()
    three, wrong = fold(), labels.copy()
    wrong[three.test] = (wrong[three.test] + 1) % 3
    assert np.array_equal(
        linear_probe(features, labels, [three], PENALTIES).predicted,
        linear_probe(features, wrong, [three], PENALTIES).predicted,
    )


def test_standardise_learns_from_the_training_rows_alone() -> None:
    features, _ = planted()
    train = fold().train
    ready = standardise(features, train)
    assert ready[train].mean(0) == pytest.approx(np.zeros(20), abs=1e-12)
    assert ready[train].std(0) == pytest.approx(np.ones(20))
    poisoned = features.copy()
    poisoned[fold().test] = 1e9
    assert np.array_equal(standardise(poisoned, train)[train], ready[train])


def test_what_is_constant_in_training_becomes_zero() -> None:
    features = np.random.default_rng(0).standard_normal((30, 3))
    features[:20, 1] = 1000.1
    ready = standardise(features, np.arange(20))
    assert (ready[:, 1] == 0).all()
    assert np.isfinite(ready).all()


# ------------------------------------------------------------------------ the shortcut is exact


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_training_span_gives_the_predictions_of_all_features(penalty: float) -> None:
    features, labels = planted(150, width=400)
    three = fold(150)
    ready = standardise(features, three.train)
    turned = onto_training_span(ready, three.train)
    assert turned.shape == (150, 50)
    others = np.concatenate([three.dev, three.test])
    train, classes = three.train, labels[three.train]
    exact = LogisticRegression(C=penalty, tol=1e-10, max_iter=10_000)
    full = exact.fit(ready[train], classes).decision_function(ready[others])
    assert exact.fit(turned[train], classes).decision_function(turned[others]) == pytest.approx(full, abs=1e-5)
    assert np.array_equal(fit_logistic(turned[train], classes, penalty).predict(turned[others]), full.argmax(1))


def test_few_features_are_left_as_they_are() -> None:
    features, _ = planted(150, width=40)
    assert onto_training_span(features, np.arange(50)) is features


# ------------------------------------------------------------------------ neighbours


def test_neighbours_on_a_circle() -> None:
    """Angles whose nearest training rows can be read off; the mean of the training rows is the origin."""
    angles = np.deg2rad([0, 90, 180, 270, 10, 85, 200, 300])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    three = Fold(np.arange(4), np.array([4]), np.arange(5, 8))
    result = neighbour_probe(features, labels, [three], 1)
    assert result.predicted[5:].argmax(1).tolist() == [1, 2, 3]
    assert result.predicted[:5].sum() == 0
    many = neighbour_probe(features, labels, [three], 50)  # more than there are: a vote weighs its similarity
    assert np.array_equal(many.predicted, result.predicted)


def test_a_majority_of_neighbours_beats_the_nearest() -> None:
    angles = np.deg2rad([0, 20, 22, 180, 200, 202, 5])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0, 1, 1, 0, 0, 0, 1])
    three = Fold(np.arange(6), np.array([6]), np.array([6]))
    assert neighbour_probe(features, labels, [three], 1).predicted[6].argmax() == 0
    assert neighbour_probe(features, labels, [three], 3).predicted[6].argmax() == 1
