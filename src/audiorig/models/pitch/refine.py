"""The last few cents: a network's pitch, moved to the nearest peak of the frame's own correlation.

CREPE's bins are 20 cents apart, and its mean over them is off by up to 10 cents on pure tones, tone by
tone another amount. A period can be measured far better than that once it is known roughly: the frame is
correlated with itself at the lags round it, and a parabola through the peak gives the fraction of a sample.
"""

import torch
from torch import Tensor

REACH_CENTS = 30.0  # no farther than this from the network's word, which alone chooses the octave
LENGTH = 640  # samples that are correlated; the rest of the frame is room for the lags
LAGS = 7  # on either side of the rough period; 30 cents of the longest are six samples
LEAST_CORRELATION = 0.5  # below, there is no period to measure: the network's word stands


def refine(frames: Tensor, hz: Tensor, rate_hz: int) -> Tensor:
    """Pitch in Hz (B,), at most ``REACH_CENTS`` from ``hz``.

    Args:
        frames: float32 (B, 1024), as the network heard them.
        hz: rough pitch (B,); periods that are too long for the frame are left as they are.
    """
    period = (rate_hz / hz).round().long()
    first = (frames.shape[1] - LENGTH - period) // 2  # both stretches lie evenly round the frame's middle
    start = (first + period - LAGS).clamp_min(0)
    fits = (first >= 0) & (start + LENGTH + 2 * LAGS <= frames.shape[1])
    still = _cut(frames, first.clamp_min(0), LENGTH)
    moved = _cut(frames, start.clamp_max(frames.shape[1] - LENGTH - 2 * LAGS), LENGTH + 2 * LAGS)
    windows = moved.unfold(1, LENGTH, 1)  # (B, 2 LAGS + 1, LENGTH)
    energy = windows.square().sum(-1) * still.square().sum(-1, keepdim=True)
    correlation = (windows * still[:, None]).sum(-1) / energy.clamp_min(1e-12).sqrt()
    lags = period[:, None] + torch.arange(-LAGS, LAGS + 1, device=frames.device)
    reach = 2 ** (REACH_CENTS / 1200)
    exact = rate_hz / hz[:, None]
    is_near = (lags >= exact / reach - 0.5) & (lags <= exact * reach + 0.5)
    inner = correlation[:, 1:-1].masked_fill(~is_near[:, 1:-1], -1.0)
    peak, place = inner.max(1, keepdim=True)
    left, right = correlation.gather(1, place), correlation.gather(1, place + 2)
    bend = (2 * peak - left - right).clamp_min(1e-9)
    shift = (0.5 * (right - left) / bend).clamp(-0.5, 0.5)
    found = rate_hz / (lags.gather(1, place + 1) + shift)[:, 0]
    is_peak = (peak >= left) & (peak >= right) & (peak > LEAST_CORRELATION)
    return torch.where(fits & is_peak[:, 0], found.clamp(hz / reach, hz * reach), hz)


def _cut(frames: Tensor, start: Tensor, length: int) -> Tensor:
    """``length`` samples of each frame (B, 1024), from ``start`` (B,) on."""
    return frames.gather(1, start[:, None] + torch.arange(length, device=frames.device))
