"""Distances of warped traces: ours against tslearn, dtaidistance and similaritymeasures.

32 pairs of 1000 steps (walks at random), float64, one thread each. That all of one convention give the same values
is checked first, which is also when they compile. Contenders run interleaved in one process, and the best round of
each counts, in seconds of the processor for a pair. similaritymeasures takes half a second for a pair: it gets two of
them in a round, and is checked on shorter ones. Peers come from `make oracles`.

    PYTHONPATH=src python benchmarks/warping.py --rounds 5
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiorig.models.eda.warping import dtw, frechet

ORACLES = Path(__file__).resolve().parents[1] / ".oracles"
FEW, SHORT = 2, 60  # pairs in a round for the slow, and steps on which they are checked

Measure = Callable[[np.ndarray, np.ndarray], float]  # of one pair
Curves = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Contender:
    """Distances (P,) of pairs, of how many pairs in a round, and whether it is checked on short ones."""

    run: Callable[[np.ndarray, np.ndarray], np.ndarray]
    num_pairs: int
    is_slow: bool = False


def ours(cost: str, normalize: bool, band: int | None = None) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda a, b: dtw(a, b, np.full(len(a), a.shape[1]), band, cost, normalize)


def each(measure: Measure) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda a, b: np.array([measure(x, y) for x, y in zip(a, b, strict=True)])


def contenders(num_pairs: int) -> dict[str, Contender]:
    """By name; what is compared has the same first word."""
    sys.path.append(str(ORACLES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import similaritymeasures
        from dtaidistance import dtw as dtaidistance
        from tslearn.metrics import dtw as tslearn

    return {
        "squared: ours": Contender(ours("squared", False), num_pairs),
        "squared: tslearn": Contender(each(tslearn), num_pairs),
        "squared: dtaidistance, C": Contender(each(dtaidistance.distance_fast), num_pairs),
        "absolute: ours": Contender(ours("abs", False), num_pairs),
        "absolute: similaritymeasures": Contender(
            each(lambda x, y: similaritymeasures.dtw(x[:, None], y[:, None])[0]), FEW, is_slow=True
        ),
        "frechet: ours": Contender(lambda a, b: frechet(a, b, np.full(len(a), a.shape[1])), num_pairs),
        "frechet: similaritymeasures": Contender(
            each(lambda x, y: similaritymeasures.frechet_dist(x[:, None], y[:, None])), FEW, is_slow=True
        ),
        "over places: ours": Contender(ours("abs", True), num_pairs),
        "over places, band of 12: ours": Contender(ours("abs", True, 12), num_pairs),
    }


def check(found: dict[str, Contender], curves: Curves) -> None:
    """That all of one convention say the same."""
    for name, contender in found.items():
        mine = found[name.split(":")[0] + ": ours"]
        pairs = [each[: contender.num_pairs, : SHORT if contender.is_slow else None] for each in curves]
        if not np.allclose(contender.run(*pairs), mine.run(*pairs), rtol=1e-9):
            raise SystemExit(f"{name} gives other distances than ours: nothing to compare")


def best_of(found: dict[str, Contender], curves: Curves, rounds: int) -> dict[str, float]:
    """Seconds for a pair."""
    best = dict.fromkeys(found, float("inf"))
    for _ in range(rounds):
        for name, contender in found.items():
            pairs = [each[: contender.num_pairs] for each in curves]
            began = time.process_time()
            contender.run(*pairs)
            best[name] = min(best[name], (time.process_time() - began) / contender.num_pairs)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    if not ORACLES.is_dir():
        raise SystemExit("nothing to compare with: run `make oracles` first")
    a, b = np.random.default_rng(0).standard_normal((2, arguments.pairs, arguments.steps)).cumsum(2)
    found = contenders(arguments.pairs)
    check(found, (a, b))
    best = best_of(found, (a, b), arguments.rounds)
    for name, seconds in best.items():
        print(f"{name:32s} {1000 * seconds:9.3f} ms for a pair, of {found[name].num_pairs}")
    for ratio, theirs, mine in (
        ("dtw_over_tslearn", "squared: tslearn", "squared: ours"),
        ("dtw_over_dtaidistance", "squared: dtaidistance, C", "squared: ours"),
        ("dtw_over_similaritymeasures", "absolute: similaritymeasures", "absolute: ours"),
        ("frechet_over_similaritymeasures", "frechet: similaritymeasures", "frechet: ours"),
    ):
        print(f"RATIO {ratio} {best[theirs] / best[mine]:.1f}")


if __name__ == "__main__":
    main()
