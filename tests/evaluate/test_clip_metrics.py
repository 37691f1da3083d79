"""Weighted metrics equal those of scikit-learn and scipy on the repeated items, and tables made by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    mean_absolute_error,
    recall_score,
    roc_auc_score,
)

from audiorig.evaluate.clip_metrics import (
    accuracies,
    auc,
    confusions,
    f1_scores,
    macro_auc,
    mean_errors,
    mean_of_existing,
    quadratic_kappa,
    recalls,
    spearman,
)

ITEMS, CLASSES, DRAWS = 60, 4, 12


@pytest.fixture(params=range(3))
def sample(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """Items with ties, a rare class, and weights of which the first row is the sample itself."""
    generator = np.random.default_rng(request.param)
    true = generator.choice(CLASSES, ITEMS, p=[0.5, 0.3, 0.15, 0.05])
    true[:CLASSES] = np.arange(CLASSES)
    predicted = np.where(generator.random(ITEMS) < 0.5, true, generator.choice(CLASSES, ITEMS))
    scores = generator.integers(0, 9, (ITEMS, CLASSES)) / 8 + (true[:, None] == np.arange(CLASSES)) * 0.25
    weights = generator.multinomial(ITEMS, np.full(ITEMS, 1 / ITEMS), size=DRAWS).astype(float)
    weights[0] = 1
    return {"true": true, "predicted": predicted, "scores": scores, "weights": weights}


def repeated(sample: dict[str, np.ndarray], draw: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The items of a draw, one by one."""
    items = np.repeat(np.arange(ITEMS), sample["weights"][draw].astype(int))
    return sample["true"][items], sample["predicted"][items], sample["scores"][items]


def test_means_over_classes_equal_sklearn_in_every_draw(sample: dict[str, np.ndarray]) -> None:
    confusion = confusions(sample["true"], sample["predicted"], CLASSES, sample["weights"])
    found = accuracies(confusion), mean_of_existing(recalls(confusion)), mean_of_existing(f1_scores(confusion))
    for draw in range(DRAWS):
        true, predicted, _ = repeated(sample, draw)
        about = {"labels": np.unique(true), "average": "macro", "zero_division": 0}
        assert found[0][draw] == pytest.approx(accuracy_score(true, predicted), abs=1e-12)
        assert found[1][draw] == pytest.approx(recall_score(true, predicted, **about), abs=1e-12)
        assert found[2][draw] == pytest.approx(f1_score(true, predicted, **about), abs=1e-12)


def test_auc_with_ties_equals_sklearn_in_every_draw(sample: dict[str, np.ndarray]) -> None:
    is_positive = sample["true"] == 0
    found = auc(sample["scores"][:, 0], is_positive, sample["weights"])
    macro = macro_auc(sample["scores"], sample["true"], sample["weights"])
    for draw in range(DRAWS):
        true, _, scores = repeated(sample, draw)
        assert found[draw] == pytest.approx(roc_auc_score(true == 0, scores[:, 0]), abs=1e-12)
        each = [roc_auc_score(true == name, scores[:, name]) for name in np.unique(true)]
        assert macro[draw] == pytest.approx(np.mean(each), abs=1e-12)


def test_rank_correlation_kappa_and_error_equal_scipy_and_sklearn(sample: dict[str, np.ndarray]) -> None:
    true, predicted, weights = sample["true"], sample["predicted"], sample["weights"]
    rank = spearman(true.astype(float), sample["scores"][:, 1], weights)
    kappa = quadratic_kappa(confusions(true, predicted, CLASSES, weights))
    error = mean_errors(np.abs(true - predicted).astype(float), weights)
    for draw in range(DRAWS):
        each_true, each_predicted, scores = repeated(sample, draw)
        assert rank[draw] == pytest.approx(stats.spearmanr(each_true, scores[:, 1]).statistic, abs=1e-12)
        expected = cohen_kappa_score(each_true, each_predicted, weights="quadratic", labels=range(CLASSES))
        assert kappa[draw] == pytest.approx(expected, abs=1e-12)
        assert error[draw] == pytest.approx(mean_absolute_error(each_true, each_predicted), abs=1e-12)


def test_a_table_by_hand() -> None:
    """Truth 0 0 0 1 1 2; answers 0 0 1 1 2 2, of which the third and the fifth are wrong."""
    confusion = confusions(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), 4, np.ones((1, 6)))
    assert confusion[0].tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert accuracies(confusion)[0] == pytest.approx(4 / 6)
    assert recalls(confusion)[0] == pytest.approx([2 / 3, 1 / 2, 1, np.nan], nan_ok=True)
    assert f1_scores(confusion)[0] == pytest.approx([4 / 5, 1 / 2, 2 / 3, np.nan], nan_ok=True)
    # Squared distances: 2 of the answers are one step off; of luck's pairs 3*2*(0+1+4) + 2*2*(1+0+1) + 1*2*(4+1+0).
    assert quadratic_kappa(confusion)[0] == pytest.approx(1 - 2 / ((30 + 8 + 10) / 6))


def test_what_a_draw_does_not_have_is_missing_there_alone() -> None:
    true, weights = np.array([0, 0, 1, 1]), np.array([[1.0, 1, 1, 1], [2, 2, 0, 0], [0, 0, 1, 3]])
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(scores, true == 1, weights) == pytest.approx([0.75, np.nan, np.nan], nan_ok=True)
    assert spearman(true.astype(float), scores, weights)[1:] == pytest.approx([np.nan, np.nan], nan_ok=True)
    confusion = confusions(true, np.array([0, 0, 1, 0]), 2, weights)
    assert recalls(confusion) == pytest.approx(np.array([[1, 0.5], [1, np.nan], [np.nan, 0.25]]), nan_ok=True)
    assert quadratic_kappa(confusion)[1] != quadratic_kappa(confusion)[1]  # all one step, and said so: no kappa


def test_constant_answers_have_an_auc_of_a_half_and_no_rank_correlation() -> None:
    true, weights = np.array([0, 1, 1, 0, 1]), np.ones((1, 5))
    assert auc(np.full(5, 0.3), true == 1, weights)[0] == 0.5
    assert np.isnan(spearman(true.astype(float), np.full(5, 2.5), weights)[0])
