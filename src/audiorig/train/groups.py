"""Which parameters learn, how fast, and which of them decay."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def parameter_groups(model: nn.Module, rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """An optimizer's groups: parameters that require a gradient, in the order of their names.

    Decay spares vectors, and what the model lists in ``no_decay_names`` (parts of a parameter's
    last name). A model may have ``rate_scales``: beginnings of names, each with a factor on the
    rate; the longest beginning that fits counts. The order of the groups is that of the
    optimizer's state in a checkpoint: those of the full rate first (the first group's rate is what
    is logged, and the head has it), then by falling rate, with decay before without.
    """
    scales: Mapping[str, float] = getattr(model, "rate_scales", {})
    _require_known(scales, model)
    exempt = getattr(model, "no_decay_names", ())
    groups: dict[tuple[float, bool], list[Tensor]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_exempt = parameter.ndim < 2 or any(part in name.split(".")[-1] for part in exempt)
            groups.setdefault((scale_of(name, scales), not is_exempt), []).append(parameter)
    order = sorted(groups, key=lambda key: (key[0] != 1.0, -key[0], not key[1]))
    return [
        {"params": groups[scale, decays], "weight_decay": weight_decay if decays else 0.0}
        | ({"lr": rate * scale} if scale != 1.0 else {})
        for scale, decays in order
    ]


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """Factor on the learning rate of a parameter."""
    fitting = [beginning for beginning in scales if name.startswith(beginning)]
    return float(scales[max(fitting, key=len)]) if fitting else 1.0


def _require_known(scales: Mapping[str, float], model: nn.Module) -> None:
    names = [name for name, _ in model.named_parameters()]
    for beginning in scales:
        if not any(name.startswith(beginning) for name in names):
            raise ValueError(f"rate_scales of {type(model).__name__}: no parameter's name begins with {beginning!r}")
