"""Exact means of loss parts, over micro-batches and ranks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from audiorig.train import ranks

Parts = Mapping[str, tuple[Tensor, Tensor]]


def pairs_of(parts: Parts) -> dict[str, Tensor]:
    """Sum and weight of each part as float64 (2,), where they are; of Apple's GPUs, which lack it, on the CPU."""
    return {name: torch.stack([_double(total), _double(weight)]) for name, (total, weight) in parts.items()}


def _double(value: Tensor) -> Tensor:
    return (value.cpu() if value.device.type == "mps" else value).double()


class PartSums:
    """Running sums of loss parts on the device: no waiting for it before they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, parts: Parts) -> None:
        """Count a micro-batch by what it holds: the loss is a mean over items or frames."""
        self.add_pairs(pairs_of(parts))

    def add_mean(self, parts: Parts) -> None:
        """Count a micro-batch once, whatever it holds: the loss is the mean over micro-batches."""
        self.add({name: (total / weight, torch.ones_like(total)) for name, (total, weight) in parts.items()})

    def add_pairs(self, pairs: Mapping[str, Tensor]) -> None:
        for name, pair in pairs.items():
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def means(self) -> dict[str, float]:
        """The weighted means since the last call, of the parts of which something was counted."""
        means = {name: (pair[0] / pair[1]).item() for name, pair in sorted(self._sums.items()) if pair[1] != 0}
        self._sums = {}
        return means

    def means_of_all(self) -> dict[str, float]:
        """Likewise over all ranks, which must have the same parts."""
        if ranks.world_size() > 1 and self._sums:
            names = sorted(self._sums)
            table = torch.stack([self._sums[name] for name in names]).cpu()
            self._sums = dict(zip(names, ranks.total(table), strict=True))
        return self.means()
