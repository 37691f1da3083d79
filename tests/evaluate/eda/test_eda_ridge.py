"""The ridge on what was heard finds planted systems, is solved exactly, and dev chooses its penalty."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Peer

from audiorig.config import TraceScoreConfig
from audiorig.evaluate.eda.ridge import Lagged, NormalSums, fit_ridge, lags_of, solve


def load(name: str, path: Path) -> ModuleType:
    """What several tests share; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


song_of = load("ridge_planted", Path(__file__).with_name("planted_listeners.py")).song_of
NAN = float("nan")
LAGS = (0, 1, 2, 4)


def heard(seed: int, steps: int = 80, listeners: int = 3, noise: float = 0.0, of: int = 1):
    """A song whose listeners follow one coefficient two steps later."""
    generator = np.random.default_rng(seed)
    coefficients = generator.standard_normal((steps, 3)) * [2.0, 1.0, 5.0] + [3.0, 0.0, -1.0]
    late = np.concatenate([np.zeros(2), coefficients[:-2, of]])
    song = song_of(late + noise * generator.standard_normal((listeners, steps)), f"s{seed}")
    return type(song)(**{**song.__dict__, "coefficients": coefficients})


def template(num_steps: int) -> np.ndarray:
    return np.sin(np.arange(num_steps) / 9)


def fitted(train, lags=LAGS):
    lagged = Lagged.fit(train, lags, template)
    return lagged, NormalSums.of_songs(train, lagged)


def test_lags_are_whole_steps_each_once() -> None:
    settings = TraceScoreConfig(lag_sec=2.0, lag_step_sec=0.5)
    assert lags_of(settings, 4) == (0, 2, 4, 6, 8)
    assert lags_of(settings, 1) == (0, 1, 2)
    assert lags_of(TraceScoreConfig(lag_sec=0), 4) == (0,)


def test_columns_are_scaled_coefficients_some_steps_ago_and_the_template() -> None:
    song = heard(0, steps=10)
    lagged = Lagged((0, 4, 20), np.array([3.0, 0, -1]), np.array([2.0, 1, 5]), template)
    columns = lagged.columns(song)
    assert columns.shape == (10, 3 * 3 + 1)
    assert columns[7, 1] == song.coefficients[7, 1]
    assert columns[7, 3] == pytest.approx((song.coefficients[3, 0] - 3) / 2)
    assert not columns[:4, 3:6].any() and not columns[:, 6:9].any()
    assert columns[:, -1] == pytest.approx(template(10))
    assert lagged.of_loudness().tolist() == [0, 3, 6, 9]


def test_normal_equations_equal_a_regression_on_all_traces_stacked() -> None:
    """Weighted means of a song's listeners stand for its traces, gaps among them."""
    train = [heard(seed, steps=40 + seed, noise=1.0) for seed in range(5)]
    train[2].is_heard[1, 10:20] = False
    lagged, sums = fitted(train)
    weights, intercepts = solve(sums, np.arange(13), (1.0, 100.0))
    columns = np.concatenate([np.tile(lagged.columns(song), (3, 1)) for song in train])
    targets = np.concatenate([song.traces.ravel() for song in train])
    is_heard = np.concatenate([song.is_heard.ravel() for song in train])
    columns, targets = columns[is_heard], targets[is_heard]
    sd = columns.std(0)
    for place, penalty in enumerate((1.0, 100.0)):
        peer = Peer(alpha=penalty).fit(columns / sd, targets)
        assert weights[:, place] == pytest.approx(peer.coef_ / sd, abs=1e-9)
        assert intercepts[place] == pytest.approx(peer.intercept_, abs=1e-9)


def test_a_planted_system_is_found_and_loudness_alone_is_not_enough() -> None:
    train, dev, test = ([heard(seed, noise=0.2) for seed in seeds] for seeds in (range(8), range(8, 10), range(10, 14)))
    lagged, sums = fitted(train)
    r = {}
    for name, chosen in {"all": np.arange(13), "loudness": lagged.of_loudness()}.items():
        ridge = fit_ridge(sums, chosen, (1.0, 100.0), dev, lagged)
        pairs = [(ridge.predict(lagged.columns(song)), song.traces.mean(0)) for song in test]
        r[name] = np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])
    assert r["all"] > 0.97
    assert abs(r["loudness"]) < 0.3


def test_of_a_system_of_loudness_both_find_it() -> None:
    train, dev = [heard(seed, of=0) for seed in range(6)], [heard(9, of=0)]
    lagged, sums = fitted(train)
    ridge = fit_ridge(sums, lagged.of_loudness(), (1e-6,), dev, lagged)
    assert np.corrcoef(ridge.predict(lagged.columns(dev[0]))[4:], dev[0].traces[0, 4:])[0, 1] > 0.99


def test_dev_chooses_the_penalty() -> None:
    """Of few noisy training songs a small penalty learns the noise; dev sees that."""
    train = [heard(seed, steps=20, listeners=1, noise=6.0) for seed in range(2)]
    dev = [heard(seed, noise=0.5) for seed in range(20, 26)]
    lagged, sums = fitted(train, tuple(range(12)))
    ridge = fit_ridge(sums, np.arange(37), (1e-3, 1.0, 30.0), dev, lagged)
    assert ridge.penalty == sorted((1e-3, 1.0, 30.0))[int(np.argmax(ridge.dev_pearson))] != 1e-3


def test_where_dev_cannot_tell_the_largest_penalty_is_taken() -> None:
    train = [heard(0)]
    lagged, sums = fitted(train)
    flat = song_of(np.ones((2, 30)))
    flat = type(flat)(**{**flat.__dict__, "coefficients": np.random.default_rng(0).standard_normal((30, 3))})
    for dev in ([], [flat]):
        ridge = fit_ridge(sums, np.arange(13), (10.0, 1.0), dev, lagged)
        assert (ridge.penalty, ridge.dev_pearson) == (10.0, (None, None))


def test_constant_columns_and_targets_are_no_trouble() -> None:
    song = song_of(np.full((2, 30), 4.0))
    lagged, sums = fitted([song])
    weights, intercepts = solve(sums, np.arange(13), (1.0,))
    assert lagged.columns(song) @ weights[:, 0] + intercepts[0] == pytest.approx(np.full(30, 4.0))
    nothing = song_of(np.full((1, 30), NAN))
    assert not solve(fitted([nothing])[1], np.arange(13), (1.0,))[0].any()
