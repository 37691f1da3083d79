"""The scale of a rating: where on the line of scores each of its steps begins."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Cutpoints(nn.Module):
    """Turns the score of a rating into S - 1 logits: that it lies above each step but the last.

    Cao et al. have one free bias for each and prove that the best ones are in order; on the way
    there they need not be. Here each is the one before it less a positive gap, so the
    probabilities fall from step to step whatever the weights are.

    Args:
        num_steps: S, two or more. The first cutpoints stand one unit apart, around 0.
    """

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([(num_steps - 2) / 2]))
        # Absent, not empty, for two steps: a parameter without elements never gets a gradient.
        self.gaps = nn.Parameter(torch.full((num_steps - 2,), math.log(math.e - 1))) if num_steps > 2 else None

    def forward(self, scores: Tensor) -> Tensor:
        """Logits (B, S - 1) of scores (B, 1)."""
        if self.gaps is None:
            return scores + self.first
        return scores + torch.cat([self.first, self.first - functional.softplus(self.gaps).cumsum(0)])
