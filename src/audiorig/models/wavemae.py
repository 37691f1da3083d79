"""WaveMAE: a masked autoencoder on STFT frames.

A patch of ``stride`` log-magnitude frames becomes a latent; spans of latents are hidden; a
ConvNeXt V2 encoder sees the visible ones only; one shallow block fills the gaps, and small
decoders on top of it tell the pitch and what a teacher says. After He et al., "Masked
Autoencoders Are Scalable Vision Learners" (2022) and ConvNeXt V2 (2023).
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.config import PitchConfig, TeacherConfig
from audiorig.models.convnext import ConvNeXtBlock, DepthwiseConv, Slots
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.models.outputs import Reconstruction, WaveMAEOutput
from audiorig.models.perceptual import PerceptualLoss
from audiorig.models.pitch_decoder import PitchDecoder
from audiorig.models.teacher_decoder import CodeDecoder, FeatureDecoder
from audiorig.models.teachers.bestrq import BestRQ
from audiorig.randomness import random_state_fence

TYPICAL_DEVIATION = 0.7  # of a patch, standardised: the level head predicts log(deviation / this)


class WaveMAE(PatchEncoder):
    """The model; ``forward`` trains it, ``encode`` is for everyone else."""

    accepts_loss_kwargs = False  # the loss is a mean over the micro-batch
    no_decay_names: ClassVar[tuple[str, ...]] = ("gamma", "beta", "token")

    def __init__(self, config: WaveMAEConfig) -> None:
        super().__init__(config)
        shape = self.shape
        num_patch = shape.stride * len(self.bin_mean)
        self.to_decoder = nn.Linear(shape.width, shape.decoder_width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(shape.decoder_width))
        self.decoder = nn.ModuleList(
            ConvNeXtBlock(shape.decoder_width, shape.decoder_kernel) for _ in range(shape.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(shape.decoder_width, eps=1e-6)
        self.patch_head = nn.Linear(shape.decoder_width, num_patch)
        self.level_head = nn.Linear(shape.decoder_width, 2) if shape.target == "shape_level" else None
        # Fenced and last: the weights above are the same with any of these on or off.
        with torch.random.fork_rng(devices=[]):
            self._build_auxiliary(config)
        self.post_init()

    def _build_auxiliary(self, config: WaveMAEConfig) -> None:
        """What has a weight in the loss; nothing else is built."""
        shape, weights = self.shape, self.shape.weights
        pitch, teacher = PitchConfig.model_validate(config.pitch), TeacherConfig.model_validate(config.teacher)
        self.perceptual = PerceptualLoss(self.stft, config.sample_rate_hz) if weights.main_percep else None
        self.pitch_decoder = (
            PitchDecoder(shape.decoder_width, shape.pitch_width, shape.stride, shape.pitch_bins, pitch)
            if weights.aux_crepe
            else None
        )
        self.best_rq: BestRQ | None = None
        self.teacher_decoder: CodeDecoder | FeatureDecoder | None = None
        if weights.aux_w2v and teacher.kind == "bestrq":
            self.best_rq = BestRQ(self.stft, config.sample_rate_hz, shape.stride, teacher.codebooks, teacher.codes)
            self.teacher_decoder = CodeDecoder(shape.decoder_width, teacher)
        elif weights.aux_w2v:
            self.teacher_decoder = FeatureDecoder(shape.decoder_width, config.num_teacher_features)

    @property
    def part_weights(self) -> dict[str, float]:
        """Weight of each part that the loss has."""
        return {name: weight for name, weight in self.shape.weights.model_dump().items() if weight}

    @property
    def w2v_target(self) -> str:
        """What the W2V decoder learns: bestrq, w2v-bert or none."""
        return str(self.config.teacher["kind"]) if self.teacher_decoder is not None else "none"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | DepthwiseConv):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

    def untrained(self, seed: int) -> "WaveMAE":
        """An encoder of the same shape and standardisation that has learnt nothing."""
        with random_state_fence():
            torch.manual_seed(seed)
            fresh = WaveMAE(self.config).eval()
        for name in ("bin_mean", "bin_std", "is_scored"):
            getattr(fresh, name).copy_(getattr(self, name))
        return fresh

    # -------------------------------------------------------------- decoder

    def decode(self, latents: Tensor, slots: Slots, is_hidden: Tensor, is_real: Tensor) -> Tensor:
        """Latents of the decoder (B, N, decoder width), hidden positions filled in."""
        tokens = slots.scatter(self.to_decoder(latents))
        tokens = torch.where(is_hidden[..., None], self.mask_token.to(tokens.dtype), tokens)
        everything = Slots.whole(is_real)
        for block in self.decoder:
            tokens = block(tokens, everything)
        return tokens

    def predict(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (H, stride * F) and levels (H, 2) of normed decoder latents (H, decoder width)."""
        levels = tokens.new_zeros(len(tokens), 2) if self.level_head is None else self.level_head(tokens)
        return self.patch_head(tokens).float(), levels.float()

    def with_level(self, predicted: Tensor, levels: Tensor) -> Tensor:
        """Predicted patches (H, stride * F) on the scale of the input; unscored bins at the floor."""
        if self.level_head is not None:
            predicted = predicted * (levels[:, 1:].exp() * TYPICAL_DEVIATION) + levels[:, :1]
        floor = ((math.log(self.stft.floor) - self.bin_mean) / self.bin_std).repeat(self.shape.stride)
        return torch.where(self.is_scored.repeat(self.shape.stride), predicted, floor)

    # ----------------------------------------------------------------- loss

    def forward(
        self,
        waveform: Tensor,
        lengths: Tensor,
        is_hidden: Tensor,
        channel: Tensor | None = None,
        pitch_hz: Tensor | None = None,
        is_voiced: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> WaveMAEOutput:
        """Hide, encode, rebuild, compare: the loss of a batch.

        Args:
            waveform: (B, T), zeros after an item's end.
            lengths: int64 (B,) samples of each item.
            is_hidden: bool (B, N), False behind an item's end.
            channel: nepers (B, F), the augmentation of each item.
            pitch_hz: float32 (B, N * stride), for the pitch decoder.
            is_voiced: bool (B, N * stride).
            teacher: float32 (B, N, K), the teacher's features; not given if it is BEST-RQ.

        Raises:
            ValueError: if the batch lacks what a part of the loss needs.
        """
        frames = self.frames(waveform)
        patches = self.patches(frames, channel)
        is_real = self.is_real(lengths, patches.shape[1])
        patches, level = self.remove_level(patches, is_real & ~is_hidden)
        tokens = self.decode(*self.encode_visible(patches, is_hidden, is_real), is_hidden, is_real)
        hidden = self.decoder_norm(tokens[is_hidden])
        predicted, levels = self.predict(hidden)
        errors = self._patch_errors(patches[is_hidden], predicted, levels)
        if self.pitch_decoder is not None:
            if pitch_hz is None or is_voiced is None:
                raise ValueError("the pitch loss has a weight (aux_crepe), but the batch holds no pitch")
            truth = (each.unflatten(1, (-1, self.shape.stride))[is_hidden] for each in (pitch_hz, is_voiced))
            bins, voicing = self.pitch_decoder(tokens, pitch_hz, is_voiced, is_hidden, is_real)
            errors["aux_crepe"] = self.pitch_decoder.errors(bins, voicing, *truth)
        if self.teacher_decoder is not None:
            target = teacher if self.best_rq is None else self.best_rq(frames, is_real)
            if target is None:
                raise ValueError("the W2V loss has a weight (aux_w2v), but the batch holds no features of the teacher")
            errors["aux_w2v"] = self.teacher_decoder(hidden, target[is_hidden])
        if self.perceptual is not None:
            errors["main_percep"] = self._perceptual_errors(patches, level, predicted, levels, is_hidden)
        return self._weighted(errors)

    def _weighted(self, errors: dict[str, Tensor]) -> WaveMAEOutput:
        """The loss and its parts, of the errors of latents or items."""
        means = {name: error.sum() / max(1, len(error)) for name, error in errors.items()}
        weighted = (weight * means[name] for name, weight in self.part_weights.items())
        loss = sum(weighted, start=means["main_recon"].new_zeros(()))
        count = {name: torch.tensor(float(max(1, len(error)))) for name, error in errors.items()}
        parts = {name: (error.detach().sum(), count[name].to(error.device)) for name, error in errors.items()}
        return WaveMAEOutput(loss=loss, parts=parts)

    def _scored(self) -> Tensor:
        """float32 (stride * F,): 1 where a bin is scored."""
        return self.is_scored.repeat(self.shape.stride).to(torch.float32)

    def _patch_errors(self, target: Tensor, predicted: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """Squared errors (H,) of the hidden patches, by name."""
        scored = self._scored()
        if self.level_head is None:
            return {"main_recon": _scored_mean((predicted - target).square(), scored)}
        mean = _scored_mean(target, scored)
        deviation = (_scored_mean((target - mean[:, None]).square(), scored) + 1e-4).sqrt()
        true_levels = torch.stack([mean, (deviation / TYPICAL_DEVIATION).log()], dim=1)
        shape = _scored_mean((predicted - (target - mean[:, None]) / deviation[:, None]).square(), scored)
        level = functional.mse_loss(levels, true_levels, reduction="none").mean(1)
        return {"main_recon": shape + self.shape.level_weight * level, "shape": shape, "level": level}

    def _perceptual_errors(
        self, patches: Tensor, level: Tensor, predicted: Tensor, levels: Tensor, is_hidden: Tensor
    ) -> Tensor:
        """Perceptual error (b,) of the first items of the batch; their order is random anyway."""
        assert self.perceptual is not None
        is_hidden = is_hidden[: math.ceil(self.shape.percep_share * len(patches))]
        num_hidden, num_items = int(is_hidden.sum()), len(is_hidden)
        patches, level = patches[:num_items], level[:num_items] * self._scored()
        built = patches.masked_scatter(
            is_hidden[..., None], self.with_level(predicted[:num_hidden], levels[:num_hidden])
        )
        frames = is_hidden.repeat_interleave(self.shape.stride, dim=1)
        return self.perceptual(self.magnitudes(built + level), self.magnitudes(patches + level), frames, self.is_scored)

    def magnitudes(self, patches: Tensor) -> Tensor:
        """Log magnitudes (B, N * stride, F) in nepers of standardised patches (B, N, stride * F)."""
        frames = patches.reshape(len(patches), -1, len(self.bin_mean))
        return frames * self.bin_std + self.bin_mean

    # --------------------------------------------------------------- rebuild

    @torch.no_grad()
    def reconstruct(
        self,
        waveform: Tensor,
        lengths: Tensor,
        is_hidden: Tensor,
        pitch_hz: Tensor | None = None,
        is_voiced: Tensor | None = None,
    ) -> Reconstruction:
        """Rebuild what is hidden, from the model's own predictions alone (its levels too)."""
        original = self.patches(self.frames(waveform))
        is_real = self.is_real(lengths, original.shape[1])
        patches, level = self.remove_level(original, is_real & ~is_hidden)
        tokens = self.decode(*self.encode_visible(patches, is_hidden, is_real), is_hidden, is_real)
        guess = original.clone()
        guess[is_real] = self.with_level(*self.predict(self.decoder_norm(tokens[is_real])))
        guess = torch.where(is_real[..., None], guess + level * self._scored(), original)
        pitch: tuple[Tensor | None, Tensor | None] = None, None
        if self.pitch_decoder is not None and pitch_hz is not None and is_voiced is not None:
            hz, voicing = self.pitch_decoder.read(*self.pitch_decoder(tokens, pitch_hz, is_voiced, is_hidden, is_real))
            pitch = self._laid_out(hz, is_hidden), self._laid_out(voicing, is_hidden)
        in_frames = (len(original), -1, len(self.bin_mean))
        filled = torch.where(is_hidden[..., None], guess, original).reshape(in_frames)
        is_hidden, is_real = (mask.repeat_interleave(self.shape.stride, dim=1) for mask in (is_hidden, is_real))
        return Reconstruction(
            original.reshape(in_frames), filled, guess.reshape(in_frames), is_hidden, ~is_real, *pitch
        )

    def _laid_out(self, values: Tensor, is_hidden: Tensor) -> Tensor:
        """(H, stride) of the hidden latents to (B, N * stride), zero elsewhere."""
        grid = values.new_zeros(*is_hidden.shape, self.shape.stride)
        grid[is_hidden] = values
        return grid.flatten(1)


def _scored_mean(values: Tensor, scored: Tensor) -> Tensor:
    return (values * scored).sum(-1) / scored.sum().clamp_min(1)
