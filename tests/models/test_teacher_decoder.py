"""What the W2V decoder's error says."""

import math

import pytest
import torch

from audiorig.config import TeacherConfig
from audiorig.models.teacher_decoder import CodeDecoder, FeatureDecoder


def test_a_guess_of_codes_costs_one_and_the_right_codes_nothing() -> None:
    decoder = CodeDecoder(4, TeacherConfig(codebooks=2, codes=16))
    torch.nn.init.zeros_(decoder.head.weight)
    torch.nn.init.zeros_(decoder.head.bias)
    target = torch.tensor([[3, 5], [0, 15]])
    latents = torch.ones(2, 4)
    decoder.requires_grad_(False)
    torch.testing.assert_close(decoder(latents, target), torch.ones(2))
    decoder.head.bias[3] = decoder.head.bias[16 + 5] = 50.0
    error = decoder(latents, target)
    assert error[0] == pytest.approx(0.0, abs=1e-6)
    assert error[1] == pytest.approx(50 / math.log(16), rel=1e-4)


def test_features_cost_distance_and_angle() -> None:
    """Equal: 0. Opposite unit features: smooth L1 of 2 is 1.5, cosine -1."""
    decoder = FeatureDecoder(3, 3)
    torch.nn.init.eye_(decoder.head.weight)
    torch.nn.init.zeros_(decoder.head.bias)
    decoder.requires_grad_(False)
    target = torch.ones(1, 3)
    assert decoder(target, target) == pytest.approx(0.0, abs=1e-6)
    assert decoder(-target, target) == pytest.approx(1.5 + 2, rel=1e-5)
