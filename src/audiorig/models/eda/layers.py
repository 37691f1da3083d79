"""What encoders and decoders are made of: convolutions and attention that padding on the left cannot reach.

Sequences are padded on the left by whole steps. A convolution brings zeros of its own to the onset, so what is
padded must be zero too, after every layer: a bias alone would make it something, and leak into the first steps.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LONGEST_PERIOD_SEC = 512.0
SHORTEST_PERIOD_SEC = 0.5


class Conv(nn.Module):
    """A convolution over (B, W, L) that keeps the length; causal, or with as much of what comes as of what was."""

    def __init__(self, width: int, out_width: int, kernel: int, dilation: int, is_causal: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, out_width, kernel, dilation=dilation)
        reach = (kernel - 1) * dilation
        self.padding = (reach, 0) if is_causal else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, L) to (B, W', L)."""
        out: Tensor = self.conv(functional.pad(x, self.padding))
        return out


class Patches(nn.Module):
    """Makes one frame of ``stride`` frames that do not overlap."""

    def __init__(self, num_inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(num_inputs * stride, width)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, N, C) to (B, N / stride, W)."""
        batch, length, width = frames.shape
        out: Tensor = self.linear(frames.reshape(batch, length // self.stride, self.stride * width))
        return out


def pooled(frames: Tensor, num_steps: int) -> Tensor:
    """Means of the frames of each step: (B, L, W) to (B, M, W). Nothing of a later step is in it."""
    batch, length, width = frames.shape
    return frames.reshape(batch, num_steps, length // num_steps, width).mean(dim=2)


def step_times(is_padding: Tensor, start: Tensor, rate_hz: float) -> Tensor:
    """Seconds since the song's onset of each step, (B, M); of padding, those of the first step that is none.

    Args:
        is_padding: bool (B, M), True on the left.
        start: int64 (B,), step of the song at which the first real step lies.
    """
    place = torch.arange(is_padding.shape[1], device=is_padding.device) - is_padding.sum(dim=1, keepdim=True)
    return (start[:, None] + place.clamp(min=0)) / rate_hz


def sinusoids(times: Tensor, width: int) -> Tensor:
    """Sines and cosines of times, (B, M) to (B, M, D): periods of half a second to minutes, so any time has some."""
    count = (width + 1) // 2
    periods = torch.logspace(
        math.log10(SHORTEST_PERIOD_SEC), math.log10(LONGEST_PERIOD_SEC), count, device=times.device
    )
    angles = 2 * math.pi * times[..., None] / periods
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]


def attention_mask(is_padding: Tensor, is_causal: bool, context: int | None = None) -> Tensor:
    """Who may look at whom: bool (B, 1, M, M), True where a query (row) sees a key.

    A padded query sees itself alone: with nothing to see, attention would be NaN.

    Args:
        context: steps that are seen, the own one among them; to each side where it is not causal.
    """
    length = is_padding.shape[1]
    place = torch.arange(length, device=is_padding.device)
    distance = place[:, None] - place[None, :]
    allowed = torch.ones_like(distance, dtype=torch.bool)
    if is_causal:
        allowed &= distance >= 0
    if context is not None:
        allowed &= distance.abs() < context
    sees = allowed & ~is_padding[:, None, :]
    return (sees | (distance == 0))[:, None]


class Attention(nn.Module):
    """Attention of several heads (Vaswani et al., 2017), of queries (B, M, D) to a memory (B, M, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (self._split(x) for x in (self.query(queries), *self.key_value(memory).chunk(2, dim=-1)))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention, then two layers at each step; the norm comes before each, dropout after (pre-norm)."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_queries = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_hidden = nn.LayerNorm(width)
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None) -> Tensor:
        """(B, M, D) to (B, M, D); without a memory it looks at itself."""
        queries = self.norm_queries(x)
        x = x + self.dropout(self.attention(queries, queries if memory is None else memory, mask))
        out: Tensor = x + self.dropout(self.hidden(self.norm_hidden(x)))
        return out
