"""The rows of ``metrics.json``, asked by task, system and metric; and how numbers are written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audiorig.evaluate.baselines import LOG_MEL, LOG_MEL_DELTAS, LOG_MEL_LEVELLED, MFCC
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.evaluate.systems import MAJORITY, RANDOM, SHUFFLED

RECONSTRUCTION = "reconstruction"
CONTROLS = (RANDOM, LOG_MEL, LOG_MEL_LEVELLED, LOG_MEL_DELTAS, MFCC, SHUFFLED, MAJORITY)

Direction = Literal["above", "below", "uncertain"]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, and what it rests on."""

    value: float
    low: float
    high: float
    num_items: int
    num_groups: int
    interval_over: str
    layer: str | None = None
    dev_accuracy: float | None = None
    num_pretrained: int = 0

    @property
    def direction(self) -> Direction:
        """Of a difference: on which side of 0 the whole interval lies."""
        if self.low > 0:
            return "above"
        return "below" if self.high < 0 else "uncertain"


class Scores:
    """All scores of one run."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows: dict[tuple[str, str, str], Estimate] = {}
        for row in rows:
            self._rows[row["task"], row["system"], row["metric"]] = Estimate(
                row["value"],
                row["low"],
                row["high"],
                row["n"],
                row["num_groups"],
                row["interval_over"],
                row["layer"],
                row.get("dev_accuracy"),
                row.get("num_pretrained", 0),
            )

    @property
    def tasks(self) -> list[str]:
        """Probe tasks, in the order of the file."""
        return list(dict.fromkeys(task for task, _, _ in self._rows if task != RECONSTRUCTION))

    @property
    def estimates(self) -> dict[tuple[str, str, str], Estimate]:
        """Every score by task, system and metric."""
        return dict(self._rows)

    def get(self, task: str, system: str, metric: str = "accuracy") -> Estimate | None:
        return self._rows.get((task, system, metric))

    def difference(self, task: str, system: str, control: str, metric: str = "accuracy") -> Estimate | None:
        """The paired difference of a system and a control."""
        return self.get(task, f"{system} minus {control}", metric)

    def layers(self, task: str, system: str) -> dict[str, Estimate]:
        """Accuracy by layer of the encoder."""
        prefix = f"{system}, "
        return {
            name.removeprefix(prefix): estimate
            for (which, name, metric), estimate in self._rows.items()
            if which == task and metric == "accuracy" and name.startswith(prefix)
        }

    def by_distance(self, system: str) -> dict[str, Estimate]:
        """R2 of hidden frames, by their distance to the nearest visible one."""
        found = {distance: self.get(RECONSTRUCTION, system, f"r2 at {distance} frames") for distance in DISTANCES}
        return {distance: estimate for distance, estimate in found.items() if estimate is not None}


def share(value: float, digits: int = 3) -> str:
    """A number near 0 to 1 without its leading zero: .965, 1.000; below zero with a true minus."""
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) > 0 else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def points(value: float) -> str:
    """A difference of two shares, in percentage points with its sign: +31.9."""
    text = f"{abs(100 * value):.1f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+") + text


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """.965 [.921, .990], or a dash."""
    if estimate is None:
        return "–"
    return f"{share(estimate.value, digits)} [{share(estimate.low, digits)}, {share(estimate.high, digits)}]"


def points_with_interval(estimate: Estimate | None) -> str:
    """+31.9 [+27.0, +36.1], or a dash."""
    if estimate is None:
        return "–"
    return f"{points(estimate.value)} [{points(estimate.low)}, {points(estimate.high)}]"


def duration(seconds: float) -> str:
    """2.0 s, 4 min 12 s, 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
