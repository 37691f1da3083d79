"""The smallest encoders of each family, and clips for them."""

import torch

from audiorig.config import SpectrogramConfig, WaveMAEModelConfig
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import build_encoder
from audiorig.models.outputs import EncoderOutput

FAMILIES = ("wav2vec2", "wav2vec2-stable", "hubert", "wavlm", "whisper", "wavemae")
WITH_PROMPTS = FAMILIES[:-1]
BLOCKS, WIDTH, RATE = 3, 16, 16000

CONVOLUTIONAL = {
    "hidden_size": WIDTH,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 8],
    "conv_stride": [10, 8],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
WHISPER = {
    "d_model": WIDTH,
    "encoder_layers": BLOCKS,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "num_mel_bins": 16,
    "max_source_positions": 50,
}


def description(family: str) -> dict:
    """What ``build_encoder`` takes."""
    if family == "wavemae":
        model = WaveMAEModelConfig(width=WIDTH, depth=BLOCKS).model_dump()
        network = {"spectrogram": SpectrogramConfig(n_fft=256, window=256, hop=160).model_dump(), "model": model}
        return {"family": family, "sample_rate_hz": RATE, "network": network}
    if family == "whisper":
        return {"family": family, "sample_rate_hz": RATE, "pad_to_30s": False, "network": dict(WHISPER)}
    family, _, kind = family.partition("-")
    network = CONVOLUTIONAL | (STABLE if kind else {})
    return {"family": family, "sample_rate_hz": RATE, "do_normalize": True, "network": network}


def encoder(family: str) -> SpeechEncoder:
    """Random weights, the same each time: as large as trained ones, so that all of it has a say."""
    found = build_encoder(description(family))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in found.parameters():
            if parameter.ndim > 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise * (parameter[0].numel() ** -0.5))
    return found


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Waveform (2, T) and lengths (2,): one is shorter."""
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(2, 4000, generator=generator)
    waveform[1, 2500:] = 0
    return waveform, torch.tensor([4000, 2500])


def encode(encoder: SpeechEncoder, prompts: torch.Tensor | None = None) -> EncoderOutput:
    """Features of the clips."""
    return encoder.encode(*clips(), prompts)
