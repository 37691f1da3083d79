"""What WaveMAE gives back."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class WaveMAEOutput(ModelOutput):
    """Loss of a batch.

    Attributes:
        loss: scalar, the sum of the parts that have a weight, each times its weight.
        parts: name -> (sum, count), detached; a part is sum / count.
    """

    loss: Tensor | None = None
    parts: dict[str, tuple[Tensor, Tensor]] | None = None


class EncoderOutput(NamedTuple):
    """Features of a batch.

    Attributes:
        features: float32 (B, N, D), after the last norm.
        is_padding: bool (B, N), True behind an item's end.
        layers: the output of each block, (B, N, D) each; what enters the first one before them, if
            ``has_input``.
    """

    features: Tensor
    is_padding: Tensor
    layers: tuple[Tensor, ...]
    has_input: bool = False

    @property
    def layer_names(self) -> list[str]:
        """block-1, block-2, ...; what enters the first one is block-0."""
        first = 0 if self.has_input else 1
        return [f"block-{first + index}" for index in range(len(self.layers))]


@dataclass(frozen=True)
class Reconstruction:
    """Standardised log magnitudes of a batch, whole patches only: M = N * stride frames.

    Attributes:
        original: float32 (B, M, F).
        predicted: float32 (B, M, F); equal to ``original`` where nothing was hidden.
        guess: float32 (B, M, F), the decoder's prediction of every frame, visible ones too.
        is_hidden: bool (B, M).
        is_padding: bool (B, M).
        pitch_hz: float32 (B, M) where hidden, else 0; None without a pitch decoder.
        is_voiced: bool (B, M) likewise.
    """

    original: Tensor
    predicted: Tensor
    guess: Tensor
    is_hidden: Tensor
    is_padding: Tensor
    pitch_hz: Tensor | None = None
    is_voiced: Tensor | None = None
