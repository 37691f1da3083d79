"""Experiments: one module each, told apart by the settings."""

from audiorig.config import Run, WaveMAERun
from audiorig.experiments import wavemae
from audiorig.experiments.wavemae import WaveMAEInputs
from audiorig.train.experiment import Experiment

Inputs = WaveMAEInputs


def build(settings: Run, inputs: Inputs) -> Experiment:
    """The experiment of a run."""
    match settings:
        case WaveMAERun():
            return wavemae.build(settings, inputs)
    raise TypeError(f"no experiment for settings of the kind {type(settings).__name__}")
