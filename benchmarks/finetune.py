"""A training step on clips of 6 s, forward and backward: our encoders against transformers' classification models.

Both have the same weights, the same mean pooling and the same head; where transformers does the
same (clips of one length) that their outputs are equal is checked first. transformers gets what
its own example gives it: Whisper 30 s of mel whatever the clip, the others a padded batch with its
attention mask. Interleaved, the best round of each counts; times are of the processor, one thread.

    PYTHONPATH=src python benchmarks/finetune.py --rounds 3
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    HubertForSequenceClassification,
    PreTrainedModel,
    Wav2Vec2ForSequenceClassification,
    WavLMForSequenceClassification,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)
from transformers.utils import logging as transformers_logging

from audiorig.config import EncoderConfig, SeededConfig
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.seeded import make_seeded

RATE, NUM_CLASSES = 16000, 4
DROPOUTS = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop")
# The convolutions of base models, a quarter as wide; nothing is hidden, so that both have the same to do.
CONVOLUTIONAL: dict[str, Any] = {
    **{"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024},
    **{"conv_dim": [128] * 7, "mask_time_prob": 0.0, "do_normalize": False, **dict.fromkeys(DROPOUTS, 0.0)},
}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
WHISPER: dict[str, Any] = {
    **{"d_model": 256, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 1024},
    **{"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "vocab_size": 32},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3},
    **{"suppress_tokens": None, "begin_suppress_tokens": None, "max_target_positions": 8},
}
CASES: dict[str, tuple[str, type[PreTrainedModel], dict[str, Any]]] = {
    "wav2vec2 base": ("wav2vec2", Wav2Vec2ForSequenceClassification, CONVOLUTIONAL),
    "wav2vec2 large": ("wav2vec2", Wav2Vec2ForSequenceClassification, {**CONVOLUTIONAL, **LAYER_NORM}),
    "hubert base": ("hubert", HubertForSequenceClassification, CONVOLUTIONAL),
    "wavlm base": ("wavlm", WavLMForSequenceClassification, CONVOLUTIONAL),
    "wavlm large": ("wavlm", WavLMForSequenceClassification, {**CONVOLUTIONAL, **LAYER_NORM}),
    "whisper": ("whisper", WhisperForAudioClassification, WHISPER),
}


class Ours(nn.Module):
    """Our encoder under the projector and the classifier of transformers' model."""

    def __init__(self, encoder: SpeechEncoder, theirs: Any) -> None:
        super().__init__()
        self.encoder, self.projector, self.classifier = encoder, theirs.projector, theirs.classifier

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Scores (B, C)."""
        output = self.encoder.encode(waveform, lengths)
        is_real = ~output.is_padding[..., None]
        hidden: Tensor = self.projector(output.features) * is_real
        scores: Tensor = self.classifier(hidden.sum(1) / is_real.sum(1))
        return scores


def contenders(name: str, folder: Path) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    """Our model, and what gives scores (B, C) with theirs."""
    family, kind, settings = CASES[name]
    make_seeded(SeededConfig(seeded=family, settings=settings), folder)  # type: ignore[arg-type]
    theirs: Any = kind.from_pretrained(folder, num_labels=NUM_CLASSES, local_files_only=True).train()
    encoder = load_for_tuning(EncoderConfig(family=family, folder="seeded"), folder)  # type: ignore[arg-type]
    if family == "whisper":
        extractor = WhisperFeatureExtractor.from_pretrained(folder)

        def scores(waveform: Tensor, lengths: Tensor) -> Tensor:
            clips = [row[:length].numpy() for row, length in zip(waveform, lengths.tolist(), strict=True)]
            found: Tensor = theirs(extractor(clips, sampling_rate=RATE, return_tensors="pt")["input_features"]).logits
            return found
    else:

        def scores(waveform: Tensor, lengths: Tensor) -> Tensor:
            is_real = torch.arange(waveform.shape[1]) < lengths[:, None]
            found: Tensor = theirs(waveform, attention_mask=is_real.long()).logits
            return found

    return Ours(encoder, theirs).train(), scores


def clips_of(num_items: int, clip_sec: float, is_unequal: bool) -> tuple[Tensor, Tensor]:
    """Noise (B, T), of one length or from a third of it up to it."""
    longest = round(clip_sec * RATE)
    lengths = (
        torch.linspace(longest / 3, longest, num_items).long() if is_unequal else torch.full((num_items,), longest)
    )
    noise = 0.1 * torch.randn(num_items, longest, generator=torch.Generator().manual_seed(0))
    return noise.where(torch.arange(longest) < lengths[:, None], 0.0), lengths


def check_equal(name: str, ours: nn.Module, theirs: Callable[[Tensor, Tensor], Tensor]) -> None:
    """On clips of one length; Whisper's mean is over 30 s there, so that it is another function."""
    if name != "whisper":
        with torch.no_grad():
            batch = clips_of(2, 1.0, False)
            difference = float((ours(*batch) - theirs(*batch)).abs().max())
        if difference > 1e-4:
            raise SystemExit(f"{name}: the outputs differ by {difference:.1e}: nothing to compare")


def step_times(
    contestants: dict[str, Any], num_items: int, clip_sec: float, rounds: int
) -> dict[tuple[str, str], float]:
    """Best seconds of a step, by who takes it and by whether the clips are of one length."""
    best: dict[tuple[str, str], float] = {}
    for _ in range(1 + rounds):  # the first warms up, and may win
        for lengths in ("equal", "unequal"):
            batch = clips_of(num_items, clip_sec, lengths == "unequal")
            for who, model in contestants.items():
                began = time.process_time()
                model(*batch).square().sum().backward()
                best[who, lengths] = min(best.get((who, lengths), float("inf")), time.process_time() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=4)
    parser.add_argument("--clip-sec", type=float, default=6.0)
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    transformers_logging.set_verbosity_error()  # a table of what every new head is
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = contenders(name, Path(folder) / "seeded")
        check_equal(name, ours, theirs)
        best = step_times({"ours": ours, "theirs": theirs}, arguments.items, arguments.clip_sec, arguments.rounds)
        for lengths in ("equal", "unequal"):
            mine, other = best["ours", lengths], best["theirs", lengths]
            print(f"{name:15s} {lengths:8s} ours {mine:.3f} s/step, transformers {other:.3f} s/step")
            print(f"RATIO {name.replace(' ', '_')}_{lengths}_transformers_over_ours {other / mine:.2f}", flush=True)


if __name__ == "__main__":
    main()
