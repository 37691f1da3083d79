"""Encoders of a song: coefficients (B, N, C), R frames a step, become one vector a step, (B, M, D)."""

import torch
from torch import Tensor, nn

from audiorig.config.eda_model import TransformerEncoderConfig, WaveNetConfig
from audiorig.models.eda.layers import Block, Conv, Patches, attention_mask, pooled, sinusoids


class WaveNetEncoder(nn.Module):
    """Gated convolutions whose dilation doubles from block to block (van den Oord et al., 2016).

    Args:
        settings: sizes.
        num_inputs: C.
        frames_per_step: R, a multiple of the stride.
        is_causal: whether a step depends on nothing after its end.

    Attributes:
        past_steps: how many earlier steps one depends on.
    """

    def __init__(self, settings: WaveNetConfig, num_inputs: int, frames_per_step: int, is_causal: bool) -> None:
        super().__init__()
        width, skip = settings.width, settings.skip_width
        dilations = [2**power for power in range(settings.dilations)] * settings.stacks
        self.width = skip
        self.skip_width = skip
        self.stride = settings.stride
        self.past_steps = -(-(settings.receptive_frames - settings.stride) // frames_per_step)
        self.patches = Patches(num_inputs, width, settings.stride)
        self.gates = nn.ModuleList(Conv(width, 2 * width, settings.kernel, each, is_causal) for each in dilations)
        # Residual and skip in one product; the last block has no residual, which would be computed for nothing.
        last = len(dilations) - 1
        self.outs = nn.ModuleList(
            nn.Conv1d(width, skip if place == last else width + skip, 1) for place in range(len(dilations))
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.mix = nn.Conv1d(skip, skip, 1)

    def forward(self, frames: Tensor, is_padding: Tensor, times: Tensor) -> Tensor:
        """(B, N, C) to (B, M, D), 0 in padding.

        Args:
            frames: 0 in padding.
            is_padding: bool (B, M).
            times: not read: what was heard says where in the song it is.
        """
        num_steps = is_padding.shape[1]
        x = self.patches(frames)
        is_real = ~is_padding.repeat_interleave(x.shape[1] // num_steps, dim=1)[:, None]
        x = x.transpose(1, 2) * is_real
        skipped: Tensor | None = None
        for gate, out in zip(self.gates, self.outs, strict=True):
            signal, opened = gate(self.dropout(x)).chunk(2, dim=1)
            found = out(signal.tanh() * opened.sigmoid())
            skipped = found[:, -self.skip_width :] if skipped is None else skipped + found[:, -self.skip_width :]
            if found.shape[1] > self.skip_width:
                x = (x + found[:, : -self.skip_width]) * is_real
        assert skipped is not None, "there are no blocks"
        mixed = self.mix(skipped.relu()).relu() * is_real
        return pooled(mixed.transpose(1, 2), num_steps)


class TransformerEncoder(nn.Module):
    """Attention over the steps, with their time since the onset.

    Args: as ``WaveNetEncoder``.

    Attributes:
        past_steps: how many earlier steps one depends on; None: all of them.
    """

    def __init__(
        self,
        settings: TransformerEncoderConfig,
        num_inputs: int,
        frames_per_step: int,
        is_causal: bool,
        rate_hz: float,
    ) -> None:
        super().__init__()
        self.width = settings.width
        self.is_causal = is_causal
        self.context = None if settings.context_sec is None else max(1, round(settings.context_sec * rate_hz))
        self.past_steps = None if self.context is None else settings.layers * (self.context - 1)
        self.patches = Patches(num_inputs, settings.width, settings.stride)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.hidden, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, frames: Tensor, is_padding: Tensor, times: Tensor) -> Tensor:
        """(B, N, C) to (B, M, D), 0 in padding; ``times`` as ``step_times`` gives them."""
        x = pooled(self.patches(frames), is_padding.shape[1])
        x = self.dropout(x + sinusoids(times, self.width).to(x.dtype))
        mask = attention_mask(is_padding, self.is_causal, self.context)
        for block in self.blocks:
            x = block(x, mask)
        return torch.where(is_padding[..., None], 0, self.norm(x))
