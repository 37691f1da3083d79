"""One-dimensional ConvNeXt V2 blocks that compute only what they are allowed to see.

Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", CVPR 2023.
Two changes: convolutions run over time, and the response norm sums over the valid positions of
one item (the published sparse version sums over the whole batch, so that items see each other).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Slots:
    """Where the tokens of a block lie on the grid of latents.

    Attributes:
        is_valid: bool (B, V), False for slots that only fill the batch up.
        index: int64 (B, V), the grid position of each slot; fillers point to ``num_latents``, a
            row behind the grid that stays zero. None if slot n is grid position n.
        num_latents: N, length of the grid.
    """

    is_valid: Tensor
    index: Tensor | None
    num_latents: int

    @classmethod
    def whole(cls, is_valid: Tensor) -> "Slots":
        """Every position of the grid has a slot."""
        return cls(is_valid, None, is_valid.shape[1])

    @classmethod
    def only(cls, is_visible: Tensor) -> "Slots":
        """Slots for the visible positions alone, in order.

        Args:
            is_visible: bool (B, N).
        """
        num_latents = is_visible.shape[1]
        counts = is_visible.sum(1)
        order = torch.argsort(~is_visible, dim=1, stable=True)[:, : max(1, int(counts.max()))]
        is_valid = torch.arange(order.shape[1], device=order.device) < counts[:, None]
        return cls(is_valid, order.masked_fill(~is_valid, num_latents), num_latents)

    def gather(self, grid: Tensor) -> Tensor:
        """(B, N, D) to (B, V, D); fillers are zero."""
        if self.index is None:
            return grid * self.is_valid[..., None]
        padded = functional.pad(grid, (0, 0, 0, 1))
        return padded.gather(1, self.index[..., None].expand(-1, -1, grid.shape[2]))

    def scatter(self, tokens: Tensor) -> Tensor:
        """(B, V, D) to (B, N, D); everything without a valid slot is zero."""
        tokens = tokens * self.is_valid[..., None]
        if self.index is None:
            return tokens
        grid = tokens.new_zeros(tokens.shape[0], self.num_latents + 1, tokens.shape[2])
        index = self.index[..., None].expand(-1, -1, tokens.shape[2])
        return grid.scatter(1, index, tokens)[:, :-1]


class GlobalResponseNorm(nn.Module):
    """Competition between channels (ConvNeXt V2, equation 1-3), over one item's valid positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor, is_valid: Tensor) -> Tensor:
        """(B, V, D) to (B, V, D), in float32: eps would vanish in half precision."""
        tokens = tokens.float()
        # Not vector_norm: over a middle axis it takes a tenth of a training step on a CPU. The
        # little that is added keeps the gradient of an empty channel finite.
        energy = ((tokens * is_valid[..., None]).square().sum(1, keepdim=True) + 1e-12).sqrt()
        response = energy / (energy.mean(dim=-1, keepdim=True) + 1e-6)
        return self.gamma * (tokens * response) + self.beta + tokens


class DepthwiseConv(nn.Module):
    """Depthwise convolution over time on (B, N, D).

    Run as a two-dimensional one of height 1 on a channels-last view: no copy is made, and with
    kernel 31 it is several times as fast as conv1d on a CPU.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 1, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, grid: Tensor) -> Tensor:
        width, kernel = self.weight.shape[0], self.weight.shape[3]
        image = grid.unsqueeze(1).permute(0, 3, 1, 2)
        mixed = functional.conv2d(image, self.weight, self.bias, padding=(0, kernel // 2), groups=width)
        return mixed.permute(0, 2, 3, 1).squeeze(1)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, expansion to 4 D, GELU, response norm, back to D; residual."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = DepthwiseConv(width, kernel)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, 4 * width)
        self.response = GlobalResponseNorm(4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, slots: Slots) -> Tensor:
        """(B, V, D) to (B, V, D). Whatever has no valid slot is zero before the convolution."""
        mixed = slots.gather(self.conv(slots.scatter(tokens)))
        hidden = functional.gelu(self.expand(self.norm(mixed)))
        return tokens + self.contract(self.response(hidden, slots.is_valid))
