"""Models. Importing this package lets ``AutoModel.from_pretrained`` load them from a folder."""

from transformers import AutoConfig, AutoModel

from audiorig.models.encoder import WaveMAEConfig
from audiorig.models.tuner import SpeechTuner, TunerConfig
from audiorig.models.wavemae import WaveMAE

AutoConfig.register(WaveMAEConfig.model_type, WaveMAEConfig)
AutoModel.register(WaveMAEConfig, WaveMAE)
AutoConfig.register(TunerConfig.model_type, TunerConfig)
AutoModel.register(TunerConfig, SpeechTuner)

__all__ = ["SpeechTuner", "TunerConfig", "WaveMAE", "WaveMAEConfig"]
