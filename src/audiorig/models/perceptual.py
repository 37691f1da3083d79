"""A loss closer to hearing than squared error: mel bands of hidden frames, without any phase.

Mel distances at several resolutions and spectral convergence are what neural vocoders are trained
on (Yamamoto et al., "Parallel WaveGAN", 2020; Kumar et al., "High-Fidelity Audio Compression with
Improved RVQGAN", 2023). There the waveform carries a phase. Here only magnitudes are compared: a
phase taken from the truth would make any prediction look good.
"""

import math
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torchaudio
from torch import Tensor, nn

from audiorig.config import SpectrogramConfig

NUM_BANDS = (20, 40, 80, 160)
NUM_GROUPS = 4  # neighbouring bands read few bins: products by group take half the time of a single one
LEAST_MAGNITUDE = 1e-5
HEADROOM = 10.0  # magnitudes stop at this many times what a full-scale waveform can reach


# Near the truth the gradient of convergence, which lies on the few loudest bins, is ten times that of the
# rest (1.1e-2 against 1e-3 on recorded prompts with an error of 0.3 nepers).
CONVERGENCE_SHARE = 0.1


class PerceptualParts(NamedTuple):
    """The loss of each item, (B,) float32 each; 0 for an item of which nothing is hidden.

    Attributes:
        mel: mean absolute difference of log-mel levels, in nepers, over frames, bands and scales.
        convergence: log(1 + s) of the spectral convergence s.
        change: mean absolute difference of the log-mel steps from frame to frame, in nepers.
    """

    mel: Tensor
    convergence: Tensor
    change: Tensor


class PerceptualLoss(nn.Module):
    """Log-mel L1 at four resolutions, spectral convergence, and L1 of the changes over time.

    All are of order 1 for an untrained prediction. Spectral convergence s = |P - T| / |T| alone is
    not: for a silent item it is in the thousands. log(1 + s) equals s where s is small and is a
    difference of levels in nepers where s is large, so it neither explodes nor stops pulling.

    Args:
        stft: the transform that the magnitudes come from.
        sample_rate_hz: rate of the waveforms.
    """

    def __init__(self, stft: SpectrogramConfig, sample_rate_hz: int) -> None:
        super().__init__()
        self.stft, self.sample_rate_hz = stft, sample_rate_hz
        full_scale = stft.window / 2  # what a Hann window sums to
        self.range = math.log(LEAST_MAGNITUDE), math.log(HEADROOM * full_scale)
        self._bands: dict[torch.device, MelBands] = {}

    def forward(self, predicted: Tensor, target: Tensor, is_hidden: Tensor, is_scored: Tensor | None = None) -> Tensor:
        """The parts together, (B,); see ``parts``."""
        parts = self.parts(predicted, target, is_hidden, is_scored)
        return parts.mel + CONVERGENCE_SHARE * parts.convergence + parts.change

    def parts(
        self, predicted: Tensor, target: Tensor, is_hidden: Tensor, is_scored: Tensor | None = None
    ) -> PerceptualParts:
        """Compare the hidden frames; in visible ones the truth stands in for the prediction.

        Only hidden frames are computed: the error of a visible frame is 0, and the error of a
        change is the change of the error. Forward and backward of 6 items of 256 frames, 0.6 of
        them hidden, take 8 ms on one core; 17 ms when frames were picked and put back by masks
        instead of places, 13 ms with one product for all bands. Sparse products would save 1 ms
        more, and warn that they are unfinished.

        Args:
            predicted: log magnitudes (B, M, F) in nepers, of any float type.
            target: likewise.
            is_hidden: bool (B, M).
            is_scored: bool (F,); bins that are not scored take the truth as well.
        """
        with torch.autocast(predicted.device.type, enabled=False):
            places = is_hidden.flatten().nonzero()[:, 0]
            truth, guess = (each.flatten(0, 1).index_select(0, places).float() for each in (target, predicted))
            if is_scored is not None:
                guess = torch.where(is_scored, guess, truth)
            # Clamped before exp, so before the log and the root below: no gradient is ever infinite.
            truth, guess = truth.clamp(*self.range).exp(), guess.clamp(*self.range).exp()
            mel, change = self._mel_parts(guess, truth, places, is_hidden)
            return PerceptualParts(mel, _convergence(guess, truth, places, is_hidden), change)

    def _mel_parts(self, guess: Tensor, truth: Tensor, places: Tensor, is_hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Errors of log-mel levels and of their changes, (B,) each, from magnitudes (H, F)."""
        bands = self.bands(guess.device)
        error = _spread(bands.levels(guess) - bands.levels(truth), places, is_hidden)
        mel = (error.abs() @ bands.shares).sum(1) / is_hidden.sum(1).clamp_min(1)
        touches = is_hidden[:, 1:] | is_hidden[:, :-1]
        change = ((error[:, 1:] - error[:, :-1]).abs() @ bands.shares).sum(1) / touches.sum(1).clamp_min(1)
        return mel, change

    def bands(self, device: torch.device) -> "MelBands":
        """The mel bands, kept by device.

        Not as buffers: ``from_pretrained`` builds models without memory and then leaves arbitrary
        numbers in every buffer that the checkpoint does not hold.
        """
        if device not in self._bands:
            with torch.device("cpu"), torch.inference_mode(False):
                bands = MelBands.of([mel_bands(self.stft, self.sample_rate_hz, number) for number in NUM_BANDS])
            self._bands[device] = bands.to(device)
        return self._bands[device]


@dataclass(frozen=True)
class MelBands:
    """Mel bands of several scales, K in all, from low to high.

    Attributes:
        groups: first bin, one past the last bin, and weights of neighbouring bands.
        shares: (K,) share of each band in a mean over bands and scales.
    """

    groups: list[tuple[int, int, Tensor]]
    shares: Tensor

    @classmethod
    def of(cls, banks: list[Tensor]) -> "MelBands":
        """Put filterbanks (F, K of the scale) together."""
        bank = torch.cat(banks, 1)
        shares = torch.cat([torch.full((each.shape[1],), 1 / (len(banks) * each.shape[1])) for each in banks])
        order = torch.argsort((bank * torch.arange(len(bank))[:, None]).sum(0))
        groups = []
        for columns in order.chunk(NUM_GROUPS):
            bins = bank[:, columns].any(1).nonzero()[:, 0]
            first, end = int(bins[0]), int(bins[-1]) + 1
            groups.append((first, end, bank[first:end, columns].contiguous()))
        return cls(groups, shares[order])

    def to(self, device: torch.device) -> "MelBands":
        return MelBands([(first, end, each.to(device)) for first, end, each in self.groups], self.shares.to(device))

    def levels(self, magnitudes: Tensor) -> Tensor:
        """Log levels (H, K) of magnitudes (H, F)."""
        return torch.cat([magnitudes[:, first:end] @ each for first, end, each in self.groups], 1).log()


def mel_bands(stft: SpectrogramConfig, sample_rate_hz: int, num_bands: int) -> Tensor:
    """Mel filterbank (F, at most num_bands): each band is a weighted mean of its bins.

    Bands that hold no bin (low ones, of a short transform) are left out: their logarithm would be
    a constant. As means, all others keep the floor of the magnitudes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="At least one mel filterbank")
        num_bins = stft.n_fft // 2 + 1
        bank = torchaudio.functional.melscale_fbanks(num_bins, 0.0, sample_rate_hz / 2, num_bands, sample_rate_hz)
    total = bank.sum(0)
    return (bank / total)[:, total > 1e-6]


def _convergence(guess: Tensor, truth: Tensor, places: Tensor, is_hidden: Tensor) -> Tensor:
    """log(1 + |P - T| / |T|) of each item, (B,), from magnitudes (H, F)."""
    squares = torch.stack([(guess - truth).square().sum(1), truth.square().sum(1)], 1)
    error, whole = _spread(squares, places, is_hidden).sum(1).clamp_min(LEAST_MAGNITUDE**2).sqrt().unbind(1)
    return (error / whole).log1p() * is_hidden.any(1)


def _spread(rows: Tensor, places: Tensor, is_hidden: Tensor) -> Tensor:
    """Rows (H, K) of the hidden frames to a grid (B, M, K) of zeros."""
    grid = rows.new_zeros(is_hidden.numel(), rows.shape[1]).index_copy(0, places, rows)
    return grid.view(*is_hidden.shape, -1)
