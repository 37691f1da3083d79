"""Encoders of a few thousand weights, five families in their published formats; no test in here."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiorig.config import EncoderConfig, SeededConfig
from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.seeded import make_seeded
from audiorig.randomness import random_state_fence

CONVOLUTIONS: dict[str, Any] = {
    **{"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 24},
    **{"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5]},
    **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "initializer_range": 0.3},
}
CODES: dict[str, Any] = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4}
WHISPER: dict[str, Any] = {
    **{"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 24, "init_std": 0.3},
    **{"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "max_target_positions": 8},
    **{"vocab_size": 20, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3},
    **{"suppress_tokens": None, "begin_suppress_tokens": None, "num_mel_bins": 80},
    **{"max_source_positions": 50, "chunk_length": 1},
}
WAVEMAE: dict[str, Any] = {"width": 16, "depth": 3, "decoder_width": 8, "kernel": 3, "wide_kernel": 5}
NORMS: dict[str, dict[str, Any]] = {
    "group": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "do_normalize": True},
    "layer": {
        **{"feat_extract_norm": "layer", "do_stable_layer_norm": True, "do_normalize": False},
        "conv_bias": True,
    },
}
# Each family once, the convolutional ones with both kinds of norms; a Whisper on its own length and on the full one.
KINDS = (
    *("wav2vec2-group", "wav2vec2-layer", "hubert-group", "hubert-layer", "wavlm-group", "wavlm-layer"),
    *("whisper", "whisper-padded", "wavemae"),
)


def settings_of(kind: str) -> dict[str, Any]:
    """What differs from the family's config.json."""
    family, _, norm = kind.partition("-")
    if family == "whisper":
        return WHISPER
    return {**CONVOLUTIONS, **NORMS[norm], **(CODES if family == "wav2vec2" else {})}


def tiny_folder(kind: str, folder: Path, seed: int = 0, **settings: Any) -> Path:
    """A folder of random weights, as the family is published; ``settings`` lay over the tiny ones."""
    family = kind.partition("-")[0]
    if family == "wavemae":
        with random_state_fence():
            torch.manual_seed(seed)
            model = WaveMAE(WaveMAEConfig(model={**WAVEMAE, "decoder_kernel": 3, **settings}))
            for block in model.blocks:
                torch.nn.init.normal_(block.response.gamma)
            model.save_pretrained(folder)
    else:
        make_seeded(SeededConfig(seeded=family, seed=seed, settings={**settings_of(kind), **settings}), folder)
    return folder


def load(kind: str, folder: Path, checkpoint: Path | None = None) -> SpeechEncoder:
    """The encoder of a folder, to be tuned."""
    family, _, variant = kind.partition("-")
    settings = EncoderConfig(family=family, folder="elsewhere", pad_to_30s=variant == "padded")
    return load_for_tuning(settings, folder, checkpoint)


def noise(lengths: list[int], seed: int = 0, rest: float = 0.0) -> tuple[Tensor, Tensor]:
    """Waveforms (B, T) that wander, and their lengths; behind an item's end stands ``rest``."""
    ends = torch.tensor(lengths)
    drawn = torch.randn(len(lengths), max(lengths) + 5, generator=torch.Generator().manual_seed(seed))
    waveform = 0.05 + 0.1 * torch.nn.functional.avg_pool1d(drawn[:, None], 5, 1)[:, 0, 1:]
    return waveform.where(torch.arange(waveform.shape[1]) < ends[:, None], rest), ends


def real_frames(tensor: Tensor, is_padding: Tensor, item: int) -> Tensor:
    """Frames (n, D) of an item that are no padding."""
    return tensor[item][~is_padding[item]]
