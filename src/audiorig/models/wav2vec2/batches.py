"""Crops to batches: normalised, with what is hidden and what it is told apart from, all drawn by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiorig.config import LongCropConfig, Wav2Vec2TrainingConfig
from audiorig.data.audio import Samples
from audiorig.data.long_crops import LongCrop
from audiorig.models.wav2vec2.masks import draw_hidden, draw_negatives
from audiorig.models.wav2vec2.pretraining import IGNORED
from audiorig.randomness import keyed_generator

SEEN = ("row", "start", "num_samples", "num_redraws", "is_silent")


@dataclass(frozen=True)
class FrameCounter:
    """How many frames the feature encoder makes of samples; small enough to be sent to workers.

    Attributes:
        kernels: of each convolution.
        strides: likewise.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, config: Any) -> "FrameCounter":
        """Of a ``Wav2Vec2Config``."""
        return cls(tuple(config.conv_kernel), tuple(config.conv_stride))

    def __call__(self, num_samples: int) -> int:
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            num_samples = (num_samples - kernel) // stride + 1 if num_samples >= kernel else 0
        return num_samples


def normalised(samples: Samples, num_samples: int) -> Samples:
    """Zero mean and unit variance over the real samples, zeros behind them, as published checkpoints expect."""
    real = samples[:num_samples]
    result = np.zeros_like(samples)
    if num_samples:
        result[:num_samples] = (real - real.mean()) / np.sqrt(real.var() + 1e-7)
    return result


class PretrainingCollate:
    """Makes batches for ``Wav2Vec2Pretrainer``; an item's part depends on the item alone.

    Args:
        settings: masks and negatives.
        data: what becomes of silent crops.
        seed: of the run.
        num_frames: samples to frames, of the model.
        do_normalize: as the checkpoint's preprocessor says.
        side: masks of train and dev are not the same.
    """

    def __init__(
        self,
        settings: Wav2Vec2TrainingConfig,
        data: LongCropConfig,
        seed: int,
        num_frames: FrameCounter,
        do_normalize: bool,
        side: Literal["train", "dev"],
    ) -> None:
        self.settings, self.seed, self.side = settings, seed, side
        self.leaves_out_silent = data.silence.when_silent == "mark"
        self.num_frames, self.do_normalize = num_frames, do_normalize

    def __call__(self, items: Sequence[tuple[LongCrop, Samples]]) -> dict[str, Tensor]:
        """A batch of crops of one length T.

        Returns:
            ``input_values`` float32 (B, T); ``is_hidden`` bool (B, N); ``negatives`` int64 (B, N, K),
            frames of the same item; ``labels`` int64 (B, N), 0 where a hidden frame counts in the
            loss, else -100; ``keys`` int64 (B,); ``seen`` int64 (B, 5), named by ``SEEN``; and, if
            any item is shorter than T, ``is_padding`` bool (B, N).
        """
        crops = [crop for crop, _ in items]
        num_frames = self.num_frames(len(items[0][1]))
        real_frames = np.array([self.num_frames(crop.num_samples) for crop in crops])
        is_hidden = np.zeros((len(items), num_frames), dtype=bool)
        negatives = np.zeros((len(items), num_frames, self.settings.num_negatives), dtype=np.int64)
        for index, (crop, count) in enumerate(zip(crops, real_frames, strict=True)):
            is_hidden[index, :count], negatives[index, :count] = self._task(crop, int(count))
        is_counted = is_hidden & (is_hidden.sum(1, keepdims=True) > 1)  # one frame has nothing to be told from
        if self.leaves_out_silent:
            is_counted &= ~np.array([crop.is_silent for crop in crops])[:, None]
        batch = {
            "input_values": np.stack([self._input(crop, samples) for crop, samples in items]),
            "is_hidden": is_hidden,
            "negatives": negatives,
            "labels": np.where(is_counted, 0, IGNORED),
            "keys": np.array([self._key("noise", crop).integers(2**63) for crop in crops]),
            "seen": np.array([[int(getattr(crop, name)) for name in SEEN] for crop in crops]),
        }
        if (real_frames < num_frames).any():
            batch["is_padding"] = np.arange(num_frames) >= real_frames[:, None]
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def _task(self, crop: LongCrop, num_frames: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Hidden frames (N,) and their negatives (N, K)."""
        settings = self.settings
        is_hidden = draw_hidden(
            self._key("mask", crop),
            num_frames,
            settings.mask_time_prob,
            settings.mask_time_length,
            settings.mask_time_min_masks,
        )
        return is_hidden, draw_negatives(self._key("negatives", crop), is_hidden, settings.num_negatives)

    def _input(self, crop: LongCrop, samples: Samples) -> Samples:
        return normalised(samples, crop.num_samples) if self.do_normalize else samples

    def _key(self, purpose: str, crop: LongCrop) -> np.random.Generator:
        return keyed_generator(f"wav2vec2 {purpose}", self.side, self.seed, crop.epoch, crop.item)
