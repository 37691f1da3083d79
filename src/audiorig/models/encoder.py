"""The encoder of WaveMAE: STFT patches in, features out; it computes what is visible, nothing else."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from audiorig.config import PitchConfig, SpectrogramConfig, TeacherConfig, WaveMAEModelConfig
from audiorig.models.convnext import ConvNeXtBlock, Slots
from audiorig.models.masks import num_hidden
from audiorig.models.outputs import EncoderOutput
from audiorig.models.spectrogram import SpectrumStatistics, log_magnitude


class WaveMAEConfig(PretrainedConfig):
    """Everything that gives a WaveMAE its shape; the sections as in the YAML."""

    model_type = "wavemae"

    def __init__(
        self,
        sample_rate_hz: int = 24000,
        spectrogram: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        pitch: dict[str, Any] | None = None,
        teacher: dict[str, Any] | None = None,
        num_teacher_features: int = 0,
        **other: Any,
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.spectrogram = SpectrogramConfig.model_validate(spectrogram or {}).model_dump()
        self.model = WaveMAEModelConfig.model_validate(model or {}).model_dump()
        self.pitch = PitchConfig.model_validate(pitch or {}).model_dump()
        self.teacher = TeacherConfig.model_validate(teacher or {}).model_dump()
        self.num_teacher_features = num_teacher_features
        super().__init__(**other)


class PatchEncoder(PreTrainedModel):
    """Everything of a WaveMAE that stays after the training."""

    config_class = WaveMAEConfig
    main_input_name = "waveform"
    has_fixed_shapes = False  # in training, as many slots as a full crop needs: compiled blocks ask for it
    config: WaveMAEConfig
    bin_mean: Tensor
    bin_std: Tensor
    is_scored: Tensor

    def __init__(self, config: WaveMAEConfig) -> None:
        super().__init__(config)
        self.stft = SpectrogramConfig.model_validate(config.spectrogram)
        self.shape = shape = WaveMAEModelConfig.model_validate(config.model)
        num_bins = self.stft.n_fft // 2 + 1
        self.register_buffer("bin_mean", torch.zeros(num_bins))
        self.register_buffer("bin_std", torch.ones(num_bins))
        self.register_buffer("is_scored", torch.ones(num_bins, dtype=torch.bool))
        self.stem = nn.Linear(shape.stride * num_bins, shape.width)
        self.encoder_token = nn.Parameter(0.02 * torch.randn(shape.width)) if shape.encoder_mode == "dense" else None
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(shape.width, shape.wide_kernel if index % 3 == 2 else shape.kernel)
            for index in range(shape.depth)
        )
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self.config.sample_rate_hz

    def set_statistics(self, statistics: SpectrumStatistics) -> None:
        """Standardise by the statistics of a training split; they are saved with the weights."""
        self.bin_mean.copy_(statistics.mean)
        self.bin_std.copy_(statistics.std)
        self.is_scored.copy_(statistics.is_scored)

    # ---------------------------------------------------------------- input

    def frames(self, waveform: Tensor) -> Tensor:
        """Log magnitudes (B, M, F) of waveforms (B, T): float32 in [-1, 1], or int16."""
        if waveform.dtype == torch.int16:
            waveform = waveform.float() / 32768
        return log_magnitude(waveform, self.stft)

    def patches(self, frames: Tensor, channel: Tensor | None = None) -> Tensor:
        """Standardised log magnitudes, patch by patch.

        Args:
            frames: float32 (B, M, F) as ``frames`` gives them.
            channel: nepers (B, F) that are added before standardising; bins on the floor stay.

        Returns:
            float32 (B, N, stride * F); frames that fill no whole patch are dropped.
        """
        if channel is not None:
            floor = math.log(self.stft.floor)
            lifted = (frames + channel[:, None]).clamp_min(floor)
            frames = torch.where(frames <= floor + 1e-4, frames, lifted)
        frames = (frames - self.bin_mean) / self.bin_std
        num_latents = frames.shape[1] // self.shape.stride
        return frames[:, : num_latents * self.shape.stride].reshape(len(frames), num_latents, -1)

    def is_real(self, lengths: Tensor, num_latents: int) -> Tensor:
        """bool (B, N): latents whose frames all begin within the item."""
        real = (1 + lengths // self.stft.hop) // self.shape.stride
        return torch.arange(num_latents, device=lengths.device) < real[:, None]

    def remove_level(self, patches: Tensor, is_visible: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract each item's mean over visible frames and scored bins.

        Returns:
            The patches, and the level (B, 1, 1) that was taken out of their scored bins.
        """
        scored = self.is_scored.repeat(self.shape.stride).to(patches.dtype)
        if not self.shape.remove_level:
            return patches, patches.new_zeros(len(patches), 1, 1)
        means = (patches * scored).sum(-1) / scored.sum().clamp_min(1)
        weight = is_visible.to(patches.dtype)
        level = ((means * weight).sum(1) / weight.sum(1).clamp_min(1))[:, None, None]
        return patches - level * scored, level

    # -------------------------------------------------------------- encoder

    def encode(self, waveform: Tensor, lengths: Tensor | None = None) -> EncoderOutput:
        """Features of whole waveforms, nothing hidden; invariant to padding.

        Args:
            waveform: float32 (B, T) at ``config.sample_rate_hz``, zeros after an item's end.
            lengths: int64 (B,) samples of each item; all T if not given.
        """
        if lengths is None:
            lengths = torch.full((len(waveform),), waveform.shape[1], device=waveform.device)
        patches = self.patches(self.frames(waveform))
        is_real = self.is_real(lengths, patches.shape[1])
        patches, _ = self.remove_level(patches, is_real)
        layers = self.encode_patches(patches, Slots.whole(is_real))
        return EncoderOutput(features=self.norm(layers[-1]), is_padding=~is_real, layers=layers)

    def encode_patches(self, patches: Tensor, slots: Slots, is_hidden: Tensor | None = None) -> tuple[Tensor, ...]:
        """The output of each block, (B, V, D), before the last norm.

        Args:
            patches: (B, N, stride * F); only what ``slots`` names is read.
            is_hidden: bool (B, N), replaced by the encoder's mask token (dense mode only).
        """
        tokens = self.stem(slots.gather(patches))
        if is_hidden is not None and self.encoder_token is not None:
            tokens = torch.where(is_hidden[..., None], self.encoder_token.to(tokens.dtype), tokens)
        layers = []
        for block in self.blocks:
            tokens = block(tokens, slots)
            layers.append(tokens)
        return tuple(layers)

    def encode_visible(self, patches: Tensor, is_hidden: Tensor, is_real: Tensor) -> tuple[Tensor, Slots]:
        """Latents of the visible patches (B, V, D) after the last norm, and where they lie."""
        is_visible = is_real & ~is_hidden
        if self.shape.encoder_mode == "sparse":
            num_latents = is_visible.shape[1]
            num_slots = num_latents - num_hidden(num_latents, self.shape.mask_ratio)
            slots = Slots.only(is_visible, num_slots if self.has_fixed_shapes and self.training else None)
            return self.norm(self.encode_patches(patches, slots)[-1]), slots
        slots = Slots.whole(is_real)
        hidden_away = patches.masked_fill(is_hidden[..., None], 0.0)
        return self.norm(self.encode_patches(hidden_away, slots, is_hidden)[-1]), slots
