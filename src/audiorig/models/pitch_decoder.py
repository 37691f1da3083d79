"""The pitch decoder: latents and the visible part of a pitch curve in, the hidden part out."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.config import PitchConfig
from audiorig.models.convnext import ConvNeXtBlock, Slots

REACH = 3  # frames round a hidden one whose pitch has heard it: half of CREPE's 64-ms window
BLUR_CENTS = 25.0  # deviation of the blurred target, as in CREPE (Kim et al., ICASSP 2018)
KERNEL = 31  # latents; as far as the main decoder sees
OCTAVES = 5  # of sines of the pitch: from one wave over the whole range to sixteen, 260 cents each
PITCH_WIDTH = 1 + 2 * OCTAVES  # numbers that say a pitch
CURVE_WIDTH = 2 * (PITCH_WIDTH + 2) + 2  # those of a frame: last and next known pitch, how far, whether; two flags
FAR = 32.0  # frames; distances are counted in these


def unknown_frames(is_hidden: Tensor, stride: int) -> Tensor:
    """bool (B, N * stride): hidden frames, and those whose pitch was measured on hidden audio.

    Args:
        is_hidden: bool (B, N) latents.
    """
    frames = is_hidden.repeat_interleave(stride, dim=1).float()
    return functional.max_pool1d(frames[:, None], 2 * REACH + 1, stride=1, padding=REACH)[:, 0] > 0


class PitchDecoder(nn.Module):
    """Pitch bins and voicing of each frame.

    Args:
        latent_width: width of the main decoder, whose latents come in.
        width: width of this decoder.
        stride: frames per latent.
        num_bins: bins between the lowest and the highest pitch, equal steps in cents.
    """

    def __init__(self, latent_width: int, width: int, stride: int, num_bins: int, pitch: PitchConfig) -> None:
        super().__init__()
        self.stride, self.num_bins = stride, num_bins
        self.min_hz = pitch.min_hz
        self.range_cents = 1200 * math.log2(pitch.max_hz / pitch.min_hz)
        self.from_latents = nn.Linear(latent_width, width)
        self.from_curve = nn.Linear(CURVE_WIDTH * stride, width)
        self.block = ConvNeXtBlock(width, KERNEL)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, stride * (num_bins + 1))

    def position(self, hz: Tensor) -> Tensor:
        """Pitch as 0 (lowest) to 1 (highest)."""
        cents = 1200 * (hz.clamp_min(1e-3) / self.min_hz).log2()
        return (cents / self.range_cents).clamp(0, 1)

    def curve(self, hz: Tensor, is_voiced: Tensor, is_known: Tensor) -> Tensor:
        """What is known of the pitch (B, M) round each frame, as numbers (B, M, CURVE_WIDTH).

        The last known pitch before a frame and the next one behind it, each with its distance: a
        convolution over the known frames alone mixes them, and held hidden pitch worse than
        repeating the last one does (27 against 35 % within 50 cents).
        """
        height = self.position(hz)
        angles = 2 * math.pi * height[..., None] * 2.0 ** torch.arange(OCTAVES, device=hz.device)
        pitch = torch.cat([height[..., None] - 0.5, angles.sin(), angles.cos()], dim=-1)
        is_given, frames = is_known & is_voiced, torch.arange(hz.shape[1], device=hz.device)
        parts = [torch.stack([is_given, is_known], dim=-1).float()]
        for place in (_last(is_given, frames), _next(is_given, frames)):
            exists = ((place >= 0) & (place < len(frames)))[..., None]
            index = place.clamp(0, len(frames) - 1)
            found = pitch.gather(1, index[..., None].expand(-1, -1, PITCH_WIDTH))
            distance = ((index - frames).abs() / FAR).clamp_max(1)[..., None]
            parts += [torch.where(exists, torch.cat([found, distance], dim=-1), 0.0), exists.float()]
        return torch.cat(parts, dim=-1)

    def forward(
        self, latents: Tensor, hz: Tensor, is_voiced: Tensor, is_hidden: Tensor, is_real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the hidden frames.

        Args:
            latents: (B, N, D) of the main decoder.
            hz: float32 (B, N * stride), anything where unknown: it is not read there.
            is_voiced: bool (B, N * stride), likewise.
            is_hidden, is_real: bool (B, N).

        Returns:
            Logits of the bins (H, stride, bins) and of voicing (H, stride), float32.
        """
        is_known = ~unknown_frames(is_hidden, self.stride)
        curve = self.curve(hz, is_voiced, is_known)
        curve = curve.reshape(len(curve), is_hidden.shape[1], -1).to(latents.dtype)
        tokens = self.from_latents(latents) + self.from_curve(curve)
        tokens = self.norm(self.block(tokens, Slots.whole(is_real))[is_hidden])
        logits = self.head(tokens).float().reshape(len(tokens), self.stride, self.num_bins + 1)
        return logits[..., 1:], logits[..., 0]

    def errors(self, bins: Tensor, voicing: Tensor, hz: Tensor, is_voiced: Tensor) -> Tensor:
        """Error of each hidden latent (H,): voicing, and the bin where voiced; guessing costs about 2.

        Args:
            bins, voicing: as ``forward`` returns them.
            hz, is_voiced: the truth, (H, stride).
        """
        centres = torch.linspace(0, self.range_cents, self.num_bins, device=bins.device)
        distance = centres - self.position(hz)[..., None] * self.range_cents
        target = torch.softmax(-0.5 * (distance / BLUR_CENTS).square(), dim=-1)
        bin_error = -(target * bins.log_softmax(-1)).sum(-1) / math.log(self.num_bins)
        truth = is_voiced.float()
        voicing_error = functional.binary_cross_entropy_with_logits(voicing, truth, reduction="none") / math.log(2)
        return (voicing_error + truth * bin_error).mean(1)

    def read(self, bins: Tensor, voicing: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch in Hz, the mean position of the 9 bins round the likeliest, and voicing; (H, stride) each."""
        weights = bins.softmax(-1)
        index = torch.arange(self.num_bins, device=bins.device)
        near = (index - weights.argmax(-1, keepdim=True)).abs() <= 4
        weights = weights * near
        centre = (weights * index).sum(-1) / weights.sum(-1)
        cents = centre / (self.num_bins - 1) * self.range_cents
        return self.min_hz * torch.exp2(cents / 1200), voicing > 0


def _last(is_given: Tensor, frames: Tensor) -> Tensor:
    """The place (B, M) of the last given frame up to each; -1 where there is none."""
    return torch.where(is_given, frames, -1).cummax(dim=1).values


def _next(is_given: Tensor, frames: Tensor) -> Tensor:
    """The place (B, M) of the first given frame from each on; M where there is none."""
    return torch.where(is_given, frames, len(frames)).flip(1).cummin(dim=1).values.flip(1)
