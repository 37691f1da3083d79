"""The rows of ``metrics.json``, asked by task, system and metric."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audiorig.evaluate.baselines import LOG_MEL, LOG_MEL_DELTAS, LOG_MEL_LEVELLED, MFCC
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.evaluate.systems import BEFORE, MAJORITY, RANDOM, SHUFFLED

RECONSTRUCTION = "reconstruction"
PITCH = "pitch"
PRETEXT = "pretext"
R2_UNIT = "R²"
CONTROLS = (BEFORE, RANDOM, LOG_MEL, LOG_MEL_LEVELLED, LOG_MEL_DELTAS, MFCC, SHUFFLED, MAJORITY)
MAIN_CONTROLS = (LOG_MEL, RANDOM)  # those that every page sets beside an encoder

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


@dataclass(frozen=True)
class Metric:
    """How pages write a metric.

    Attributes:
        unit: of the value and of its differences; a share has none, and differs by points.
        is_error: less is better.
    """

    title: str
    unit: str = ""
    digits: int = 3
    is_error: bool = False


ON_FRAMES = {
    "lsd_db hidden": Metric("log-spectral distance, hidden", "dB", 2, is_error=True),
    "mel_db hidden": Metric("mel distance, hidden", "dB", 2, is_error=True),
    "lsd_db visible": Metric("log-spectral distance, visible", "dB", 2, is_error=True),
    "mel_db visible": Metric("mel distance, visible", "dB", 2, is_error=True),
}
ON_PITCH = {
    "rpa50": Metric("within 50 cents (RPA50)"),
    "rca": Metric("the same but for octaves (RCA)"),
    "vuv_error": Metric("voicing wrong (V/UV error)", is_error=True),
    "f0_rmse_cents": Metric("error (RMSE)", "cents", 0, is_error=True),
}
ON_PRETEXT = {
    "contrastive_accuracy": Metric("contrastive accuracy"),
    "contrastive_loss": Metric("contrastive loss", "nats", 3, is_error=True),
    "codebook_perplexity": Metric("codebook perplexity within a crop", "codes", 1),
}
ON_LABELS = {
    "accuracy": Metric("accuracy"),
    "macro_f1": Metric("macro-F1"),
    "balanced_accuracy": Metric("balanced accuracy"),
    "knn_accuracy": Metric("k-nn accuracy"),
}
ON_TRACES = {
    "pearson": Metric("r", "r"),
    "ccc": Metric("CCC", "CCC"),
    "mse": Metric("MSE", "MSE", is_error=True),
    "mae": Metric("MAE", "MAE", is_error=True),
    "skill": Metric("skill against the template", "skill"),
    "dtw": Metric("DTW", "DTW", is_error=True),
    "frechet": Metric("Fréchet", "Fréchet", is_error=True),
    "sd_ratio": Metric("SD ratio", "SD"),
    "scr_precision": Metric("SCR precision", "share"),
    "scr_recall": Metric("SCR recall", "share"),
}


def r2_at(distance: str) -> str:
    """Name of the metric: R2 of frames so far from the nearest visible one."""
    return f"r2 at {distance} frames"


def metric_of(name: str) -> Metric:
    """What is known of a metric; R2 is a number of its own, with neither unit nor points."""
    if name.startswith("r2 "):
        return Metric(f"R²{name.removeprefix('r2')}", R2_UNIT, 2)
    return {**ON_LABELS, **ON_FRAMES, **ON_PITCH, **ON_PRETEXT, **ON_TRACES}.get(name, Metric(name.replace("_", " ")))


class Scores:
    """All scores of one run."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = {(row["task"], row["system"], row["metric"]): _estimate(row) for row in rows}

    @property
    def tasks(self) -> list[str]:
        """Probe tasks, in the order of the file."""
        return list(dict.fromkeys(task for task, _, _ in self._rows if task not in (RECONSTRUCTION, PITCH, PRETEXT)))

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
        found = {distance: self.get(RECONSTRUCTION, system, r2_at(distance)) for distance in DISTANCES}
        return {distance: estimate for distance, estimate in found.items() if estimate is not None}


@dataclass(frozen=True)
class Beside:
    """This run minus another, item by item paired: estimates by task and metric."""

    name: str
    differences: dict[tuple[str, str], Estimate]


def beside_others(rows: Iterable[Mapping[str, Any]]) -> list[Beside]:
    """The rows of ``against.json``, by the run that they compare with."""
    found: dict[str, dict[tuple[str, str], Estimate]] = {}
    for row in rows:
        found.setdefault(row["with"], {})[row["task"], row["metric"]] = _estimate(row)
    return [Beside(name, differences) for name, differences in found.items()]


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return Estimate(
        row["value"],
        row["low"],
        row["high"],
        row["n"],
        row["num_groups"],
        row.get("interval_over", "groups"),
        row.get("layer"),
        row.get("dev_accuracy"),
        row.get("num_pretrained", 0),
    )
