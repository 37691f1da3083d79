"""Validation: every file is read once, and everything that is wrong with it is reported.

Files are decoded in processes of their own, so that a file which crashes or blocks its decoder
costs only itself. Nothing is changed or deleted.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from audiorig.config import Reason, ValidationConfig
from audiorig.data.checks import Clip, Report, check_clip
from audiorig.data.frame_sums import compile_ahead
from audiorig.data.isolation import Limits, Work, map_isolated
from audiorig.data.reasons import MEANINGS, Problem
from audiorig.errors import DataError

BATCH_FILES, BATCH_BYTES = 64, 8 << 20
PROBLEM_COLUMNS = {
    "wav_path": "string",
    "reason": "string",
    "severity": "string",
    "detail": "string",
    "value": "Float64",
    "bound": "Float64",
}
STATS_COLUMNS = {
    "wav_path": "string",
    "rms_dbfs": "Float64",
    "peak_dbfs": "Float64",
    "clipping_share": "Float64",
    "silence_share": "Float64",
    "dc_offset": "Float64",
    "num_non_finite": "Int64",
    "num_samples": "Int64",
    "measured_duration_sec": "Float64",
    "declared_duration_sec": "Float64",
    "rolloff_hz": "Float64",
}


def validate_corpus(
    manifest: pd.DataFrame, root: Path, bounds: ValidationConfig, num_workers: int = 2, limits: Limits | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Check every file of a manifest.

    Returns:
        The problems (a row per file and reason), the statistics (a row per readable file) and
        the summary: counts by severity and reason, hours kept and left out. All are in the order
        of the manifest and do not depend on the number of workers.
    """
    compile_ahead()
    work = Work(partial(check_clip, root, bounds), _blame, _num_bytes, limits or Limits())
    problems, stats = _Rows(PROBLEM_COLUMNS), _Rows(STATS_COLUMNS)
    with tqdm(total=len(manifest), desc="validate", unit="file", mininterval=1) as bar:
        for reports in map_isolated(work, _batches(manifest), num_workers):
            for report in reports:
                problems.extend(problem.row() for problem in report.problems)
                stats.extend([report.stats] if report.stats else [])
            bar.update(len(reports))
    found = problems.table()
    return found, stats.table(), summarize(manifest, found)


def excluded_paths(problems: pd.DataFrame, chosen: tuple[Reason, ...] | None = None) -> set[str]:
    """Files that a split leaves out.

    Args:
        chosen: the split's ``exclude_reasons``; None for all of severity error. What training could
            not read is left out whatever is chosen.
    """
    if chosen is None:
        is_excluded = problems["severity"] == "error"
    else:
        unreadable = [reason for reason, meaning in MEANINGS.items() if not meaning.is_readable]
        is_excluded = problems["reason"].isin([*chosen, *unreadable])
    return set(problems.loc[is_excluded, "wav_path"])


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


def require_files(table: pd.DataFrame, what: str) -> None:
    """Stop if validation left nothing."""
    if table.empty:
        raise DataError(f"{what}: validation left out every file; see invalid_files.parquet for the reasons")


# ------------------------------------------------------------------------------ tables


class _Rows:
    """Rows that are turned into columns now and then: a million of them as dicts would take gigabytes."""

    def __init__(self, columns: dict[str, str]) -> None:
        self.columns, self.rows, self.parts = columns, [], []  # type: ignore[var-annotated]

    def extend(self, rows: Any) -> None:
        self.rows.extend(rows)
        if len(self.rows) > 50_000:
            self._turn()

    def _turn(self) -> None:
        self.parts.append(pd.DataFrame(self.rows, columns=list(self.columns)).astype(self.columns))
        self.rows = []

    def table(self) -> pd.DataFrame:
        self._turn()
        return pd.concat(self.parts, ignore_index=True)


def _batches(manifest: pd.DataFrame) -> Iterator[list[Clip]]:
    """Rows in batches of so many files or bytes."""
    batch: list[Clip] = []
    num_bytes = 0
    for clip in _clips(manifest):
        batch.append(clip)
        num_bytes += clip.num_bytes
        if len(batch) >= BATCH_FILES or num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _clips(manifest: pd.DataFrame, chunk: int = 10_000) -> Iterator[Clip]:
    names = ("wav_path", "file_size_bytes", "problem", "archive_offset", "archive_size", "duration_sec")
    for start in range(0, len(manifest), chunk):
        rows = manifest.iloc[start : start + chunk]
        columns = [
            rows[name].astype(object).where(rows[name].notna(), None) if name in rows else [None] * len(rows)
            for name in names
        ]
        for path, size, problem, offset, length, duration in zip(*columns, strict=True):
            yield Clip(path, int(size or 0), problem, offset, length, duration is not None)


def _num_bytes(clip: Clip) -> int:
    return clip.num_bytes


def _blame(clip: Clip, how: str) -> Report:
    return Report([Problem(clip.wav_path, "decode_error", how)], None)
