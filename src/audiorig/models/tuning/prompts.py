"""Soft prompts: learnt frames that stand before those of the clip (Lester et al., 2021).

The encoder puts them where its first block takes its input, and drops them from what it returns.
"""

import torch
from torch import Tensor, nn

from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.modes import evaluating
from audiorig.randomness import keyed_generator, random_state_fence

LISTENED_SEC = 1.0


class SoftPrompts(nn.Module):
    """Learnt frames.

    They begin as normal noise of unit scale, which is that of frames behind a layer norm.
    ``scale_to`` brings them to the scale of an encoder whose first block takes something else.

    Args:
        num_prompts: P.
        width: D.
        seed: names the draw.

    Attributes:
        values: float32 (P, D).
    """

    def __init__(self, num_prompts: int, width: int, seed: int) -> None:
        super().__init__()
        drawn = keyed_generator("soft prompts", seed).standard_normal((num_prompts, width))
        self.values = nn.Parameter(torch.empty(num_prompts, width))
        with torch.no_grad():
            self.values.copy_(torch.from_numpy(drawn))

    def scale_to(self, encoder: SpeechEncoder) -> None:
        """Multiply by the scale of an encoder's own frames: once, before the training."""
        with torch.no_grad():
            self.values.mul_(scale_of_frames(encoder))

    def forward(self) -> Tensor:
        """(P, D)."""
        return self.values


@torch.no_grad()
def scale_of_frames(encoder: SpeechEncoder) -> float:
    """Root of the mean square of what an encoder's first block takes, for a second of quiet noise."""
    device = next(encoder.parameters()).device
    num_samples = round(LISTENED_SEC * encoder.sample_rate_hz)
    noise = 0.1 * keyed_generator("scale of frames").standard_normal((1, num_samples))
    waveform = torch.from_numpy(noise).float().to(device)
    with random_state_fence(), evaluating(encoder):
        output = encoder.encode(waveform, torch.tensor([num_samples], device=device))
    return float(output.layers[0][~output.is_padding].square().mean().sqrt())
