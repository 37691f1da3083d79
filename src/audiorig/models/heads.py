"""From the vector of a clip to the numbers that its targets are told from."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from audiorig.config import HeadConfig
from audiorig.randomness import keyed_generator, random_state_fence


class Head(nn.Module):
    """A linear map, or one hidden layer with tanh before it; dropout before each.

    The hidden layer is as wide as the vector if its width is 0: then the head is, with the same names
    of weights, the one of ``Wav2Vec2ClassificationHead``.

    Weights begin uniform with variance 1 / (3 width), biases with zero.

    Args:
        settings: how.
        width: D', of the vectors.
        num_outputs: O.
        key: names what the weights begin with.
    """

    def __init__(self, settings: HeadConfig, width: int, num_outputs: int, key: tuple[str | int, ...]) -> None:
        super().__init__()
        hidden = settings.hidden or width
        with random_state_fence():  # linear maps draw from the global state before they are drawn anew
            self.dropout = nn.Dropout(settings.dropout)
            self.dense = nn.Linear(width, hidden) if settings.kind == "mlp" else None
            self.out_proj = nn.Linear(width if self.dense is None else hidden, num_outputs)
        for name, layer in self.named_children():
            if isinstance(layer, nn.Linear):
                _draw(layer, *key, name)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D') to (B, O)."""
        vectors = self.dropout(vectors)
        if self.dense is not None:
            vectors = self.dropout(torch.tanh(self.dense(vectors)))
        logits: Tensor = self.out_proj(vectors)
        return logits


class Heads(nn.Module):
    """One head for all targets, or one for each.

    Args:
        settings: how.
        width: D', of the vectors.
        outputs: numbers O of each target, by its name; their order is that of the logits.
        seed: names what the weights begin with. With a head for each target, it also depends on the
            target's name, and not on which others there are.

    Attributes:
        heads: the one, or those of the targets in their order.
        center, scale: (D',) what vectors are brought to mean 0 and deviation 1 by; None if they are taken as they are.
    """

    def __init__(self, settings: HeadConfig, width: int, outputs: Mapping[str, int], seed: int) -> None:
        super().__init__()
        self.outputs = dict(outputs)
        parts = self.outputs if settings.separate else {"all targets": sum(self.outputs.values())}
        self.is_separate = settings.separate
        self.center: Tensor | None
        self.scale: Tensor | None
        self.register_buffer("center", torch.zeros(width) if settings.standardize else None)
        self.register_buffer("scale", torch.ones(width) if settings.standardize else None)
        # In a list: a target's name may hold a dot, which the name of a module may not.
        self.heads = nn.ModuleList(
            Head(settings, width, num_outputs, ("head", seed, name)) for name, num_outputs in parts.items()
        )

    def standardize_by(self, vectors: Tensor) -> None:
        """Measure center and scale on vectors (n, D') of the training side. A number that never differs is left out."""
        assert self.center is not None and self.scale is not None
        deviation, center = torch.std_mean(vectors.double(), dim=0, correction=0)
        self.center.copy_(center)
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, torch.inf))

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        """Vectors (B, D') to logits (B, O) of each target, by its name."""
        if self.center is not None and self.scale is not None:
            vectors = (vectors - self.center) / self.scale
        if self.is_separate:
            found = [head(vectors) for head in self.heads]
        else:
            found = self.heads[0](vectors).split(list(self.outputs.values()), dim=1)
        return dict(zip(self.outputs, found, strict=True))


def _draw(layer: nn.Linear, *key: str | int) -> None:
    bound = layer.in_features**-0.5
    drawn = keyed_generator(*key).uniform(-bound, bound, (layer.out_features, layer.in_features))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(drawn.astype(np.float32)))
        layer.bias.zero_()
