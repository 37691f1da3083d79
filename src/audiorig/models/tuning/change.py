"""How far training moved each part of a model: one number per part, for a plot.

Compared are two states with plain names (``lora.merged_state``, or those of a merged encoder), so
that an adapter counts as the change of weights that it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from audiorig.errors import DataError
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.tuning.freezing import BEHIND, FRONT, Place, place_of


@dataclass(frozen=True)
class Change:
    """How far a part moved.

    Attributes:
        part: "front", "block 0", ..., "behind" (the norm behind the last block), or what a module
            outside of the encoder is called ("pooling", "heads", "prompts").
        relative: Frobenius norm of the difference, over that of the weights before; where these were
            all zero, the norm of the difference itself.
        num_weights: how many numbers the part consists of.
    """

    part: str
    relative: float
    num_weights: int


def weight_change(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], encoder: SpeechEncoder, prefix: str = "encoder."
) -> list[Change]:
    """How far each part moved, from the front of the encoder to the head.

    Blocks are numbered from 0, as in ``tuning.layers``. Buffers are no weights, but where they are
    floating-point numbers they are counted with them: they do not move.

    Args:
        before: a model's weights by name.
        after: the same weights later.
        encoder: says which of its weights lie in which block.
        prefix: what the encoder is called in the model; "" for states of the encoder alone.

    Raises:
        DataError: if the names or shapes of the two are not the same.
    """
    _check_same(before, after)
    sums: dict[Place, list[float]] = {}
    for name, old in before.items():
        if not old.is_floating_point():
            continue
        place = place_of(name.removeprefix(prefix), encoder) if name.startswith(prefix) else name.partition(".")[0]
        total = sums.setdefault(place, [0.0, 0.0, 0])
        old, new = old.double().cpu(), after[name].double().cpu()
        total[0] += float((new - old).square().sum())
        total[1] += float(old.square().sum())
        total[2] += old.numel()
    order = [FRONT, *range(encoder.num_blocks), BEHIND]
    order += [place for place in sums if place not in order]
    return [_change(place, *sums[place]) for place in order if place in sums]


def _change(place: Place, moved: float, size: float, count: float) -> Change:
    relative = (moved / size) ** 0.5 if size else moved**0.5
    return Change(place if isinstance(place, str) else f"block {place}", relative, int(count))


def _check_same(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    for name in sorted(before.keys() | after.keys()):
        shapes = [tuple(state[name].shape) if name in state else None for state in (before, after)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"weights before and after cannot be compared: {name} is {shapes[0] or 'missing'} before and "
                f"{shapes[1] or 'missing'} after; merge adapters first, and compare one model with itself"
            )
