"""What evaluation reads of a run that predicts traces: a split, coefficients, traces and settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiorig.config import Audio2EdaRun, Run
from audiorig.config_stages import load_run
from audiorig.data.eda.scale import TraceScale
from audiorig.data.eda.songs import SongDataset
from audiorig.data.eda.trace_store import TraceStore
from audiorig.data.manifest import read_table
from audiorig.errors import ConfigError

Side = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Files:
    """Where a split's traces and its songs' coefficients are."""

    split: Path
    mfcc: tuple[Path, ...]
    traces: Path

    def songs(self, run: Audio2EdaRun, side: Side, scale: TraceScale) -> SongDataset:
        """Whole songs of a side with all of their listeners, none exchanged, whatever training had."""
        data = run.data.model_copy(update={"permute_songs": False, "group_songs": True})
        return SongDataset(
            self.split / f"{side}.arrow",
            self.mfcc,
            self.traces,
            data,
            run.audio,
            run.eda,
            scale,
            run.seed,
            side="test",  # as the test side is heard
        )

    def scale(self, run: Audio2EdaRun) -> TraceScale:
        """Of the traces, as training fits it: to the training side."""
        return TraceScale.fit(read_table(self.split / "train.parquet"), TraceStore(self.traces), run.eda)


def load_eda_run(path: Path) -> Audio2EdaRun:
    """The settings of a run that predicts traces.

    Raises:
        ConfigError: if it is another experiment's.
    """
    run: Run = load_run(path)
    if not isinstance(run, Audio2EdaRun):
        raise ConfigError(f"{path}: a run of {run.experiment}, which predicts no traces")
    return run
