"""The W2V decoder: what a teacher says of the hidden latents."""

import math

from torch import Tensor, nn
from torch.nn import functional

from audiorig.config import TeacherConfig


class CodeDecoder(nn.Module):
    """Predicts the codes of BEST-RQ, the teacher that needs no download.

    Args:
        latent_width: width of the main decoder, whose latents come in.
    """

    def __init__(self, latent_width: int, teacher: TeacherConfig) -> None:
        super().__init__()
        self.codebooks, self.codes = teacher.codebooks, teacher.codes
        self.head = nn.Linear(latent_width, teacher.codebooks * teacher.codes)

    def forward(self, latents: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (H,), 1 for a guess.

        Args:
            latents: (H, D).
            target: int64 codes (H, codebooks).
        """
        logits = self.head(latents).float().reshape(-1, self.codes)
        errors = functional.cross_entropy(logits, target.reshape(-1), reduction="none")
        return errors.reshape(-1, self.codebooks).mean(1) / math.log(self.codes)


class FeatureDecoder(nn.Module):
    """Predicts standardised features of W2V-BERT: smooth L1, and one minus the cosine.

    Args:
        latent_width: width of the main decoder, whose latents come in.
        num_features: K.
    """

    def __init__(self, latent_width: int, num_features: int) -> None:
        super().__init__()
        self.head = nn.Linear(latent_width, num_features)

    def forward(self, latents: Tensor, target: Tensor) -> Tensor:
        """Error (H,) of latents (H, D) for targets (H, K)."""
        predicted, target = self.head(latents).float(), target.float()
        distance = functional.smooth_l1_loss(predicted, target, reduction="none").mean(1)
        return distance + 1 - functional.cosine_similarity(predicted, target, dim=1, eps=1e-4)
