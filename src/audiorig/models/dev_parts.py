"""What is told of the dev side while training, besides losses: recalls, accuracy, errors in steps.

Each is a sum over clips with its count, so that it does not depend on how the clips are batched.
The thresholds are the plain ones (a probability of one half): those chosen on dev come after the
training.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from audiorig.data.targets import Target
from audiorig.models.objectives import Said

Parts = dict[str, tuple[Tensor, Tensor]]


@torch.no_grad()
def dev_parts(target: Target, said: Said, values: Tensor) -> Parts:
    """Sums and counts of one target.

    Args:
        values: float32 (B,), NaN where missing.

    Returns:
        ``accuracy_{target}``; ``recall_{target}_{answer}`` of a class or a binary feature;
        ``mae_{target}`` of a rating with cutpoints, in steps, whose accuracy is that of being high.
        Nothing of a rating that is only ranked: its scores have no scale before there is a whole
        dev side to fit one to.
    """
    if target.kind == "rating":
        return _of_rating(target, said.logits, values) if target.has_cutpoints else {}
    logits = said.logits
    predicted = logits.argmax(1) if target.kind == "class" else (logits[:, 0] > 0).long()
    is_right = (predicted == values).float()  # nothing equals NaN
    parts = {f"accuracy_{target.name}": (is_right.sum(), _count(~values.isnan()))}
    for index, answer in enumerate(target.answers):
        is_answer = values == index
        parts[f"recall_{target.name}_{answer}"] = ((is_right * is_answer).sum(), _count(is_answer))
    return parts


def _of_rating(target: Target, logits: Tensor, values: Tensor) -> Parts:
    is_observed = ~values.isnan()
    true = values.nan_to_num(0.0)
    error = (logits.sigmoid().sum(1) - true).abs()
    is_right = (logits[:, target.high_step - 1] > 0) == (true >= target.high_step)
    return {
        f"accuracy_{target.name}": ((is_right & is_observed).float().sum(), _count(is_observed)),
        f"mae_{target.name}": ((error * is_observed).sum(), _count(is_observed)),
    }


def _count(mask: Tensor) -> Tensor:
    return mask.sum().to(torch.float32)


def derived(targets: Sequence[Target], parts: Mapping[str, float]) -> dict[str, float]:
    """Numbers that are means of means: ``uar_{target}``, the mean recall, and ``uar``, that of all targets.

    Args:
        parts: means of the parts over all dev clips; not there, or NaN, where there is no clip to count.
    """
    found = {}
    for target in targets:
        if target.kind != "rating":
            recalls = [parts.get(f"recall_{target.name}_{answer}", math.nan) for answer in target.answers]
            known = [recall for recall in recalls if not math.isnan(recall)]
            if known:
                found[f"uar_{target.name}"] = sum(known) / len(known)
    if found:
        found["uar"] = sum(found.values()) / len(found)
    return found
