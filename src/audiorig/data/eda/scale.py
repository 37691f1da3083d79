"""Scales that the training side alone decides: of listeners' traces, and of the songs' coefficients."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.config import EdaConfig
from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.data.eda.trace_store import TraceStore
from audiorig.data.feature_store import FeatureStore
from audiorig.errors import DataError

Floats = NDArray[np.float32]
Normalize = Literal["trace_z", "onset_delta", "subject_z_train", "none"]

ONSET_SEC = 2.0  # before a response to the first sounds rises
MIN_TRACE_SD = 1e-4  # microsiemens: below what the recorders resolve; a flatter trace stays flat
MIN_MFCC_SD = 1e-3  # decibels: a coefficient that never changes says nothing


@dataclass
class Moments:
    """Mean and deviation of what was added so far (Chan, Golub and LeVeque, 1979: pairwise updates).

    Attributes:
        mean: () or (C,).
        spread: sum of squares about the mean, of the same shape.
    """

    count: int = 0
    mean: Any = 0.0
    spread: Any = 0.0

    def add(self, values: NDArray[Any]) -> None:
        """Add values (N,) or (N, C), all of them finite."""
        if not len(values):
            return
        mean = values.mean(axis=0, dtype=np.float64)
        spread = np.square(values - mean, dtype=np.float64).sum(axis=0)
        total, apart = self.count + len(values), mean - self.mean
        self.spread = self.spread + spread + apart * apart * self.count * len(values) / total
        self.mean = self.mean + apart * len(values) / total
        self.count = total

    @property
    def sd(self) -> Any:
        """Deviation of the population, () or (C,)."""
        return np.sqrt(self.spread / max(1, self.count))


@dataclass(frozen=True)
class TraceScale:
    """What a trace is subtracted by and divided by before it is predicted.

    ``trace_z``: mean and deviation of the trace itself, over the steps that have a value. ``onset_delta``:
    the mean of the trace's first 2 s with a value; the deviation of the training side's traces about
    their own means, pooled over all of their steps. ``subject_z_train``: mean and deviation of all
    steps of the subject's training traces; for a subject without any, those of everybody's.
    ``none``: 0 and 1. No deviation is taken to be less than `MIN_TRACE_SD`.

    Attributes:
        rate_hz: steps a second of the traces.
        everybody: mean and deviation over the training side, microsiemens.
        subjects: those of each subject (subject_z_train).
    """

    normalize: Normalize
    rate_hz: float
    everybody: tuple[float, float] = (0.0, 1.0)
    subjects: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def fit(cls, rows: pd.DataFrame, store: TraceStore, settings: EdaConfig) -> "TraceScale":
        """Fit to the traces of a training side. ``trace_z`` and ``none`` read none.

        Args:
            rows: trace_id and participant_id of the training side, and of nothing else.

        Raises:
            DataError: if there are no rows, or none of the traces has a value that is needed.
        """
        if rows.empty:
            _require(0)
        rate_hz = store.rate_hz(str(rows["trace_id"].iloc[0]))
        if settings.normalize in ("trace_z", "none"):
            return cls(settings.normalize, rate_hz)
        signals = (
            (str(participant), _heard(store.signal(str(trace_id), settings.target)))
            for trace_id, participant in zip(rows["trace_id"], rows["participant_id"], strict=True)
        )
        if settings.normalize == "onset_delta":
            return cls(settings.normalize, rate_hz, (0.0, _within_traces(signals)))
        everybody, subjects = _by_subject(signals)
        return cls(settings.normalize, rate_hz, everybody, subjects)

    def apply(self, signal: Floats, participant_id: str) -> Floats:
        """A trace in the units that are predicted, (M,); NaN stays NaN."""
        heard = _heard(signal)
        if self.normalize == "none" or not len(heard):
            return np.asarray(signal, np.float32)
        match self.normalize:
            case "trace_z":
                center, sd = float(heard.mean()), _at_least(float(heard.std()))
            case "onset_delta":
                onset = heard[: max(1, round(ONSET_SEC * self.rate_hz))]
                center, sd = float(onset.mean()), self.everybody[1]
            case "subject_z_train":
                center, sd = self._of_subject(participant_id)
        return ((signal.astype(np.float64) - center) / sd).astype(np.float32)

    def _of_subject(self, participant_id: str) -> tuple[float, float]:
        if participant_id in self.subjects:
            return self.subjects[participant_id]
        if not self._told:
            self._told.add(participant_id)
            warnings.warn(
                "some subjects have no training trace: their traces are scaled by mean and deviation of everybody's, "
                "as if their skin were like that of others [scaled-by-everybody]",
                AssumptionWarning,
                stacklevel=2,
            )
        return self.everybody

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a model's config."""
        return {
            "normalize": self.normalize,
            "rate_hz": self.rate_hz,
            "everybody": list(self.everybody),
            "subjects": {subject: list(pair) for subject, pair in self.subjects.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "TraceScale":
        """What ``to_dict`` gave."""
        mean, sd = plain["everybody"]
        subjects = {subject: (float(pair[0]), float(pair[1])) for subject, pair in plain["subjects"].items()}
        return cls(plain["normalize"], float(plain["rate_hz"]), (float(mean), float(sd)), subjects)


def _heard(signal: Floats) -> NDArray[np.float64]:
    """The values of a trace that are there, in order."""
    return signal[np.isfinite(signal)].astype(np.float64)


def _at_least(sd: float) -> float:
    return max(sd, MIN_TRACE_SD)


def _within_traces(signals: Iterable[tuple[str, NDArray[np.float64]]]) -> float:
    """Deviation of all steps about the mean of their trace."""
    spread, count = 0.0, 0
    for _, heard in signals:
        if len(heard):
            spread += float(np.square(heard - heard.mean()).sum())
            count += len(heard)
    _require(count)
    return _at_least(float(np.sqrt(spread / count)))


def _by_subject(
    signals: Iterable[tuple[str, NDArray[np.float64]]],
) -> tuple[tuple[float, float], dict[str, tuple[float, float]]]:
    """Mean and deviation of all steps, and of each subject's."""
    everybody, subjects = Moments(), dict[str, Moments]()
    for subject, heard in signals:
        everybody.add(heard)
        subjects.setdefault(subject, Moments()).add(heard)
    _require(everybody.count)
    known = {subject: _pair(moments) for subject, moments in sorted(subjects.items()) if moments.count}
    return _pair(everybody), known


def _pair(moments: Moments) -> tuple[float, float]:
    return float(moments.mean), _at_least(float(moments.sd))


def _require(count: int) -> None:
    if not count:
        raise DataError(
            "none of the training side's traces has a value, so there is nothing to scale by: expected skin "
            "conductance in microsiemens; look at the excluded traces of the corpus, or set eda.normalize: trace_z"
        )


@dataclass(frozen=True)
class MfccScale:
    """Mean and deviation of each coefficient over the training songs' frames, float64 (C,).

    No deviation is taken to be less than `MIN_MFCC_SD`.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: pd.DataFrame, store: FeatureStore) -> "MfccScale":
        """Fit to the songs of a training side, each counted once, however many have heard it.

        Args:
            rows: wav_path of the training side, and of nothing else.

        Raises:
            DataError: if there is no frame, or one that is not finite.
        """
        moments = Moments()
        for wav_path in sorted(set(map(str, rows["wav_path"]))):
            frames = store[wav_path]["mfcc"]
            if not np.isfinite(frames).all():
                raise DataError(
                    f"{wav_path}: some of its coefficients are NaN or infinite: expected numbers; is the file audio? "
                    "Compute the features anew, or leave the song out"
                )
            moments.add(frames)
        if not moments.count:
            raise DataError("the training songs have no frame of coefficients: expected audio of some seconds")
        return cls(np.asarray(moments.mean), np.maximum(moments.sd, MIN_MFCC_SD))

    def to_dict(self) -> dict[str, Sequence[float]]:
        """As plain data."""
        return {"mean": self.mean.tolist(), "sd": self.sd.tolist()}
