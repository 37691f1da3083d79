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
        rows: int64 (B * V,), the row of each slot in a grid laid out as (B * N, D). No two are
            equal: fillers lie on positions of their item that have no slot. None if slot n is
            grid position n.
        num_latents: N, length of the grid.
        is_full: every slot is known to be valid.
    """

    is_valid: Tensor
    rows: Tensor | None
    num_latents: int
    is_full: bool = False

    @classmethod
    def whole(cls, is_valid: Tensor) -> "Slots":
        """Every position of the grid has a slot."""
        return cls(is_valid, None, is_valid.shape[1], _known_full(is_valid))

    @classmethod
    def only(cls, is_visible: Tensor, num_slots: int | None = None) -> "Slots":
        """Slots for the visible positions alone, in order.

        Args:
            is_visible: bool (B, N).
            num_slots: V, at least the visible positions of any item; the most of the batch if not
                given, which is a shape that changes between batches and that a GPU is waited for.
        """
        num_items, num_latents = is_visible.shape
        counts = is_visible.sum(1)
        if num_slots is None:
            num_slots = max(1, int(counts.max()))
        assert is_visible.is_cuda or int(counts.max()) <= num_slots, "an item sees more than it has slots"
        order = torch.argsort(~is_visible, dim=1, stable=True)[:, :num_slots]
        is_valid = torch.arange(num_slots, device=order.device) < counts[:, None]
        rows = (order + num_latents * torch.arange(num_items, device=order.device)[:, None]).flatten()
        return cls(is_valid, rows, num_latents, _known_full(is_valid))

    def gather(self, grid: Tensor) -> Tensor:
        """(B, N, D) to (B, V, D); fillers are zero."""
        if self.rows is None:
            return self._blank(grid)
        # Whole rows by one flat index: gather() with an expanded index takes three times as long.
        tokens = grid.reshape(-1, grid.shape[2]).index_select(0, self.rows)
        return self._blank(tokens.view(len(grid), -1, grid.shape[2]))

    def scatter(self, tokens: Tensor) -> Tensor:
        """(B, V, D) to (B, N, D); everything without a valid slot is zero."""
        tokens = self._blank(tokens)
        if self.rows is None:
            return tokens
        num_items, _, width = tokens.shape
        grid = tokens.new_zeros(num_items * self.num_latents, width)
        return grid.index_copy(0, self.rows, tokens.reshape(-1, width)).view(num_items, -1, width)

    @property
    def mask(self) -> Tensor | None:
        """``is_valid``, or None where it would change nothing."""
        # A compiled block uses it always: it costs nothing there, and one compilation does for all batches.
        return self.is_valid if torch.compiler.is_compiling() or not self.is_full else None

    def _blank(self, tokens: Tensor) -> Tensor:
        """(B, V, D) with zeros in the fillers, whatever they held."""
        return tokens if self.mask is None else tokens.masked_fill(~self.mask[..., None], 0.0)


def _known_full(is_valid: Tensor) -> bool:
    """Whether all slots are valid, where looking is cheap: a GPU would have to be waited for."""
    return is_valid.device.type == "cpu" and bool(is_valid.all())


class GlobalResponseNorm(nn.Module):
    """Competition between channels (ConvNeXt V2, equation 1-3), over one item's valid positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor, is_valid: Tensor | None = None) -> Tensor:
        """(B, V, D) to (B, V, D), in float32: eps would vanish in half precision.

        Args:
            is_valid: bool (B, V); all if not given, which spares a pass over the tokens.
        """
        tokens = tokens.float()
        counted = tokens if is_valid is None else tokens * is_valid[..., None]
        # Not vector_norm: over a middle axis it takes a tenth of a training step on a CPU. The
        # little that is added keeps the gradient of an empty channel finite.
        energy = (counted.square().sum(1, keepdim=True) + 1e-12).sqrt()
        response = energy / (energy.mean(dim=-1, keepdim=True) + 1e-6)
        # gamma * tokens * response + beta + tokens, in one pass over the tokens instead of four.
        return torch.addcmul(self.beta, tokens, 1 + self.gamma * response)


class DepthwiseConv(nn.Module):
    """Depthwise convolution over time on (B, N, D).

    Run as a two-dimensional one on a channels-last view, so that no copy is made, with time as the
    height and a width of 1. Forward and backward of kernel 31 on a CPU take a quarter of what they
    take with time as the width, and an eighth of conv1d (`benchmarks/encoder.py`).
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 1, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, grid: Tensor) -> Tensor:
        width, kernel = self.weight.shape[0], self.weight.shape[3]
        image = grid.unsqueeze(2).permute(0, 3, 1, 2)
        weight = self.weight.transpose(2, 3)
        mixed = functional.conv2d(image, weight, self.bias, padding=(kernel // 2, 0), groups=width)
        return mixed.permute(0, 2, 3, 1).squeeze(2)


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
        return tokens + self.contract(self.response(hidden, slots.mask))
