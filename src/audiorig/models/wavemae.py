"""WaveMAE: a masked autoencoder on STFT frames.

A patch of ``stride`` log-magnitude frames becomes a latent; spans of latents are hidden; a
ConvNeXt V2 encoder sees the visible ones only; one shallow block fills the gaps. After He et al.,
"Masked Autoencoders Are Scalable Vision Learners" (2022) and ConvNeXt V2 (2023).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from audiorig.config import SpectrogramConfig, WaveMAEModelConfig
from audiorig.models.convnext import ConvNeXtBlock, DepthwiseConv, Slots
from audiorig.models.spectrogram import SpectrumStatistics, log_magnitude

TYPICAL_DEVIATION = 0.7  # of a patch, standardised: the level head predicts log(deviation / this)


class WaveMAEConfig(PretrainedConfig):
    """Everything that gives a WaveMAE its shape; ``model`` and ``spectrogram`` as in the YAML."""

    model_type = "wavemae"

    def __init__(
        self,
        sample_rate_hz: int = 24000,
        spectrogram: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        **other: Any,
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.spectrogram = SpectrogramConfig.model_validate(spectrogram or {}).model_dump()
        self.model = WaveMAEModelConfig.model_validate(model or {}).model_dump()
        super().__init__(**other)


@dataclass
class WaveMAEOutput(ModelOutput):
    """Loss of a batch.

    Attributes:
        loss: scalar.
        parts: name -> (sum over hidden latents, number of hidden latents), detached.
    """

    loss: Tensor | None = None
    parts: dict[str, tuple[Tensor, Tensor]] | None = None


class EncoderOutput(NamedTuple):
    """Features of a batch.

    Attributes:
        features: float32 (B, N, D), after the last norm.
        is_padding: bool (B, N), True behind an item's end.
        layers: the output of each block, (B, N, D) each.
    """

    features: Tensor
    is_padding: Tensor
    layers: tuple[Tensor, ...]


@dataclass(frozen=True)
class Reconstruction:
    """Standardised log magnitudes of a batch, whole patches only: M = N * stride frames.

    Attributes:
        original: float32 (B, M, F).
        predicted: float32 (B, M, F); equal to ``original`` where nothing was hidden.
        is_hidden: bool (B, M).
        is_padding: bool (B, M).
    """

    original: Tensor
    predicted: Tensor
    is_hidden: Tensor
    is_padding: Tensor


class WaveMAE(PreTrainedModel):
    """The model; ``forward`` trains it, ``encode`` is for everyone else."""

    config_class = WaveMAEConfig
    main_input_name = "waveform"
    accepts_loss_kwargs = False  # the loss is a mean over the micro-batch
    no_decay_names: ClassVar[tuple[str, ...]] = ("gamma", "beta", "token")
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
        self.encoder_token = nn.Parameter(torch.zeros(shape.width)) if shape.encoder_mode == "dense" else None
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(shape.width, shape.wide_kernel if index % 3 == 2 else shape.kernel)
            for index in range(shape.depth)
        )
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.to_decoder = nn.Linear(shape.width, shape.decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(shape.decoder_width))
        self.decoder = nn.ModuleList(
            ConvNeXtBlock(shape.decoder_width, shape.decoder_kernel) for _ in range(shape.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(shape.decoder_width, eps=1e-6)
        self.patch_head = nn.Linear(shape.decoder_width, shape.stride * num_bins)
        self.level_head = nn.Linear(shape.decoder_width, 2) if shape.target == "shape_level" else None
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | DepthwiseConv):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif module is self:
            nn.init.trunc_normal_(self.mask_token, std=0.02)
            if self.encoder_token is not None:
                nn.init.trunc_normal_(self.encoder_token, std=0.02)

    def set_statistics(self, statistics: SpectrumStatistics) -> None:
        """Standardise by the statistics of a training split; they are saved with the weights."""
        self.bin_mean.copy_(statistics.mean)
        self.bin_std.copy_(statistics.std)
        self.is_scored.copy_(statistics.is_scored)

    # ---------------------------------------------------------------- input

    def patches(self, waveform: Tensor, channel: Tensor | None = None) -> Tensor:
        """Standardised log magnitudes, patch by patch.

        Args:
            waveform: float32 (B, T) at ``config.sample_rate_hz``.
            channel: nepers (B, F) that are added before standardising; bins on the floor stay.

        Returns:
            float32 (B, N, stride * F); frames that fill no whole patch are dropped.
        """
        frames = log_magnitude(waveform, self.stft)
        if channel is not None:
            floor = torch.tensor(self.stft.floor, device=frames.device).log()
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
        patches = self.patches(waveform)
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
            slots = Slots.only(is_visible)
            return self.norm(self.encode_patches(patches, slots)[-1]), slots
        slots = Slots.whole(is_real)
        hidden_away = patches.masked_fill(is_hidden[..., None], 0.0)
        return self.norm(self.encode_patches(hidden_away, slots, is_hidden)[-1]), slots

    # -------------------------------------------------------------- decoder

    def decode(self, latents: Tensor, slots: Slots, is_hidden: Tensor, is_real: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the hidden patches.

        Returns:
            The predicted patches (H, stride * F) and levels (H, 2), for the H hidden latents of
            the batch in order.
        """
        tokens = slots.scatter(self.to_decoder(latents))
        tokens = torch.where(is_hidden[..., None], self.mask_token.to(tokens.dtype), tokens)
        everything = Slots.whole(is_real)
        for block in self.decoder:
            tokens = block(tokens, everything)
        hidden = self.decoder_norm(tokens[is_hidden])
        levels = hidden.new_zeros(len(hidden), 2) if self.level_head is None else self.level_head(hidden)
        return self.patch_head(hidden).float(), levels.float()

    def forward(
        self, waveform: Tensor, lengths: Tensor, is_hidden: Tensor, channel: Tensor | None = None
    ) -> WaveMAEOutput:
        """Hide, encode, rebuild, compare: the loss of a batch.

        Args:
            waveform: float32 (B, T), zeros after an item's end.
            lengths: int64 (B,) samples of each item.
            is_hidden: bool (B, N), False behind an item's end.
            channel: nepers (B, F), the augmentation of each item.
        """
        patches = self.patches(waveform, channel)
        is_real = self.is_real(lengths, patches.shape[1])
        patches, _ = self.remove_level(patches, is_real & ~is_hidden)
        latents, slots = self.encode_visible(patches, is_hidden, is_real)
        predicted, levels = self.decode(latents, slots, is_hidden, is_real)
        errors = self._errors(patches[is_hidden], predicted, levels)
        count = is_hidden.sum().clamp_min(1)
        main = errors["shape"] + self.shape.level_weight * errors["level"] if self.level_head else errors["global"]
        parts = {name: (error.detach().sum(), count) for name, error in {"main_recon": main, **errors}.items()}
        return WaveMAEOutput(loss=main.sum() / count, parts=parts)

    def _errors(self, target: Tensor, predicted: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """Squared errors (H,) of the hidden patches, by name."""
        scored = self.is_scored.repeat(self.shape.stride).to(target.dtype)
        if self.level_head is None:
            return {"global": _scored_mean((predicted - target).square(), scored)}
        mean, deviation = self._patch_level(target, scored)
        shape = (target - mean[:, None]) / deviation[:, None]
        true_levels = torch.stack([mean, (deviation / TYPICAL_DEVIATION).log()], dim=1)
        return {
            "shape": _scored_mean((predicted - shape).square(), scored),
            "level": functional.mse_loss(levels, true_levels, reduction="none").mean(1),
        }

    @staticmethod
    def _patch_level(target: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (H,) of each patch over its scored bins."""
        mean = _scored_mean(target, scored)
        variance = _scored_mean((target - mean[:, None]).square(), scored)
        return mean, (variance + 1e-4).sqrt()

    @torch.no_grad()
    def reconstruct(self, waveform: Tensor, lengths: Tensor, is_hidden: Tensor) -> Reconstruction:
        """Rebuild what is hidden, from the model's own predictions alone (its levels too)."""
        original = self.patches(waveform)
        is_real = self.is_real(lengths, original.shape[1])
        patches, level = self.remove_level(original, is_real & ~is_hidden)
        predicted, levels = self.decode(*self.encode_visible(patches, is_hidden, is_real), is_hidden, is_real)
        if self.level_head is not None:
            predicted = predicted * (levels[:, 1:].exp() * TYPICAL_DEVIATION) + levels[:, :1]
        filled = patches.clone()
        filled[is_hidden] = predicted
        filled = filled + level * self.is_scored.repeat(self.shape.stride)
        frames = (len(original), -1, self.bin_mean.shape[0])
        is_hidden, is_real = (mask.repeat_interleave(self.shape.stride, dim=1) for mask in (is_hidden, is_real))
        return Reconstruction(original.reshape(frames), filled.reshape(frames), is_hidden, ~is_real)


def _scored_mean(values: Tensor, scored: Tensor) -> Tensor:
    return (values * scored).sum(-1) / scored.sum().clamp_min(1)
