"""Every setting that exists: its default, unit, bounds and meaning.

Each section is a frozen model that refuses unknown keys. ``config/README.md`` and
``config/schema/*.json`` are generated from these models; ``config_files`` reads the YAML.
"""

from audiorig.config.base import NAME, Name, Section
from audiorig.config.corpora import (
    SIDES,
    Corpus,
    CorpusSection,
    DemoCorpus,
    EmiliaCorpus,
    FolderCorpus,
    HomeCorpus,
    HomeDemoCorpus,
    ManifestConfig,
    Reason,
    SplitConfig,
    ValidationConfig,
)
from audiorig.config.probe import ProbeConfig, ProbeTask
from audiorig.config.runs import PUBLISH, STAGES, AnyRun, HomeWav2Vec2Run, ReportConfig, Run, WaveMAERun
from audiorig.config.sweeps import AblationConfig, Case
from audiorig.config.train import TrainConfig, TrainingProbeConfig
from audiorig.config.wav2vec2 import (
    CollapseConfig,
    GumbelConfig,
    HubConfig,
    LongCropConfig,
    SeededConfig,
    SilenceConfig,
    Wav2Vec2TrainingConfig,
)
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
    "PUBLISH",
    "SIDES",
    "STAGES",
    "AblationConfig",
    "AnyRun",
    "Case",
    "CollapseConfig",
    "Corpus",
    "CorpusSection",
    "DataConfig",
    "DemoCorpus",
    "EmiliaCorpus",
    "FolderCorpus",
    "GumbelConfig",
    "HomeCorpus",
    "HomeDemoCorpus",
    "HomeWav2Vec2Run",
    "HubConfig",
    "LongCropConfig",
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
    "SeededConfig",
    "SilenceConfig",
    "SpectrogramConfig",
    "SplitConfig",
    "TeacherConfig",
    "TrainConfig",
    "TrainingProbeConfig",
    "ValidationConfig",
    "Wav2Vec2TrainingConfig",
    "WaveMAEModelConfig",
    "WaveMAERun",
]
