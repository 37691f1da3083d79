"""Does an encoder give all audio the same vector? Two numbers that see it before a probe does."""

import torch
from torch import Tensor


class Spread:
    """Over how many directions vectors spread, summed up batch by batch."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum = torch.zeros(width, dtype=torch.float64)
        self._products = torch.zeros(width, width, dtype=torch.float64)

    def add(self, vectors: Tensor) -> None:
        """Vectors (n, D)."""
        exact = vectors.double()
        self._count += len(exact)
        self._sum += exact.sum(0).cpu()
        self._products += (exact.T @ exact).cpu()

    def rank(self) -> float:
        """Participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of the covariance.

        From 1 (all on a line) to D (alike in all directions); 0 if all vectors are equal. Trace and
        squared norm of the matrix are those sums: no eigenvalue has to be computed.
        """
        mean = self._sum / max(1, self._count)
        covariance = self._products / max(1, self._count) - torch.outer(mean, mean)
        trace, square = float(covariance.trace()), float(covariance.square().sum())
        return trace**2 / square if trace > 1e-12 * float(self._products.trace()) / max(1, self._count) else 0.0


def mean_cosine(vectors: Tensor) -> float:
    """Mean cosine of all pairs of vectors (n, D), not centred: 1 if an encoder gives all clips the same.

    Centred, it would be -1 / (n - 1) or so for any encoder.
    """
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    count = len(unit)
    return float((unit.sum(0).square().sum() - unit.square().sum()) / max(1, count * (count - 1)))
