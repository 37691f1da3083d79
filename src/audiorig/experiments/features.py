"""Features that need a network and are computed once for a corpus: pitch, and a teacher's hidden states."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from audiorig.config import TeacherConfig
from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.feature_store import Arrays, compute_shard, shard_of
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.models.pitch.track import PitchTracker
from audiorig.models.teachers.reduction import Reduction, fit_statistics
from audiorig.models.teachers.w2v_bert import W2VBertTeacher

WINDOW_FRAMES = 3 * 18750  # ten minutes at 24 kHz: three frames are 512 samples at 16 kHz, so the grids agree
CONTEXT_FRAMES = 3 * 31  # one second on either side of a window
TEACHER_RATE_HZ = 16000
STATISTICS_HOURS = 5.0  # of the training side: 900,000 frames, many for 1,024 dimensions

log = logging.getLogger(__name__)


def measure_pitch(
    manifest: Path, root: Path, tracker: PitchTracker, rate_hz: int, hop: int, shard: int, num_shards: int, output: Path
) -> None:
    """Pitch of every file of a shard, frame n at sample n * hop; nothing of files that cannot be read."""

    def compute(row: pd.Series) -> Arrays:
        try:
            hz, is_voiced = pitch_of_file(row, root, tracker, rate_hz, hop)
        except DataError as error:
            log.warning("%s; left without pitch", error)
            hz, is_voiced = np.empty(0, np.float32), np.empty(0, bool)
        return {"hz": hz, "is_voiced": is_voiced.astype(np.uint8)}

    _compute(manifest, shard, num_shards, output, compute)


def pitch_of_file(
    row: pd.Series, root: Path, tracker: PitchTracker, rate_hz: int, hop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pitch of a whole file, read window by window: a recording of a day needs no more memory than ten minutes."""
    source = source_of_row(root, row)
    parts, first = [], 0
    while True:
        begin = max(0, first - CONTEXT_FRAMES)
        wanted = (first - begin + WINDOW_FRAMES + CONTEXT_FRAMES) * hop
        samples = read_window(source, begin * hop, wanted, rate_hz)
        track = tracker.track(samples)
        is_last = len(samples) < wanted
        keep = slice(first - begin, None if is_last else first - begin + WINDOW_FRAMES)
        parts.append((track.hz[keep], track.is_voiced[keep]))
        if is_last:
            hz, is_voiced = (np.concatenate(each) for each in zip(*parts, strict=True))
            return hz, is_voiced
        first += WINDOW_FRAMES


def fit_teacher(split: Path, root: Path, pretrained: Path, settings: TeacherConfig, output: Path) -> None:
    """Mean, deviation and principal axes of the teacher's features on the training side."""
    teacher = _load_teacher(pretrained, settings)
    rows = read_table(split / "train.parquet")
    step = max(1, round(rows["duration_sec"].sum() / (3600 * STATISTICS_HOURS)))
    chosen = [row for _, row in rows.iloc[::step].iterrows()]
    waveforms = (_read(row, root) for row in tqdm(chosen, "fit teacher", unit="file", mininterval=1))
    features = (teacher.features(waveform) for waveform in waveforms)
    fit_statistics(features, settings.components or None).save(output)


def teacher_features(
    manifest: Path,
    root: Path,
    pretrained: Path,
    settings: TeacherConfig,
    statistics: Path,
    shard: int,
    num_shards: int,
    output: Path,
) -> None:
    """The teacher's reduced features of every file of a shard."""
    teacher = _load_teacher(pretrained, settings)
    reduction = Reduction.load(statistics)

    def compute(row: pd.Series) -> Arrays:
        try:
            return {"features": reduction.reduce(teacher.features(_read(row, root)))}
        except DataError as error:
            log.warning("%s; left without features", error)
            return {"features": np.empty((0, reduction.num_features), np.float16)}

    _compute(manifest, shard, num_shards, output, compute)


def _compute(manifest: Path, shard: int, num_shards: int, output: Path, compute: Callable[[pd.Series], Arrays]) -> None:
    rows = shard_of(read_table(manifest), shard, num_shards)
    compute_shard(rows, compute, output, output.with_name(f".{output.stem}.parts"))


def _read(row: pd.Series, root: Path) -> Samples:
    return read_window(source_of_row(root, row), 0, -1, TEACHER_RATE_HZ)


def _load_teacher(pretrained: Path, settings: TeacherConfig) -> W2VBertTeacher:
    """The teacher on this machine's device, in the precision that suits it."""
    if torch.cuda.is_available():
        return W2VBertTeacher(pretrained, settings.layer, "cuda", torch.bfloat16)
    return W2VBertTeacher(pretrained, settings.layer, "cpu", torch.float32)
