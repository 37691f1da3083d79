"""Cutting long audio into windows, so that memory is bounded and no seam is heard.

The windows overlap by what a latent can see through the convolutions and the STFT, and each gives
only its inner latents. What is left of the seam comes from the two things that look at a whole
item, the level that is removed and the response norms (the energy of each channel over the item,
relative to the other channels): they see a window now, not the file. For audio that goes on as it
began, nothing changes; where a file is loud in one minute and silent in the next, each window is
seen by itself, which is nearer to the crops of a few seconds that the model was trained on.
Measured with the demo encoder on 3 minutes of six voices, windows of 60 s against one pass: frames
differ by 12 % of their norm (median cosine .997), the clip's mean hardly at all (cosine .9999). With
half of it 30 dB quieter, frames differ by 68 %, the mean has a cosine of .96.

A wav2vec2 looks at the whole item by attention: its windows overlap by what its convolutions see,
and attend to themselves only. It was trained on crops of seconds as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audiorig.models.convnext import DepthwiseConv
from audiorig.models.encoder import PatchEncoder
from audiorig.models.trained import TrainedEncoder


@dataclass(frozen=True)
class Geometry:
    """Where the latents of an encoder lie in time.

    Attributes:
        sample_rate_hz: rate of the waveform.
        hop: samples from frame to frame; frame n is centred on sample n * hop.
        stride: frames of a latent.
        reach: latents on either side that change a latent.
        field: samples that a latent is computed from, where it begins with its first one (stride 1);
            None where frames are centred.
        max_batch_sec: audio that is encoded at once: with base models, a gigabyte.
    """

    sample_rate_hz: int
    hop: int
    stride: int
    reach: int
    field: int | None = None
    max_batch_sec: float = 120.0

    @classmethod
    def of(cls, model: TrainedEncoder) -> "Geometry":
        if not isinstance(model, PatchEncoder):
            hop, field = 1, 1
            for kernel, step in zip(model.num_frames.kernels, model.num_frames.strides, strict=True):
                field, hop = field + (kernel - 1) * hop, hop * step
            reach = model.config.num_conv_pos_embeddings // 2 + 1  # attention reaches everywhere, with less weight
            return cls(model.sample_rate_hz, hop, 1, reach, field, 60.0)
        stft, stride = model.stft, model.shape.stride
        convolutions = [module for module in model.blocks.modules() if isinstance(module, DepthwiseConv)]
        reach = sum(module.weight.shape[-1] // 2 for module in convolutions)
        through_stft = -(-(stft.n_fft // 2) // (stft.hop * stride))
        return cls(model.config.sample_rate_hz, stft.hop, stride, reach + through_stft)

    @property
    def latent_samples(self) -> int:
        return self.hop * self.stride

    @property
    def latent_hz(self) -> float:
        return self.sample_rate_hz / self.latent_samples

    def num_latents(self, num_samples: int) -> int:
        """Latents of a waveform, all of whose frames are centred, or lie, within it."""
        if self.field is not None:
            return max(0, (num_samples - self.field) // self.hop + 1)
        return (1 + num_samples // self.hop) // self.stride if num_samples else 0

    def centres_sec(self, latents: NDArray[np.int64]) -> NDArray[np.float64]:
        """The middle of the centres of each latent's frames, or of the samples it is computed from."""
        if self.field is not None:
            return (latents * self.hop + (self.field - 1) / 2) / self.sample_rate_hz
        return (latents * self.stride + (self.stride - 1) / 2) * self.hop / self.sample_rate_hz

    def new_sec(self, window: "Window") -> float:
        """Seconds of a file that a window adds to those before it."""
        latents = window.expected / self.latent_samples - window.skip if window.is_last else window.keep
        return latents / self.latent_hz


@dataclass(frozen=True)
class Window:
    """A stretch of a file that is encoded at once.

    Attributes:
        file: number of the file.
        start: first sample.
        num_samples: how many are read; -1 for all that is left.
        expected: how many that should be.
        first: number in the file of the first latent that is kept.
        skip: latents of the window before it.
        keep: how many are kept; -1 for all that are left.
    """

    file: int
    start: int
    num_samples: int
    expected: int
    first: int
    skip: int
    keep: int

    @property
    def is_last(self) -> bool:
        return self.keep < 0


def cut(file: int, num_samples: int, geometry: Geometry, max_sec: float) -> Iterator[Window]:
    """The windows of a file: one if it is short, else some of like length that overlap.

    Args:
        num_samples: length of the file at the encoder's rate.
        max_sec: a longer file is cut; at least twice the overlap.
    """
    longest = int(max_sec * geometry.latent_hz)
    if num_samples <= max_sec * geometry.sample_rate_hz:
        yield Window(file, 0, -1, num_samples, 0, 0, -1)
        return
    total = geometry.num_latents(num_samples)
    count = -(-total // max(1, longest - 2 * geometry.reach))
    ends = [total * index // count for index in range(count + 1)]
    for first, stop in pairwise(ends):
        begin = max(0, first - geometry.reach)
        start, is_last = begin * geometry.latent_samples, stop == total
        length = num_samples - start if is_last else (stop + geometry.reach) * geometry.latent_samples - start
        length = min(length, num_samples - start)
        yield Window(
            file, start, -1 if is_last else length, length, first, first - begin, -1 if is_last else stop - first
        )
