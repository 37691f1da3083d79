"""The encoder of Whisper on clips as long as they are.

The published encoder takes 30 s and nothing else, and sees the silence behind a short clip as it
sees the clip. Here the convolutions run up to the end of the longest clip of a batch and the
attention sees no padding: what comes out equals the published encoder on 30 s, but for attention
to the silence behind the clip.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperConfig
from transformers.audio_utils import mel_filter_bank
from transformers.models.whisper.modeling_whisper import WhisperEncoder as Network

from audiorig.errors import DataError
from audiorig.models.encoders.base import SpeechEncoder, output_of, padding_of, seen_keys, with_prompts
from audiorig.models.encoders.convolutional import plain_settings
from audiorig.models.outputs import EncoderOutput
from audiorig.randomness import keyed_generator, random_state_fence

WINDOW, HOP, STRIDE = 400, 160, 2  # samples, samples, mel frames of a feature frame; of all published models
FARTHEST_HZ = 8000.0  # of the mel filters


@dataclass(frozen=True)
class WhisperFrames:
    """Samples to frames: those of the mel whose centre lies within the clip, two of them a frame."""

    def __call__(self, num_samples: int) -> int:
        return -(-num_samples // (HOP * STRIDE))


class FixedPositions(nn.Module):
    """Sinusoids in the place of a learnt table, which is never trained: a buffer of the same name."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone())


class WhisperEncoder(SpeechEncoder):
    """The encoder of a Whisper; no weight of its decoder is held.

    Args:
        body: the network.
        sample_rate_hz: of its input.
        pad_to_30s: fill every clip up with silence that the attention sees, as in pre-training.
    """

    lora_targets: ClassVar[tuple[str, ...]] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
    family = "whisper"
    body: Any
    filters: Tensor

    def __init__(self, body: Network, sample_rate_hz: int, pad_to_30s: bool = False) -> None:
        super().__init__()
        self.body, self.training = body, body.training
        self.body.embed_positions = FixedPositions(body.embed_positions.weight)
        self.config = body.config
        self.width, self.num_blocks = self.config.d_model, self.config.encoder_layers
        self.num_frames = WhisperFrames()
        self.pad_to_30s, self._sample_rate_hz = pad_to_30s, sample_rate_hz
        self.register_buffer("filters", mel_filters(self.config.num_mel_bins, sample_rate_hz), persistent=False)

    @classmethod
    def of_random_weights(cls, config: WhisperConfig, sample_rate_hz: int, pad_to_30s: bool) -> "WhisperEncoder":
        """A network as its family initialises it, from torch's global generator."""
        return cls(Network(config).eval(), sample_rate_hz, pad_to_30s)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self._sample_rate_hz

    @property
    def max_samples(self) -> int:
        """The longest clip that it takes: 30 s."""
        return int(self.config.max_source_positions) * STRIDE * HOP

    @property
    def block_names(self) -> tuple[str, ...]:
        return tuple(f"body.layers.{index}" for index in range(self.num_blocks))

    @property
    def front_names(self) -> tuple[str, ...]:
        return ("body.conv1", "body.conv2")

    def description(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "sample_rate_hz": self.sample_rate_hz,
            "pad_to_30s": self.pad_to_30s,
            "network": plain_settings(self.config),
        }

    def untrained(self, seed: int) -> "WhisperEncoder":
        """The same network with weights as at the start of a training."""
        with random_state_fence():
            torch.manual_seed(int(keyed_generator("untrained whisper", seed).integers(2**63)))
            return self.of_random_weights(self.config, self.sample_rate_hz, self.pad_to_30s)

    def encode(self, waveform: Tensor, lengths: Tensor, prompts: Tensor | None = None) -> EncoderOutput:
        """As ``SpeechEncoder.encode``.

        Raises:
            DataError: if a clip is longer than the network has positions for.
        """
        counts = [self.num_frames(length) for length in lengths.tolist()]
        num_frames = max([1, *counts])
        is_padding = padding_of(counts, num_frames, waveform.device)
        tokens = self._front(self.mel(waveform, lengths))
        if not self.pad_to_30s:
            tokens = tokens[:, :num_frames]
        is_unseen = tokens.new_zeros(tokens.shape[:2], dtype=torch.bool) if self.pad_to_30s else is_padding
        tokens = functional.dropout(tokens, self.config.dropout, self.training)
        tokens, is_unseen = with_prompts(tokens, is_unseen, prompts)
        layers, mask = [tokens], seen_keys(is_unseen)
        for block in self.body.layers:
            layers.append(block(layers[-1], mask))
        last = self.body.layer_norm(layers[-1])
        end = num_frames + (0 if prompts is None else len(prompts))
        return output_of(last[:, :end], [each[:, :end] for each in layers], is_padding, prompts)

    def _front(self, mel: Tensor) -> Tensor:
        """Mel (B, F, M) to what enters the first block (B, M / 2, D), but for dropout."""
        hidden = functional.gelu(self.body.conv1(mel))
        hidden = functional.gelu(self.body.conv2(hidden)).mT
        return hidden + self.body.embed_positions.weight[: hidden.shape[1]]

    @torch.no_grad()
    def mel(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """What the convolutions take, (B, F, M): silence follows the end of every clip.

        Two mel frames behind the last one of the longest clip are as far as its features reach; with
        them each clip has the features that it has with 30 s of silence behind it.
        """
        if int(lengths.max()) > self.max_samples:
            longest, most = int(lengths.max()) / self.sample_rate_hz, self.max_samples / self.sample_rate_hz
            raise DataError(
                f"item {int(lengths.argmax())} of a batch is {longest:.2f} s long: Whisper takes at most {most:g} s: "
                f"set data.max_sec to {most:g} or less"
            )
        num_frames = -(-int(lengths.max()) // HOP) + 2
        num_samples = self.max_samples if self.pad_to_30s else min(num_frames * HOP, self.max_samples)
        waveform = waveform[:, :num_samples].float()
        waveform = waveform.where(torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None], 0.0)
        with torch.autocast(waveform.device.type, enabled=False):  # half a precision is none for a logarithm of power
            return log_mel(functional.pad(waveform, (0, num_samples - waveform.shape[1])), self.filters)


def mel_filters(num_bins: int, sample_rate_hz: int) -> Tensor:
    """float32 (F, 201): Slaney's scale and norm."""
    filters = mel_filter_bank(
        num_frequency_bins=WINDOW // 2 + 1,
        num_mel_filters=num_bins,
        min_frequency=0.0,
        max_frequency=FARTHEST_HZ,
        sampling_rate=sample_rate_hz,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters).float().T.contiguous()


def log_mel(waveform: Tensor, filters: Tensor) -> Tensor:
    """The scaled log-mel spectrogram that Whisper was trained on (Radford et al., 2022, section 2.2).

    Args:
        waveform: float32 (B, T).
        filters: (F, 201).

    Returns:
        (B, F, T // 160): base-10 logarithms, not more than 8 below the largest of the item.
    """
    window = torch.hann_window(WINDOW, device=waveform.device)
    spectrum = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True)
    real, imaginary = torch.view_as_real(spectrum[..., :-1]).unbind(-1)
    mel = filters @ (real * real + imaginary * imaginary).contiguous()
    logarithm = mel.clamp_min(1e-10).log10()
    floor = logarithm.amax((1, 2), keepdim=True) - 8.0
    return (torch.maximum(logarithm, floor) + 4.0) / 4.0
