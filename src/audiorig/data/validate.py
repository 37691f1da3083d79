"""Validation: every file is read once, and everything that is wrong with it is reported.

Only the severity ``error`` leaves a file out of the splits. Nothing is changed or deleted.
"""

import os
import stat
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from audiorig.config import ValidationConfig
from audiorig.errors import DataError

Severity = Literal["error", "warning", "note"]

SEVERITIES: dict[str, Severity] = {
    "missing": "error",  # the metadata names it, the folder lacks it
    "not_regular": "error",  # a folder, pipe or device
    "permission": "error",
    "unreadable_header": "error",
    "truncated": "error",  # the header promises more than the file holds
    "zero_frames": "error",
    "decode_error": "error",
    "non_finite": "error",
    "too_short": "error",
    "near_silent": "error",
    "clipping": "warning",
    "dc_offset": "warning",
    "rate_unusual": "note",
    "multichannel": "note",  # channels are averaged
}

BLOCK_SAMPLES = 1 << 18
FULL_SCALE = 1 - 1.5 / 2**15  # the largest 16-bit values, of either sign
STREAMED = (0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)  # sizes that recorders write when they do not know


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file; ``value`` broke ``bound``."""

    wav_path: str
    reason: str
    detail: str = ""
    value: float | None = None
    bound: float | None = None

    def row(self) -> dict[str, Any]:
        return {**vars(self), "severity": SEVERITIES[self.reason]}


@dataclass
class Levels:
    """Running statistics of one file's samples, all channels together."""

    num_samples: int = 0
    total: float = 0.0
    energy: float = 0.0
    peak: float = 0.0
    num_clipped: int = 0
    num_non_finite: int = 0

    def add(self, block: np.ndarray) -> None:
        finite = np.isfinite(block)
        if not finite.all():
            self.num_non_finite += int(block.size - finite.sum())
            block = np.where(finite, block, 0)
        self.num_samples += block.size
        self.total += float(block.sum(dtype=np.float64))
        self.energy += float(np.square(block, dtype=np.float64).sum())
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max(initial=0)))
        self.num_clipped += int((magnitude >= FULL_SCALE).sum())

    def stats(self) -> dict[str, float]:
        """RMS and peak in dBFS, shares of all samples."""
        count = max(1, self.num_samples)
        return {
            "rms_dbfs": float(10 * np.log10(max(self.energy / count, 1e-20))),
            "peak_dbfs": float(20 * np.log10(max(self.peak, 1e-10))),
            "clipping_share": self.num_clipped / count,
            "dc_offset": self.total / count,
            "num_non_finite": self.num_non_finite,
        }


def validate_corpus(
    manifest: pd.DataFrame, root: Path, bounds: ValidationConfig, num_threads: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Check every file of a manifest.

    Returns:
        The problems (a row per file and reason), the statistics (a row per readable file) and
        the summary: counts by severity and reason, hours kept and left out.
    """
    paths = manifest["wav_path"]
    with ThreadPoolExecutor(num_threads) as pool:
        checks = pool.map(lambda path: check_file(root, path, bounds), paths)
        results = list(tqdm(checks, "validate", len(paths), unit="file", mininterval=1))
    problem_rows = [problem.row() for problems, _ in results for problem in problems]
    columns = ["wav_path", "reason", "severity", "detail", "value", "bound"]
    problems = pd.DataFrame(problem_rows, columns=columns).astype({"value": "Float64", "bound": "Float64"})
    stats = pd.DataFrame([row for _, row in results if row])
    return problems, stats, summarize(manifest, problems)


def excluded_paths(problems: pd.DataFrame) -> set[str]:
    """Files that an error leaves out."""
    return set(problems.loc[problems["severity"] == "error", "wav_path"])


def summarize(manifest: pd.DataFrame, problems: pd.DataFrame) -> dict[str, Any]:
    """Counts and hours, for people and for the report."""
    is_excluded = manifest["wav_path"].isin(excluded_paths(problems))
    hours = manifest["duration_sec"].fillna(0) / 3600
    found = problems[["severity", "reason", "wav_path"]].drop_duplicates()
    counts = Counter(zip(found["severity"], found["reason"], strict=True))
    return {
        "num_files": len(manifest),
        "num_excluded": int(is_excluded.sum()),
        "hours": round(float(hours.sum()), 4),
        "hours_excluded": round(float(hours[is_excluded].sum()), 4),
        "reasons": [
            {"severity": severity, "reason": reason, "num_files": count}
            for (severity, reason), count in sorted(counts.items())
        ],
    }


def check_file(root: Path, wav_path: str, bounds: ValidationConfig) -> tuple[list[Problem], dict[str, Any] | None]:
    """All problems of one file, and its statistics if it could be read."""
    path = root / wav_path
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return [Problem(wav_path, "not_regular", "no regular file")], None
        with path.open("rb") as file:
            missing_bytes = missing_wav_bytes(file, status.st_size)
    except FileNotFoundError:
        return [Problem(wav_path, "missing", "listed in the metadata, absent from the folder")], None
    except OSError as error:
        return [Problem(wav_path, "permission", error.strerror or str(error))], None
    problems = []
    if missing_bytes > 0:
        problems.append(Problem(wav_path, "truncated", "bytes that the header promises are absent", missing_bytes, 0))
    try:
        with soundfile.SoundFile(str(path)) as audio:
            found, stats = _check_samples(audio, wav_path, bounds)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError) as error:
        text = getattr(error, "error_string", None) or str(error)
        return [*problems, Problem(wav_path, "unreadable_header", str(text).rstrip("."))], None
    return [*problems, *found], stats


def _check_samples(
    audio: soundfile.SoundFile, wav_path: str, bounds: ValidationConfig
) -> tuple[list[Problem], dict[str, Any] | None]:
    if audio.frames == 0:
        return [Problem(wav_path, "zero_frames", "a header without samples", 0, 1)], None
    levels = Levels()
    try:
        # Blocks, never the length that a header claims: a false one would ask for all memory.
        for block in audio.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
            levels.add(block)
    except (soundfile.SoundFileError, RuntimeError, ValueError, MemoryError) as error:
        text = getattr(error, "error_string", None) or str(error)
        return [Problem(wav_path, "decode_error", str(text).rstrip("."))], None
    stats: dict[str, Any] = {"wav_path": wav_path, **levels.stats()}
    stats["measured_duration_sec"] = levels.num_samples / audio.channels / audio.samplerate
    return _judge(stats, audio, bounds), stats


def _judge(stats: dict[str, Any], audio: soundfile.SoundFile, bounds: ValidationConfig) -> list[Problem]:
    path, duration, rate = stats["wav_path"], stats["measured_duration_sec"], audio.samplerate
    short_by = audio.frames / rate - duration
    lowest, highest = bounds.min_sample_rate_hz, bounds.max_sample_rate_hz
    level, clipped, offset = stats["rms_dbfs"], stats["clipping_share"], stats["dc_offset"]
    bad_samples, num_channels = stats["num_non_finite"], audio.channels
    checks = [  # reason, is it so, what the value is, value, bound
        ("truncated", short_by > 0, "seconds that the header promises are absent", short_by, 0.0),
        ("non_finite", bad_samples > 0, "samples that are NaN or infinite", bad_samples, 0.0),
        ("too_short", duration < bounds.min_duration_sec, "seconds", duration, bounds.min_duration_sec),
        ("near_silent", level < bounds.near_silent_dbfs, "dBFS", level, bounds.near_silent_dbfs),
        ("clipping", clipped > bounds.clipping_share, "share of samples", clipped, bounds.clipping_share),
        ("dc_offset", abs(offset) > bounds.dc_offset, "mean sample", offset, bounds.dc_offset),
        ("rate_unusual", not lowest <= rate <= highest, "Hz", rate, lowest if rate < lowest else highest),
        ("multichannel", num_channels > 1, "channels, averaged when read", num_channels, 1.0),
    ]
    return [
        Problem(path, reason, detail, float(value), bound) for reason, is_so, detail, value, bound in checks if is_so
    ]


def missing_wav_bytes(file: BinaryIO, file_size_bytes: int) -> int:
    """Bytes that a WAV's data chunk promises beyond the end of the file; 0 for other formats.

    libsndfile opens a WAV that was cut anywhere without an error and is just shorter: comparing
    the sizes is the only signal.
    """
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return 0
    offset, long_size = 12, None
    while offset + 8 <= file_size_bytes:
        file.seek(offset)
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"ds64" and offset + 24 <= file_size_bytes:  # RF64: sizes beyond 4 GiB stand here
            long_size = struct.unpack("<QQ", file.read(16))[1]
        if name == b"data":
            if size in STREAMED and long_size is None:
                return 0
            promised = long_size if long_size is not None and size == 0xFFFFFFFF else size
            return max(0, offset + 8 + promised - file_size_bytes)
        offset += 8 + size + size % 2
    return 0


def require_files(table: pd.DataFrame, what: str) -> None:
    """Stop if validation left nothing."""
    if table.empty:
        raise DataError(f"{what}: validation left out every file; see invalid_files.parquet for the reasons")
