"""WaveMAE's items and batches: crops, with the pitch and the teacher's features that belong to them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiorig.config import SpectrogramConfig, WaveMAEModelConfig
from audiorig.data.audio import Samples
from audiorig.data.crops import Crop, CropDataset
from audiorig.data.feature_store import FeatureStore
from audiorig.models.masks import draw_channel, draw_spans
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.spectrogram import num_frames
from audiorig.models.teachers.alignment import at_latents
from audiorig.models.teachers.reduction import Reduction
from audiorig.models.teachers.w2v_bert import W2VBertTeacher
from audiorig.randomness import keyed_generator

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class PitchSource(Protocol):
    """Pitch of crops: Hz and voicing, (M,) each, a value for each STFT frame of the samples."""

    def of(self, wav_path: str, start: int, samples: Samples) -> tuple[Floats, Bools]: ...


@dataclass(frozen=True)
class CachedPitch:
    """Cut from what the rule ``measure_pitch`` found; crops begin on its frames."""

    store: FeatureStore
    hop: int

    def of(self, wav_path: str, start: int, samples: Samples) -> tuple[Floats, Bools]:
        count, first = 1 + len(samples) // self.hop, start // self.hop
        found = self.store[wav_path]
        hz, is_voiced = np.zeros(count, np.float32), np.zeros(count, bool)
        measured = found["hz"][first : first + count]  # nothing, if the file could not be read then
        hz[: len(measured)] = measured
        is_voiced[: len(measured)] = found["is_voiced"][first : first + count]
        return hz, is_voiced


@dataclass(frozen=True)
class LivePitch:
    """Measured on each crop when it is read."""

    tracker: PitchTracker

    def of(self, wav_path: str, start: int, samples: Samples) -> tuple[Floats, Bools]:
        track = self.tracker.track(samples)
        return track.hz, track.is_voiced


class TeacherSource(Protocol):
    """A teacher's standardised features at the latents of crops, (N, K)."""

    def of(self, wav_path: str, start: int, samples: Samples) -> Floats: ...


@dataclass(frozen=True)
class CachedTeacher:
    """Read from what the rule ``teacher_features`` computed of whole recordings."""

    store: FeatureStore
    stride: int
    hop: int
    sample_rate_hz: int

    def of(self, wav_path: str, start: int, samples: Samples) -> Floats:
        num_latents = (1 + len(samples) // self.hop) // self.stride
        features = self.store[wav_path]["features"].astype(np.float32)
        return at_latents(features, start, num_latents, self.stride, self.hop, self.sample_rate_hz)


@dataclass(frozen=True)
class LiveTeacher:
    """Computed on each crop when it is read, and on nothing around it: not quite what ``CachedTeacher`` gives."""

    teacher: W2VBertTeacher
    reduction: Reduction
    stride: int
    hop: int
    sample_rate_hz: int

    def of(self, wav_path: str, start: int, samples: Samples) -> Floats:
        num_latents = (1 + len(samples) // self.hop) // self.stride
        features = self.reduction.reduce(self.teacher.features(samples, self.sample_rate_hz))
        return at_latents(features, 0, num_latents, self.stride, self.hop, self.sample_rate_hz)


@dataclass(frozen=True)
class WaveMAEItem:
    """A crop and what is known of it."""

    crop: Crop
    samples: Samples
    pitch: tuple[Floats, Bools] | None
    teacher: Floats | None


@dataclass(frozen=True)
class WaveMAEDataset:
    """Items of a split, addressed by (epoch, item)."""

    crops: CropDataset
    pitch: PitchSource | None = None
    teacher: TeacherSource | None = None

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, key: tuple[int, int]) -> WaveMAEItem:
        crop, samples = self.crops[key]
        place = (crop.wav_path, crop.start, samples)
        return WaveMAEItem(
            crop,
            samples,
            self.pitch.of(*place) if self.pitch else None,
            self.teacher.of(*place) if self.teacher else None,
        )


@dataclass(frozen=True)
class MaskedCollate:
    """Items to a batch, with the masks that belong to their (epoch, item).

    Args:
        crop_samples: length T that every item is padded to.
        is_training: draws the channel augmentation too; dev masks are keyed apart.
    """

    model: WaveMAEModelConfig
    spectrogram: SpectrogramConfig
    crop_samples: int
    seed: int
    is_training: bool

    def __call__(self, items: list[WaveMAEItem]) -> dict[str, Tensor]:
        """Returns what ``WaveMAE.forward`` takes; the waveform as int16, half the bytes to a device."""
        num_latents = num_frames(self.crop_samples, self.spectrogram) // self.model.stride
        waveform = np.zeros((len(items), self.crop_samples), dtype=np.int16)
        is_hidden = np.zeros((len(items), num_latents), dtype=bool)
        for row, item in enumerate(items):
            waveform[row, : len(item.samples)] = to_int16(item.samples)
            hidden = self._hidden(item)
            is_hidden[row, : len(hidden)] = hidden
        arrays = {
            "waveform": waveform,
            "lengths": np.array([len(item.samples) for item in items]),
            "is_hidden": is_hidden,
            **self._pitch(items, num_latents * self.model.stride),
            **self._teacher(items, num_latents),
        }
        if self.is_training:
            arrays["channel"] = np.stack([self._channel(item) for item in items])
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _hidden(self, item: WaveMAEItem) -> Bools:
        side = "train" if self.is_training else "dev"
        real = num_frames(len(item.samples), self.spectrogram) // self.model.stride
        generator = keyed_generator("mask", side, self.seed, item.crop.epoch, item.crop.item)
        return draw_spans(generator, real, self.model.mask_ratio, self.model.min_span, self.model.max_span)

    def _channel(self, item: WaveMAEItem) -> Floats:
        generator = keyed_generator("channel", self.seed, item.crop.epoch, item.crop.item)
        return draw_channel(generator, self.spectrogram.n_fft // 2 + 1, self.model.channel_augment_db)

    @staticmethod
    def _pitch(items: list[WaveMAEItem], frames: int) -> dict[str, NDArray[np.generic]]:
        if items[0].pitch is None:
            return {}
        hz, is_voiced = np.zeros((len(items), frames), np.float32), np.zeros((len(items), frames), bool)
        for row, item in enumerate(items):
            assert item.pitch is not None
            for array, values in zip((hz, is_voiced), item.pitch, strict=True):
                array[row, : min(frames, len(values))] = values[:frames]
        return {"pitch_hz": hz, "is_voiced": is_voiced}

    @staticmethod
    def _teacher(items: list[WaveMAEItem], num_latents: int) -> dict[str, NDArray[np.generic]]:
        if items[0].teacher is None:
            return {}
        teacher = np.zeros((len(items), num_latents, items[0].teacher.shape[1]), np.float32)
        for row, item in enumerate(items):
            assert item.teacher is not None
            teacher[row, : len(item.teacher)] = item.teacher
        return {"teacher": teacher}


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers: exact for 16-bit audio, what is louder is clipped."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
