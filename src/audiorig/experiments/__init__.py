"""Experiments: one module each, told apart by the settings."""

from audiorig.config import Audio2EdaRun, HomeWav2Vec2Run, Run, TuningRun, WaveMAERun
from audiorig.experiments import audio2eda, homewav2vec2, tuning, wavemae
from audiorig.experiments.inputs import Inputs
from audiorig.train.experiment import Experiment

__all__ = ["Inputs", "build"]


def build(settings: Run, inputs: Inputs) -> Experiment:
    """The experiment of a run."""
    match settings:
        case WaveMAERun():
            return wavemae.build(settings, inputs)
        case HomeWav2Vec2Run():
            return homewav2vec2.build(settings, inputs)
        case TuningRun():
            return tuning.build(settings, inputs)
        case Audio2EdaRun():
            return audio2eda.build(settings, inputs)
