"""BEST-RQ codes: targets for masked prediction that need no pre-trained model.

A frozen random projection and frozen random codebooks turn each stack of log-mel frames into
numbers from 0 to K - 1. After Chiu et al., "Self-Supervised Learning with Random-Projection
Quantizer for Speech Recognition" (2022), section 3.1.
"""

import warnings

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor, nn
from torch.nn import functional

from audiorig.config import SpectrogramConfig
from audiorig.randomness import keyed_generator

NUM_MELS = 80
CODE_WIDTH = 16  # entries of a codebook vector
BANDS_AT_ONCE = 16
PRODUCTS_AT_ONCE = 2**22  # products of stacks and codes that are held at a time


class BestRQ(nn.Module):
    """Codes of log-magnitude frames; everything in it is a buffer and is saved with the model.

    The paper's input has mean 0 and deviation 1, without which few codes are used. Here each mel
    band of each item is standardised over the item's own real frames: a gain or a fixed channel
    adds a constant to a band's logarithm, so it leaves the codes alone, and nothing has to be
    fitted before the first step. The price: codes of a crop depend a little on where it is cut.

    Args:
        spectrogram: how the frames were made.
        stride: frames that are stacked into one code, as many as make a latent.
        num_codebooks: C; each has a projection of its own.
        num_codes: K, entries of a codebook.
        seed: names the projections and codebooks.
    """

    mel_filters: Tensor
    projections: Tensor
    codebooks: Tensor

    def __init__(
        self,
        spectrogram: SpectrogramConfig,
        sample_rate_hz: int = 24000,
        stride: int = 2,
        num_codebooks: int = 2,
        num_codes: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.stride, self.num_codebooks, self.num_codes = stride, num_codebooks, num_codes
        self.min_std = 2 * spectrogram.min_std  # of a magnitude, in nepers; of power it is twice that
        filters = mel_filters(spectrogram.n_fft, sample_rate_hz)
        self.blocks = _blocks(filters)
        self.register_buffer("mel_filters", filters)
        self.register_buffer("projections", _projections(stride * NUM_MELS, num_codebooks, seed))
        self.register_buffer("codebooks", _codebooks(num_codebooks, num_codes, seed))

    @torch.no_grad()
    def forward(self, frames: Tensor, is_real: Tensor) -> Tensor:
        """Codes of a batch; what lies behind an item's end changes none of its codes.

        Args:
            frames: natural logarithm of STFT magnitudes, float32 (B, M, F), neither standardised
                nor masked; frames that fill no whole stack are dropped.
            is_real: bool (B, N), False for stacks behind an item's end, N = M // stride.

        Returns:
            int64 (B, N, C); 0 behind an item's end.
        """
        with torch.autocast(frames.device.type, enabled=False):
            num_stacks = frames.shape[1] // self.stride
            frames = frames[:, : num_stacks * self.stride].float()
            stacks = self.standardised_mel(frames, is_real).reshape(len(frames), num_stacks, -1)
            codes = [self._nearest(stacks, index) for index in range(self.num_codebooks)]
            return torch.stack(codes, dim=-1).masked_fill(~is_real[..., None], 0)

    def standardised_mel(self, frames: Tensor, is_real: Tensor) -> Tensor:
        """Log power in mel bands, each with mean 0 and deviation 1 over an item's real frames.

        Args:
            frames: float32 (B, M, F), whole stacks.
            is_real: bool (B, N).

        Returns:
            float32 (B, M, 80).
        """
        power = (2 * frames).exp_()
        bands = [
            power[..., begin:end] @ self.mel_filters[begin:end, first:last] for first, last, begin, end in self.blocks
        ]
        mel = torch.cat(bands, dim=-1).clamp_min(torch.finfo(power.dtype).tiny).log()
        weight = is_real.repeat_interleave(self.stride, dim=1)[..., None].to(mel.dtype)
        count = weight.sum(1, keepdim=True).clamp_min(1)
        centred = mel - (mel * weight).sum(1, keepdim=True) / count
        variance = (centred.square() * weight).sum(1, keepdim=True) / count
        # A band that never leaves the floor would otherwise be rounding noise blown up to deviation 1.
        return centred / variance.sqrt().clamp_min(self.min_std)

    def _nearest(self, stacks: Tensor, index: int) -> Tensor:
        """The nearest entry of one codebook (B, N).

        Of vectors of length 1, the nearest has the largest product; dividing the projected stack
        by its own length would change no order, so it is left out.
        """
        projected = stacks @ self.projections[index]
        codebook = self.codebooks[index].T
        rows = projected.flatten(0, 1).split(max(1, PRODUCTS_AT_ONCE // self.num_codes))
        return torch.cat([(each @ codebook).max(-1).indices for each in rows]).reshape(stacks.shape[:2])


def mel_filters(n_fft: int, sample_rate_hz: int) -> Tensor:
    """Triangular filters (F, 80) from 0 Hz to half the sample rate, on the mel scale of HTK."""
    # from_pretrained builds models on the meta device, where torchaudio cannot look at its own filters.
    with torch.device("cpu"), warnings.catch_warnings():
        # A short transform leaves narrow filters empty: such a band is constant, so 0 when standardised.
        warnings.filterwarnings("ignore", message=".*mel filterbank has all zero values")
        return torchaudio.functional.melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate_hz / 2, NUM_MELS, sample_rate_hz)


def _blocks(filters: Tensor) -> list[tuple[int, int, int, int]]:
    """First and last band, first and last bin of blocks that hold all of a filterbank but zeros.

    One product with all bins took 5.4 ms for 24 x 256 frames on one core; block by block it is 1.7.
    """
    blocks = []
    for first in range(0, NUM_MELS, BANDS_AT_ONCE):
        last = min(first + BANDS_AT_ONCE, NUM_MELS)
        bins = filters[:, first:last].any(dim=1).nonzero()
        begin, end = (int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, 1)
        blocks.append((first, last, begin, end))
    return blocks


def _projections(num_inputs: int, num_codebooks: int, seed: int) -> Tensor:
    """(C, num_inputs, 16), uniform with Xavier's bound, as in the paper."""
    bound = (6 / (num_inputs + CODE_WIDTH)) ** 0.5
    drawn = [
        keyed_generator("bestrq-projection", seed, index).uniform(-bound, bound, (num_inputs, CODE_WIDTH))
        for index in range(num_codebooks)
    ]
    return torch.from_numpy(np.stack(drawn).astype(np.float32))


def _codebooks(num_codebooks: int, num_codes: int, seed: int) -> Tensor:
    """(C, K, 16), each row normal and then brought to length 1."""
    drawn = [
        keyed_generator("bestrq-codebook", seed, index).standard_normal((num_codes, CODE_WIDTH))
        for index in range(num_codebooks)
    ]
    return functional.normalize(torch.from_numpy(np.stack(drawn).astype(np.float32)), dim=-1)
