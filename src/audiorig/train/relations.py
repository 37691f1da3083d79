"""What the micro-batches of a step must know of each other, so that how a step is cut up does not matter.

Each term of the loss is divided by what was observed of it in the whole step, over micro-batches
and ranks. A loss of pairs moreover needs the scores of all clips of the step: they are computed
first, without a graph; then each micro-batch is compared with all of them (gradient caching: Gao et
al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021). With dropout
both passes must drop the same units, so the first one begins with the random state of the second.
"""

from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import random_state_fence
from audiorig.train import ranks


def relate(model: PreTrainedModel, batches: list[dict[str, Any]]) -> None:
    """Add ``num_observed`` to each micro-batch, and ``others`` where a loss compares clips.

    Args:
        model: a ``SpeechTuner``.
        batches: all micro-batches of this rank, in the order in which they are trained on.
    """
    tuner = cast(SpeechTuner, model)
    own = torch.cat([batch["values"] for batch in batches])
    values = _of_all_ranks(own)
    num_observed = torch.stack([term.count(values) for term in tuner.terms])
    for batch in batches:
        batch["num_observed"] = num_observed
    is_whole = len(values) == len(batches[0]["values"])
    if not is_whole and tuner.compares_clips:
        others = {"scores": _of_all_ranks(first_scores(tuner, batches)), "values": values}
        for batch in batches:
            batch["others"] = others


@torch.no_grad()
def first_scores(tuner: SpeechTuner, batches: list[dict[str, Any]]) -> Tensor:
    """Scores float32 (n, K) on the CPU, of all clips of this rank.

    They are those that training is about to compute: the random state is left as it was found, and
    from there the micro-batches draw in the same order.
    """
    was_training, device = tuner.training, next(tuner.parameters()).device
    tuner.train()
    found = []
    with random_state_fence():
        for batch in batches:
            scores = tuner(batch["waveform"].to(device), batch["lengths"].to(device)).scores
            found.append(tuner.score_table(scores))
    tuner.train(was_training)
    return torch.cat(found).cpu()


def _of_all_ranks(rows: Tensor) -> Tensor:
    """Rows (n, K) of each rank, equally many: (W n, K)."""
    return ranks.stacked(rows).flatten(0, 1)
