"""The encoder of a WaveMAE, to be tuned: its log magnitudes are its front."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.errors import ConfigError
from audiorig.models.convnext import DepthwiseConv, Slots
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.models.encoders.base import SpeechEncoder, output_of
from audiorig.models.outputs import EncoderOutput
from audiorig.randomness import random_state_fence

STATISTICS = ("bin_mean", "bin_std", "is_scored")


@dataclass(frozen=True)
class PatchFrames:
    """Samples to latents whose frames all begin within the item.

    Attributes:
        hop: samples from frame to frame.
        stride: frames of a latent.
    """

    hop: int
    stride: int

    def __call__(self, num_samples: int) -> int:
        return (1 + num_samples // self.hop) // self.stride


class MaskedAutoencoder(SpeechEncoder):
    """A ``PatchEncoder`` as ``SpeechEncoder``.

    Args:
        body: the network; a token that stood for hidden patches is taken out, as nothing is hidden.
    """

    lora_targets: ClassVar[tuple[str, ...]] = ("expand", "contract")
    takes_prompts: ClassVar[bool] = False
    family = "wavemae"
    body: PatchEncoder

    def __init__(self, body: PatchEncoder) -> None:
        super().__init__()
        body.encoder_token = None
        self.body, self.training = body, body.training
        self.config = body.config
        self.width, self.num_blocks = body.shape.width, body.shape.depth
        self.num_frames = PatchFrames(body.stft.hop, body.shape.stride)

    @classmethod
    def of_random_weights(cls, config: WaveMAEConfig) -> "MaskedAutoencoder":
        """A network as at the start of its training, from torch's global generator."""
        body = PatchEncoder(config)
        for module in body.modules():
            if isinstance(module, nn.Linear | DepthwiseConv):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        return cls(body.eval())

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self.body.sample_rate_hz

    @property
    def block_names(self) -> tuple[str, ...]:
        return tuple(f"body.blocks.{index}" for index in range(self.num_blocks))

    @property
    def front_names(self) -> tuple[str, ...]:
        return ("body.stem",)

    def description(self) -> dict[str, Any]:
        network = {"spectrogram": self.config.spectrogram, "model": self.config.model}
        return {"family": self.family, "sample_rate_hz": self.sample_rate_hz, "network": network}

    def untrained(self, seed: int) -> "MaskedAutoencoder":
        """The same network and standardisation with weights as at the start of a training."""
        with random_state_fence():
            torch.manual_seed(seed)
            fresh = self.of_random_weights(self.config)
        for name in STATISTICS:
            getattr(fresh.body, name).copy_(getattr(self.body, name))
        return fresh

    def encode(self, waveform: Tensor, lengths: Tensor, prompts: Tensor | None = None) -> EncoderOutput:
        """As ``SpeechEncoder.encode``.

        Raises:
            ConfigError: if there are prompts.
        """
        if prompts is not None:
            raise ConfigError(
                "tuning.num_prompts: a WaveMAE takes none: its convolutions show what stands before a clip to the "
                "first frames alone, within their kernels; set it to 0, and take lora or learn"
            )
        body = self.body
        waveform = waveform.where(torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None], 0.0)
        shortest = body.stft.hop * body.shape.stride  # one latent, though it be padding
        waveform = functional.pad(waveform, (0, max(0, shortest - waveform.shape[1])))
        patches = body.patches(body.frames(waveform))
        is_real = body.is_real(lengths, patches.shape[1])
        patches, _ = body.remove_level(patches, is_real)
        slots = Slots.whole(is_real)
        layers = [body.stem(slots.gather(patches))]
        for block in body.blocks:
            layers.append(block(layers[-1], slots))
        return output_of(body.norm(layers[-1]), layers, ~is_real, None)
