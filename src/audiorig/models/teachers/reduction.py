"""Teacher features, standardised and reduced to their principal axes: 1024 numbers a frame become 128.

Codecs that predict W2V-BERT standardise each dimension by training statistics (X-codec2,
DualCodec); without it a few dimensions of large variance are all of a squared error.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from audiorig.errors import DataError
from audiorig.files import written_aside


@dataclass(frozen=True)
class Reduction:
    """Features brought to mean 0 and deviation 1, and to fewer dimensions, by training statistics.

    Attributes:
        mean: float32 (K,).
        std: float32 (K,).
        components: float32 (P, K), the first principal axes of the standardised features; (0, K)
            if all dimensions are kept.
        scale: float32 (P,), deviation along each axis.
        explained: share of the standardised variance that the axes hold; 1 if all are kept.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    components: NDArray[np.float32]
    scale: NDArray[np.float32]
    explained: float

    @property
    def num_features(self) -> int:
        """P, or K if all dimensions are kept."""
        return len(self.components) or len(self.mean)

    def reduce(self, features: NDArray[np.float32]) -> NDArray[np.float16]:
        """float16 (J, P) for features (J, K); over the training frames, mean 0 and deviation 1 each."""
        standardised = (features - self.mean) / self.std
        if len(self.components):
            standardised = standardised @ self.components.T / self.scale
        return standardised.astype(np.float16)

    def save(self, path: Path) -> None:
        arrays = {"mean": self.mean, "std": self.std, "components": self.components, "scale": self.scale}
        # safetensors writes a turned array's memory as it lies, that is, another array.
        tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with written_aside(path) as aside:
            save_file({**tensors, "explained": np.array(self.explained)}, aside)

    @classmethod
    def load(cls, path: Path) -> "Reduction":
        tensors = load_file(path)
        return cls(explained=float(tensors.pop("explained")), **tensors)


def fit_statistics(recordings: Iterable[NDArray[np.float32]], num_components: int | None = 128) -> Reduction:
    """Statistics over the frames of training recordings, in one pass.

    Sums are float64 and counted from the first recording's mean, or a dimension that lies far
    from 0 would lose its variance to rounding.

    Args:
        recordings: features (J, K) of each.
        num_components: P, principal axes to keep; None for all K dimensions, unturned.

    Raises:
        DataError: if there are not more frames than axes, or a dimension never changes.
    """
    count, origin, num_components = 0, None, num_components or 0
    total = products = np.zeros(0)
    for features in recordings:
        if origin is None:
            origin = features.mean(0, dtype=np.float64)
            total, products = np.zeros(len(origin)), np.zeros((len(origin), len(origin)))
        shifted = features.astype(np.float64) - origin
        count += len(shifted)
        total += shifted.sum(0)
        products += shifted.T @ shifted
    if origin is None or count <= max(1, num_components):
        raise DataError(f"{count} frames of teacher features: expected more than the {num_components} components")
    if num_components > len(origin):
        raise DataError(f"teacher.components is {num_components}: expected at most {len(origin)}, the layer's width")
    covariance = products / count - np.outer(total / count, total / count)
    std = np.sqrt(covariance.diagonal().clip(0))
    if not std.all():
        raise DataError(f"dimension {int(std.argmin())} of the teacher's features is the same in all {count} frames")
    axes, scale, explained = np.zeros((0, len(std))), np.zeros(0), 1.0
    if num_components:
        axes, scale, explained = _principal_axes(covariance / np.outer(std, std), num_components)
    return Reduction(
        mean=(origin + total / count).astype(np.float32),
        std=std.astype(np.float32),
        components=axes.astype(np.float32),
        scale=scale.astype(np.float32),
        explained=explained,
    )


def _principal_axes(
    correlation: NDArray[np.float64], num_components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Axes (P, K) of most variance, deviations along them, and their share of all variance."""
    variances, vectors = np.linalg.eigh(correlation)
    axes = vectors[:, ::-1][:, :num_components].T
    # An axis and its opposite are equally good: take the one whose largest entry is positive.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    kept = variances[::-1][:num_components]
    # Axes of no variance (fewer independent frames than axes) must give 0, not noise blown up.
    scale = np.sqrt(np.maximum(kept, 1e-6 * variances[-1]))
    return axes * np.sign(largest), scale, float(kept.sum() / variances.sum())
