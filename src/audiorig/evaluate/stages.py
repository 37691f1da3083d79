"""What a masked autoencoder rebuilds: it is seen with a split and the audio, and nothing of its training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import ProbeConfig
from audiorig.data.audio import read_window, source_of_row
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.rebuild import Bools, Frames, RebuiltClip, TestClip, audible, rebuild_clips
from audiorig.evaluate.reconstruction import error_table, pitch_rows, reconstruction_rows
from audiorig.models import WaveMAE
from audiorig.randomness import keyed_generator

PitchLookup = Callable[[str, int, Frames], tuple[Frames, Bools] | None]


def load_model(folder: Path) -> WaveMAE:
    """A trained model, ready to be asked."""
    return WaveMAE.from_pretrained(folder).eval()


@dataclass(frozen=True)
class Rebuilding:
    """What ``reconstruct_model`` finds: rows of ``metrics.json``, clips to look at, errors by clip."""

    rows: list[dict[str, Any]]
    examples: list[RebuiltClip]
    items: pd.DataFrame


def reconstruct_model(
    model: WaveMAE, split: Path, root: Path, settings: ProbeConfig, crop_samples: int, system: str, pitch: PitchLookup
) -> Rebuilding:
    """How hidden frames of the test side are rebuilt.

    Args:
        pitch: Hz and voicing of a stretch (path, first sample, samples), or None where it is not known.
    """
    clips = [
        clip
        for row in _drawn_rows(split, settings)
        if (clip := _test_clip(model, root, row, crop_samples, pitch)) is not None
    ]
    if not clips:
        shortest = 2 * model.shape.stride * model.stft.hop / model.config.sample_rate_hz
        raise DataError(f"{split / 'test.parquet'}: no clip is longer than {shortest:.2f} s")
    groups = [clip.group for clip in clips]
    built = rebuild_clips(model, clips, settings.seed)
    place = (system, settings.bootstrap, settings.seed)
    rows = reconstruction_rows(built, groups, model, *place) + pitch_rows(built, groups, *place)
    examples = [audible(model, built[index], clips[index].waveform) for index in _spread(len(built), settings.examples)]
    return Rebuilding(rows, examples, error_table(built, groups, model.is_scored.numpy()))


def _drawn_rows(split: Path, settings: ProbeConfig) -> list[pd.Series]:
    test = read_table(split / "test.parquet")
    order = keyed_generator("reconstruction-clips", settings.seed).permutation(len(test))
    return [row for _, row in test.iloc[np.sort(order[: settings.reconstruction_clips])].iterrows()]


def _test_clip(model: WaveMAE, root: Path, row: pd.Series, crop_samples: int, pitch: PitchLookup) -> TestClip | None:
    """The middle of a file, from a frame on; None if it is too short to hide anything of it."""
    rate, hop = model.config.sample_rate_hz, model.stft.hop
    start = max(0, int(row["duration_sec"] * rate) - crop_samples) // 2 // hop * hop
    waveform = read_window(source_of_row(root, row), start, crop_samples, rate)
    if len(waveform) < 2 * model.shape.stride * hop:
        return None
    name = str(row["wav_path"])
    return TestClip(name, str(row["group_id"]), waveform, pitch(name, start, waveform))


def _spread(num_items: int, num_chosen: int) -> list[int]:
    """Indices spread evenly over a sorted list, so that examples differ."""
    return sorted({int(position) for position in np.linspace(0, num_items - 1, min(num_chosen, num_items))})
