"""What is logged of predicted traces beside the loss: sums over traces, and how many have a value."""

import torch
from torch import Tensor

from audiorig.config.eda import Measure
from audiorig.models.eda.agreement import ccc, mae, mse, pearson

BAND_SEC = 3.0


@torch.no_grad()
def watched(
    name: Measure, predicted: Tensor, traces: Tensor, is_heard: Tensor, rate_hz: float, max_traces: int
) -> tuple[Tensor, Tensor]:
    """Sum and count of a measure over the traces of a batch; a trace without a value is not counted.

    Args:
        predicted: (B, M).
        traces: (B, S, M).
        is_heard: bool (B, S, M).
        max_traces: of ``dtw`` and ``frechet``, whose cost is quadratic: the first ones of the batch.
    """
    beside = predicted.detach()[:, None]
    match name:
        case "mse":
            values = mse(beside, traces, is_heard)
        case "mae":
            values = mae(beside, traces, is_heard)
        case "pearson":
            values = pearson(beside, traces, is_heard)
        case "ccc":
            values = ccc(beside, traces, is_heard)
        case "dtw" | "frechet":
            from audiorig.models.eda.warping import dtw, frechet, heard_first  # half a second of numba at every start

            has_any = is_heard.any(dim=-1)
            chosen = [part[has_any][:max_traces].cpu() for part in (beside.expand_as(traces), traces, is_heard)]
            (left, lengths), (right, _) = (heard_first(each, chosen[2]) for each in chosen[:2])
            band = max(1, round(BAND_SEC * rate_hz))
            found = dtw(left, right, lengths, band) if name == "dtw" else frechet(left, right, lengths)
            values = torch.as_tensor(found, dtype=torch.float32, device=predicted.device)  # of one place, to be stacked
    is_value = ~values.isnan()
    return torch.where(is_value, values, 0).sum(), is_value.sum()
