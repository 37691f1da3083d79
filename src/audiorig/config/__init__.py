"""Every setting that exists: its default, unit, bounds and meaning.

Each section is a frozen model that refuses unknown keys. ``config/README.md`` and
``config/schema/*.json`` are generated from these models; ``config_files`` reads the YAML.
"""

from audiorig.config.base import NAME, Name, Section
from audiorig.config.corpora import (
    Corpus,
    CorpusSection,
    DemoCorpus,
    EmiliaCorpus,
    FolderCorpus,
    ManifestConfig,
    Reason,
    SplitConfig,
    ValidationConfig,
)
from audiorig.config.probe import ProbeConfig, ProbeTask
from audiorig.config.runs import STAGES, ReportConfig, Run, WaveMAERun
from audiorig.config.sweeps import AblationConfig, Case
from audiorig.config.train import TrainConfig, TrainingProbeConfig
from audiorig.config.wavemae import (
    DataConfig,
    LossWeights,
    PitchConfig,
    PretrainedConfig,
    SpectrogramConfig,
    TeacherConfig,
    WaveMAEModelConfig,
)

__all__ = [
    "NAME",
    "STAGES",
    "AblationConfig",
    "Case",
    "Corpus",
    "CorpusSection",
    "DataConfig",
    "DemoCorpus",
    "EmiliaCorpus",
    "FolderCorpus",
    "LossWeights",
    "ManifestConfig",
    "Name",
    "PitchConfig",
    "PretrainedConfig",
    "ProbeConfig",
    "ProbeTask",
    "Reason",
    "ReportConfig",
    "Run",
    "Section",
    "SpectrogramConfig",
    "SplitConfig",
    "TeacherConfig",
    "TrainConfig",
    "TrainingProbeConfig",
    "ValidationConfig",
    "WaveMAEModelConfig",
    "WaveMAERun",
]
