"""Per-bin statistics of a split's training side."""

from pathlib import Path

import torch
from tqdm import tqdm

from audiorig.config import DataConfig, SpectrogramConfig
from audiorig.data.crops import CropDataset
from audiorig.models.spectrogram import SpectrumStatistics, fit_statistics

MAX_CROPS = 4000  # about three hours: means of more frames differ by less than rounding matters


def split_statistics(split: Path, root: Path, data: DataConfig, spectrogram: SpectrogramConfig) -> SpectrumStatistics:
    """Mean, deviation and floor share of each STFT bin, over random crops of the training side."""
    length = (data.crop_frames - 1) * spectrogram.hop
    crops = CropDataset(split / "train.arrow", root, length, data.sample_rate_hz, seed=0)
    step = max(1, len(crops) // MAX_CROPS)
    items = tqdm(range(0, len(crops), step), "statistics", unit="crop", mininterval=1)
    return fit_statistics((torch.from_numpy(crops[0, item][1]) for item in items), spectrogram)
