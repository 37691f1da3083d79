"""What every encoder offers to whoever judges or uses it, whatever network it is."""

from typing import Protocol

from torch import Tensor

from audiorig.models.outputs import EncoderOutput


class AudioEncoder(Protocol):
    """Turns waveforms into frames of features.

    Attributes:
        sample_rate_hz: rate of the waveforms that it takes.
    """

    @property
    def sample_rate_hz(self) -> int: ...

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Features of a padded batch.

        What stands behind an item's end changes nothing: an item has the same features alone as
        in any batch.

        Args:
            waveform: float32 (B, T), in [-1, 1].
            lengths: int64 (B,), samples of each item.
        """

    def untrained(self, seed: int) -> "AudioEncoder":
        """An encoder of the same shape and input scale that has learnt nothing."""
