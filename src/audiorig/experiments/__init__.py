"""Experiments: one module each, told apart by the settings."""

from audiorig.config import Audio2EdaRun, HomeWav2Vec2Run, Run, TuningRun, WaveMAERun
from audiorig.experiments.inputs import Inputs
from audiorig.train.experiment import Experiment

__all__ = ["Inputs", "build"]


def build(settings: Run, inputs: Inputs) -> Experiment:
    """The experiment of a run.

    Its module is imported here: each brings libraries that the others do without, and a run of short
    trainings pays for them at every start.
    """
    match settings:
        case WaveMAERun():
            from audiorig.experiments import wavemae

            return wavemae.build(settings, inputs)
        case HomeWav2Vec2Run():
            from audiorig.experiments import homewav2vec2

            return homewav2vec2.build(settings, inputs)
        case TuningRun():
            from audiorig.experiments import tuning

            return tuning.build(settings, inputs)
        case Audio2EdaRun():
            from audiorig.experiments import audio2eda

            return audio2eda.build(settings, inputs)
