"""Warping and Frechet distances against loops and against the libraries whose conventions they can take."""

import numpy as np
import pytest

from audiorig.models.eda.warping import dtw, frechet, heard_first

NUM_PAIRS, STEPS = 100, 30


def pairs(seed: int = 0, num: int = NUM_PAIRS, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walks at random, and how much of each is real; behind that there is NaN."""
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((2, num, steps)).cumsum(2)
    lengths = generator.integers(1, steps + 1, num)
    a[np.arange(steps) >= lengths[:, None]] = np.nan
    return a, b, lengths


def whole(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = np.random.default_rng(seed).standard_normal((2, NUM_PAIRS, STEPS)).cumsum(2)
    return a, b, np.full(NUM_PAIRS, STEPS)


def cheapest_walk(a: np.ndarray, b: np.ndarray, band: float, squared: bool = False) -> tuple[float, int]:
    """Cost and number of places; of equal costs the fewest places."""
    table = {(-1, -1): (0.0, 0)}
    for i, j in np.ndindex(len(a), len(b)):
        if abs(i - j) <= band:
            before = min(table.get(place, (np.inf, 0)) for place in ((i - 1, j - 1), (i - 1, j), (i, j - 1)))
            table[i, j] = (before[0] + (abs(a[i] - b[j]) ** 2 if squared else abs(a[i] - b[j])), before[1] + 1)
    return table[len(a) - 1, len(b) - 1]


def shortest_leash(a: np.ndarray, b: np.ndarray) -> float:
    table = {(-1, -1): 0.0}
    for i, j in np.ndindex(len(a), len(b)):
        before = min(table.get(place, np.inf) for place in ((i - 1, j - 1), (i - 1, j), (i, j - 1)))
        table[i, j] = max(before, abs(a[i] - b[j]))
    return table[len(a) - 1, len(b) - 1]


@pytest.mark.parametrize("band", [None, 0, 1, 7, 100])
@pytest.mark.parametrize("is_rounded", [False, True], ids=["real", "ties"])
def test_warping_is_that_of_a_loop(band: int | None, is_rounded: bool) -> None:
    """Curves of small whole numbers have many walks of equal cost."""
    a, b, lengths = pairs()
    a, b = (a.round(), b.round()) if is_rounded else (a, b)
    walks = [
        cheapest_walk(x[:length], y[:length], np.inf if band is None else band)
        for x, y, length in zip(a, b, lengths, strict=True)
    ]
    assert dtw(a, b, lengths, band, normalize=False).tolist() == [cost for cost, _ in walks]
    assert dtw(a, b, lengths, band).tolist() == [cost / places for cost, places in walks]
    if not is_rounded and band != 0:
        assert any(places > length for (_, places), length in zip(walks, lengths, strict=True))


def test_squared_costs_are_those_of_a_loop() -> None:
    a, b, lengths = pairs(1)
    walks = [cheapest_walk(x[:n], y[:n], 5, squared=True) for x, y, n in zip(a, b, lengths, strict=True)]
    expected = [np.sqrt(cost / places) for cost, places in walks]
    assert dtw(a, b, lengths, 5, "squared").tolist() == pytest.approx(expected, rel=1e-14)


def test_frechet_is_that_of_a_loop() -> None:
    a, b, lengths = pairs(2)
    expected = [shortest_leash(x[:n], y[:n]) for x, y, n in zip(a, b, lengths, strict=True)]
    assert frechet(a, b, lengths).tolist() == expected


@pytest.mark.parametrize("band", [None, 4])
def test_warping_is_that_of_dtaidistance(band: int | None) -> None:
    peer = pytest.importorskip("dtaidistance.dtw", reason="dtaidistance is not installed: run `make oracles`")
    a, b, lengths = whole()
    window = {} if band is None else {"window": band + 1}  # it counts the diagonal
    expected = [peer.distance(x, y, **window) for x, y in zip(a, b, strict=True)]
    assert dtw(a, b, lengths, band, "squared", normalize=False).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["dtw", "frechet"])
def test_both_are_those_of_similaritymeasures(name: str) -> None:
    peer = pytest.importorskip("similaritymeasures", reason="similaritymeasures is not installed: run `make oracles`")
    a, b, lengths = whole(1)
    if name == "dtw":
        expected = [peer.dtw(x[:, None], y[:, None])[0] for x, y in zip(a, b, strict=True)]
        found = dtw(a, b, lengths, normalize=False)
    else:
        expected = [peer.frechet_dist(x[:, None], y[:, None]) for x, y in zip(a, b, strict=True)]
        found = frechet(a, b, lengths)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_known_values() -> None:
    a, b = [[0.0, 0, 1, 0, 0]], [[0.0, 0, 0, 1, 0]]
    assert dtw(a, b, [5]) == 0
    assert dtw(a, b, [5], band=0) == 2 / 5
    assert frechet(a, b, [5]) == 0
    assert dtw([[1.0, 1, 1]], [[3.0, 3, 3]], [3]) == 2
    assert frechet([[0.0, 5, 0]], [[0.0, 1, 0]], [3]) == 4


def test_the_measure_has_the_properties_it_claims() -> None:
    a, b, lengths = whole(3)
    there = dtw(a, b, lengths, 6)
    assert np.array_equal(there, dtw(b, a, lengths, 6))
    assert np.allclose(there, dtw(a[:, ::-1], b[:, ::-1], lengths, 6), rtol=1e-12)
    assert (there <= np.abs(a - b).mean(1) + 1e-12).all()
    assert dtw(a, b, lengths, 0) == pytest.approx(np.abs(a - b).mean(1))
    wider = [dtw(a, b, lengths, band, normalize=False) for band in (0, 2, 8, STEPS)]
    assert (np.diff(wider, axis=0) <= 1e-12).all()
    leash = frechet(a, b, lengths)
    assert (leash <= np.abs(a - b).max(1)).all()
    assert (leash >= np.maximum(np.abs(a - b)[:, 0], np.abs(a - b)[:, -1])).all()


def test_pairs_without_a_distance() -> None:
    a, b = np.zeros((4, 3)), np.ones((4, 3))
    a[1, 1], b[2, 2] = np.nan, np.inf
    lengths = np.array([3, 3, 2, 0])
    for found in (dtw(a, b, lengths), frechet(a, b, lengths)):
        assert np.array_equal(found, [1, np.nan, 1, np.nan], equal_nan=True)
    assert lengths.tolist() == [3, 3, 2, 0]
    assert dtw(np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0, int)).shape == (0,)


def test_one_pair_is_worth_what_it_is_among_others() -> None:
    a, b, lengths = pairs(4)
    together = dtw(a, b, lengths, 3)
    assert [dtw(a[k : k + 1], b[k : k + 1], lengths[k : k + 1], 3)[0] for k in range(40)] == together[:40].tolist()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="band"):
        dtw([[1.0]], [[1.0]], [1], band=-1)
    with pytest.raises(ValueError, match="shapes"):
        frechet([[1.0]], [[1.0, 2.0]], [1])
    with pytest.raises(ValueError, match="lengths from 2 to 2"):
        dtw([[1.0]], [[1.0]], [2])


def test_heard_steps_come_first() -> None:
    values = np.array([[9.0, 1, 9, 2], [1, 2, 3, 4]])
    moved, lengths = heard_first(values, np.array([[False, True, False, True], [True] * 4]))
    assert lengths.tolist() == [2, 4]
    assert moved[0, :2].tolist() == [1, 2]
    assert moved[1].tolist() == [1, 2, 3, 4]
