"""From the frames of a clip to one vector. Padding has no part in it, whatever it holds."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.config import PoolingConfig
from audiorig.errors import DataError
from audiorig.models.outputs import EncoderOutput

LEAST_VARIANCE = 1e-10  # below it the gradient of the root is none


class Pooled(NamedTuple):
    """What a pooling gives.

    Attributes:
        vectors: float32 (B, D').
        weights: float32 (B, N), how much each frame counts, zero in padding: of attention; else None.
    """

    vectors: Tensor
    weights: Tensor | None


class Pooling(nn.Module):
    """Joins the frames of each clip, and before that the layers of the encoder.

    ``layers: weighted`` is the learnt weighted sum of SUPERB (Yang et al., 2021, section 2.3): softmax
    weights over what enters the first block and what each block puts out, equal at first. The last of
    them is the encoder's output, behind its final norm: so everything in the encoder learns. The
    others come as they are, and in networks that normalise at the entry of their blocks (Whisper, the
    large models) they grow from block to block: the sum would be that of the loudest. So each layer
    is brought to zero mean and unit variance, frame by frame, before it is weighted.

    Args:
        settings: how.
        width: D, of the encoder's features.
        num_layers: layers that the encoder gives, its blocks and what enters the first one.

    Attributes:
        out_width: D', of the vectors.
        layer_scores: (L,), before the softmax; None for ``layers: last``.
        query: (D,), what attention looks for; zero at first, which is the mean. None for others.
    """

    def __init__(self, settings: PoolingConfig, width: int, num_layers: int) -> None:
        super().__init__()
        self.kind, self.num_layers = settings.kind, num_layers
        self.out_width = 2 * width if settings.kind == "mean_std" else width
        self.layer_scores = nn.Parameter(torch.zeros(num_layers)) if settings.layers == "weighted" else None
        self.query = nn.Parameter(torch.zeros(width)) if settings.kind == "attention" else None

    def forward(self, output: EncoderOutput, names: Sequence[str] | None = None) -> Pooled:
        """One vector a clip.

        Args:
            output: features (B, N, D) of clips.
            names: what the clips are called, for the error; their places in the batch if not given.

        Raises:
            DataError: if a clip has no frame that is not padding.
        """
        _check_frames(output.is_padding, names)
        # Sums over hundreds of frames: in full precision, whatever the encoder computes in.
        with torch.autocast(output.features.device.type, enabled=False):
            return self._joined(output)

    def _joined(self, output: EncoderOutput) -> Pooled:
        is_padding = output.is_padding
        hides = is_padding[..., None]
        # Filled, not multiplied: padding may hold anything, and a NaN times zero is one.
        frames = self._frames(output, hides).float().masked_fill(hides, 0.0)
        counts = (~is_padding).sum(1, keepdim=True)
        if self.query is not None:
            weights = self._attention(frames, is_padding)
            return Pooled(torch.einsum("bn,bnd->bd", weights, frames), weights)
        match self.kind:
            case "max":
                return Pooled(frames.masked_fill(hides, -torch.inf).amax(1), None)
            case "sum":
                return Pooled(frames.sum(1), None)
        mean = frames.sum(1) / counts
        if self.kind == "mean":
            return Pooled(mean, None)
        # Over all frames of the clip (1 / N): it is defined, and zero, for a clip of one frame.
        variance = (frames - mean[:, None]).masked_fill(hides, 0.0).square().sum(1) / counts
        return Pooled(torch.cat([mean, variance.clamp_min(LEAST_VARIANCE).sqrt()], dim=1), None)

    @property
    def layer_weights(self) -> Tensor | None:
        """float32 (L,), how much each layer counts, adding up to 1; None for ``layers: last``."""
        return None if self.layer_scores is None else self.layer_scores.softmax(0)

    def _frames(self, output: EncoderOutput, hides: Tensor) -> Tensor:
        """(B, N, D), before the padding is cleared."""
        weights = self.layer_weights
        if weights is None:
            return output.features
        assert output.has_input and len(output.layers) == self.num_layers, "layers are not those it was built for"
        layers = (*output.layers[:-1], output.features)
        # Layer by layer: stacked, they would be held twice.
        total = torch.zeros_like(output.features, dtype=torch.float32)
        for weight, layer in zip(weights, layers, strict=True):
            total = total + weight * functional.layer_norm(layer.float().masked_fill(hides, 0.0), layer.shape[-1:])
        return total

    def _attention(self, frames: Tensor, is_padding: Tensor) -> Tensor:
        """Weights (B, N) of the frames (B, N, D)."""
        assert self.query is not None
        scores = frames @ (self.query / frames.shape[-1] ** 0.5)
        return scores.masked_fill(is_padding, -torch.inf).softmax(1)


def _check_frames(is_padding: Tensor, names: Sequence[str] | None) -> None:
    empty = is_padding.all(1).nonzero().flatten().tolist()
    if empty:
        named = ", ".join(names[place] if names is not None else f"item {place} of the batch" for place in empty[:5])
        raise DataError(
            f"{len(empty)} of {len(is_padding)} clips have no frame that is not padding: {named}"
            f"{', ...' if len(empty) > 5 else ''}; a clip must be at least as long as a frame of the encoder: take out "
            "such clips, or trim them less"
        )
