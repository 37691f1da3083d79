"""WaveMAE's experiment: where its data, masks and model meet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiorig.config import DataConfig, SpectrogramConfig, WaveMAEModelConfig, WaveMAERun
from audiorig.data.audio import Samples
from audiorig.data.crops import Crop, CropDataset
from audiorig.files import file_digest
from audiorig.models.masks import draw_channel, draw_spans
from audiorig.models.spectrogram import SpectrumStatistics, num_frames
from audiorig.models.wavemae import WaveMAE, WaveMAEConfig
from audiorig.randomness import keyed_generator
from audiorig.train.experiment import Experiment


@dataclass(frozen=True)
class MaskedCollate:
    """Crops to a batch, with the masks that belong to their (epoch, item).

    Args:
        crop_samples: length T that every item is padded to.
        is_training: draws the channel augmentation too; dev masks are keyed apart.
    """

    model: WaveMAEModelConfig
    spectrogram: SpectrogramConfig
    crop_samples: int
    seed: int
    is_training: bool

    def __call__(self, items: list[tuple[Crop, Samples]]) -> dict[str, Tensor]:
        """Returns ``waveform`` (B, T), ``lengths`` (B,), ``is_hidden`` (B, N), ``channel`` (B, F)."""
        num_latents = num_frames(self.crop_samples, self.spectrogram) // self.model.stride
        num_bins = self.spectrogram.n_fft // 2 + 1
        side = "train" if self.is_training else "dev"
        waveform = np.zeros((len(items), self.crop_samples), dtype=np.float32)
        is_hidden = np.zeros((len(items), num_latents), dtype=bool)
        channel = np.zeros((len(items), num_bins), dtype=np.float32)
        for row, (crop, samples) in enumerate(items):
            waveform[row, : len(samples)] = samples
            real = num_frames(len(samples), self.spectrogram) // self.model.stride
            generator = keyed_generator("mask", side, self.seed, crop.epoch, crop.item)
            is_hidden[row, :real] = draw_spans(
                generator, real, self.model.mask_ratio, self.model.min_span, self.model.max_span
            )
            if self.is_training:
                generator = keyed_generator("channel", self.seed, crop.epoch, crop.item)
                channel[row] = draw_channel(generator, num_bins, self.model.channel_augment_db)
        batch = {
            "waveform": torch.from_numpy(waveform),
            "lengths": torch.tensor([len(samples) for _, samples in items]),
            "is_hidden": torch.from_numpy(is_hidden),
        }
        return {**batch, "channel": torch.from_numpy(channel)} if self.is_training else batch


def crop_samples(data: DataConfig, spectrogram: SpectrogramConfig) -> int:
    """Samples whose STFT has ``crop_frames`` frames."""
    return (data.crop_frames - 1) * spectrogram.hop


def build(settings: WaveMAERun, split: Path, root: Path, statistics: Path) -> Experiment:
    """Put the experiment together.

    Args:
        split: folder of the split (train.arrow, dev.arrow).
        root: folder of the corpus' audio.
        statistics: per-bin statistics of the training side.
    """
    length = crop_samples(settings.data, settings.spectrogram)
    rate, seed = settings.data.sample_rate_hz, settings.seed
    torch.manual_seed(seed)  # initial weights and dropout
    model = WaveMAE(
        WaveMAEConfig(rate, settings.spectrogram.model_dump(mode="json"), settings.model.model_dump(mode="json"))
    )
    model.set_statistics(SpectrumStatistics.load(statistics))
    collate = {
        is_training: MaskedCollate(settings.model, settings.spectrogram, length, seed, is_training)
        for is_training in (True, False)
    }
    return Experiment(
        model=model,
        train_dataset=CropDataset(split / "train.arrow", root, length, rate, seed),
        dev_dataset=CropDataset(split / "dev.arrow", root, length, rate, seed, is_random=False),
        collate=collate[True],
        collate_dev=collate[False],
        item_sec=length / rate,
        fingerprint=_fingerprint(settings, split, statistics),
    )


def _fingerprint(settings: WaveMAERun, split: Path, statistics: Path) -> dict[str, Any]:
    return {
        "data": settings.data.model_dump(mode="json"),
        "spectrogram": settings.spectrogram.model_dump(mode="json"),
        "model": settings.model.model_dump(mode="json"),
        "split_sha256": file_digest(split / "train.parquet"),
        "statistics_sha256": file_digest(statistics),
    }
