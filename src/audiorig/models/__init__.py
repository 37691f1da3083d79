"""Models. Importing this package lets ``AutoModel.from_pretrained`` load them from a folder."""

from transformers import AutoConfig, AutoModel

from audiorig.models.eda.model import Audio2Eda, Audio2EdaConfig
from audiorig.models.encoder import WaveMAEConfig
from audiorig.models.tuner import SpeechTuner, TunerConfig
from audiorig.models.wavemae import WaveMAE

AutoConfig.register(WaveMAEConfig.model_type, WaveMAEConfig)
AutoModel.register(WaveMAEConfig, WaveMAE)
AutoConfig.register(TunerConfig.model_type, TunerConfig)
AutoModel.register(TunerConfig, SpeechTuner)
AutoConfig.register(Audio2EdaConfig.model_type, Audio2EdaConfig)
AutoModel.register(Audio2EdaConfig, Audio2Eda)

__all__ = ["Audio2Eda", "Audio2EdaConfig", "SpeechTuner", "TunerConfig", "WaveMAE", "WaveMAEConfig"]
