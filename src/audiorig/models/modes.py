"""Which parts of a model are in training mode, and which have a graph."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from audiorig.models.encoders.base import SpeechEncoder


def learns(module: nn.Module) -> bool:
    """Whether anything in it does."""
    return any(parameter.requires_grad for parameter in module.parameters())


def train_what_learns(encoder: SpeechEncoder) -> None:
    """Training mode for the blocks and the front modules that learn, evaluation mode for the rest.

    So a part that stays as it is has no dropout. What lies between the parts goes with the front.
    """
    encoder.eval()
    front = [encoder.get_submodule(name) for name in encoder.front_names]
    blocks = [encoder.get_submodule(name) for name in encoder.block_names]
    if any(map(learns, front)):
        in_parts = {module for part in (*front, *blocks) for module in part.modules()}
        for module in set(encoder.modules()) - in_parts:
            module.training = True
    for part in filter(learns, (*front, *blocks)):
        part.train()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode; afterwards, each as it was (a frozen part may not train)."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes.items():
            module.training = was_training
