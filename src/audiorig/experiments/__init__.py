"""Experiments: one module each, told apart by the settings."""

from pathlib import Path

from audiorig.config import Run, WaveMAERun
from audiorig.experiments import wavemae
from audiorig.train.experiment import Experiment


def build(settings: Run, split: Path, root: Path, statistics: Path) -> Experiment:
    """The experiment of a run."""
    match settings:
        case WaveMAERun():
            return wavemae.build(settings, split, root, statistics)
    raise TypeError(f"no experiment for settings of the kind {type(settings).__name__}")
