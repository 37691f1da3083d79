"""A tuner small enough to train 30 steps in a second: two blocks of width 16 on 0.2-s clips."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from audiorig.config import SpeechTuneRun
from audiorig.data.targets import resolve_targets
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import build_encoder
from audiorig.models.tuner import SpeechTuner

WAV2VEC2 = {
    "family": "wav2vec2",
    "sample_rate_hz": 16000,
    "do_normalize": True,
    "network": {
        "model_type": "wav2vec2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8, 8, 8],
        "conv_kernel": [10, 8, 8],
        "conv_stride": [8, 8, 5],
        "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "feat_proj_dropout": 0.0,
        "layerdrop": 0.0,
        "mask_time_prob": 0.0,
    },
}
WHISPER = {
    "family": "whisper",
    "sample_rate_hz": 16000,
    "pad_to_30s": False,
    "network": {
        "model_type": "whisper",
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 16,
        "num_mel_bins": 16,
        "max_source_positions": 50,
        "dropout": 0.0,
    },
}
WAVEMAE = {
    "family": "wavemae",
    "sample_rate_hz": 24000,
    "network": {"spectrogram": {}, "model": {"width": 8, "depth": 2, "kernel": 3, "wide_kernel": 3}},
}
DESCRIPTIONS = {
    "wav2vec2": WAV2VEC2,
    "hubert": WAV2VEC2 | {"family": "hubert", "network": WAV2VEC2["network"] | {"model_type": "hubert"}},
    "wavlm": WAV2VEC2 | {"family": "wavlm", "network": WAV2VEC2["network"] | {"model_type": "wavlm"}},
    "whisper": WHISPER,
    "wavemae": WAVEMAE,
}
TARGETS = {
    "reason": {"kind": "class"},
    "loud": {"kind": "binary"},
    "rate": {"kind": "rating", "steps": [1, 2, 3, 4, 5], "threshold": 4},
}
LOSSES = [
    {"name": "cross_entropy"},
    {"name": "bce"},
    {"name": "coral", "weight": 0.5},
    {"name": "ranking", "weight": 2.0, "margin": 0.3},
]
ROWS = pd.DataFrame(
    {
        "wav_path": [f"clip-{index}.wav" for index in range(10)],
        "reason": ["tired", "hungry", "pain", "hungry", "hungry", "pain", "tired", "hungry", "hungry", ""],
        "loud": ["1", "0", "1", "1", "0", "", "1", "0", "0", "1"],
        "rate": ["1", "3", "5", "2", "4", "2", "", "3", "5", "1"],
    }
)


def encoder_of(family: str = "wav2vec2", seed: int = 0, **network: Any) -> SpeechEncoder:
    """An encoder whose weights are not those that ``build_encoder`` would draw."""
    description = DESCRIPTIONS[family]
    return build_encoder(description | {"network": description["network"] | network}).untrained(seed)


def run_of(**sections: Any) -> SpeechTuneRun:
    """Settings of a run on the targets above; its losses and its head can be given anew."""
    settings = {
        "experiment": "speechtune",
        "data": {"corpus": "demo", "split": "by-speaker"},
        "encoder": {"family": "wav2vec2", "folder": "anywhere"},
        "head": {"dropout": 0.0},
        "targets": TARGETS,
        "losses": LOSSES,
    }
    return SpeechTuneRun.model_validate(settings | sections)


def tuner_of(family: str = "wav2vec2", encoder_seed: int = 0, **sections: Any) -> SpeechTuner:
    """A tuner on the targets above."""
    run = run_of(**sections)
    return SpeechTuner.assemble(encoder_of(family, encoder_seed), run, resolve_targets(run.used_targets, ROWS))


def clips_of(num_clips: int = 8, seed: int = 0, rate: int = 16000) -> dict[str, Tensor]:
    """A batch of noise of different lengths and colours, with values of which some are missing."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(rate // 10, rate // 5, num_clips)
    lengths[0] = rate // 5
    waveform = np.zeros((num_clips, rate // 5), dtype=np.float32)
    for item, length in enumerate(lengths):
        noise = generator.standard_normal(length + 4)
        kernel = np.ones(1 + item % 5) / (1 + item % 5)
        waveform[item, :length] = 0.1 * np.convolve(noise, kernel, "same")[:length]
    values = np.stack(
        [generator.integers(0, 3, num_clips), generator.integers(0, 2, num_clips), generator.integers(0, 5, num_clips)],
        axis=1,
    ).astype(np.float32)
    values[generator.random(values.shape) < 0.2] = np.nan
    return {
        "waveform": torch.from_numpy(waveform),
        "lengths": torch.from_numpy(lengths),
        "values": torch.from_numpy(values),
        "labels": torch.from_numpy(np.where(np.isnan(values), -100, 0)),
    }


def cut(batch: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """Micro-batches."""
    num_clips = len(batch["lengths"])
    return [{name: value[first : first + size] for name, value in batch.items()} for first in range(0, num_clips, size)]


def gradient_of(tuner: SpeechTuner) -> Tensor:
    """Of all that learns, in one row."""
    return torch.cat([each.grad.flatten() for _, each in sorted(tuner.named_parameters()) if each.requires_grad])
