"""The manifest: every audio file of a corpus once, sorted, with what its header says.

Columns: ``participant_id, recording_id, wav_path, duration_sec, sample_rate, channels,
file_size_bytes, sha1``, then the corpus' own. Paths are relative to the corpus' root, so the same
corpus gives the same bytes on every machine. A file that cannot be read keeps its row, with empty
fields; validation says why.
"""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from audiorig.config import CorpusSection
from audiorig.data.audio import read_info
from audiorig.data.corpora import list_clips
from audiorig.errors import DataError
from audiorig.files import file_digest, written_aside

HEADER_COLUMNS = {
    "duration_sec": "Float64",
    "sample_rate": "Int64",
    "channels": "Int64",
    "file_size_bytes": "Int64",
    "sha1": "string",
}
FIRST_COLUMNS = ["participant_id", "recording_id", "wav_path", *HEADER_COLUMNS]


def build_manifest(corpus: CorpusSection, root: Path, num_threads: int = 2) -> pd.DataFrame:
    """List a corpus' files and read their headers.

    Raises:
        DataError: if there is no audio at all.
    """
    clips = list_clips(corpus, root)
    if clips.empty:
        raise DataError(f"{root}: no audio found; check root and extensions of the corpus")
    with ThreadPoolExecutor(num_threads) as pool:
        rows = pool.map(lambda path: describe_file(root / path, corpus.sha1), clips["wav_path"])
        headers = pd.DataFrame(list(tqdm(rows, "manifest", len(clips), unit="file", mininterval=1)))
    headers = headers.astype(HEADER_COLUMNS)
    manifest = pd.concat([clips.drop(columns=list(HEADER_COLUMNS), errors="ignore"), headers], axis=1)
    manifest = manifest.sort_values("wav_path", kind="stable", ignore_index=True)
    return manifest[[*FIRST_COLUMNS, *(column for column in manifest if column not in FIRST_COLUMNS)]]


def describe_file(path: Path, with_sha1: bool) -> dict[str, Any]:
    """Header fields of one file; None where they cannot be had."""
    fields: dict[str, Any] = dict.fromkeys(HEADER_COLUMNS)
    try:
        status = os.stat(path)
    except OSError:
        return fields
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return fields
    fields["file_size_bytes"] = status.st_size
    try:
        info = read_info(path)
        fields |= {"duration_sec": info.duration_sec, "sample_rate": info.sample_rate_hz, "channels": info.channels}
        if with_sha1:
            fields["sha1"] = file_digest(path, "sha1")
    except (DataError, OSError, ZeroDivisionError):
        pass
    return fields


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a parquet file, whole or not at all; equal tables give equal bytes."""
    with written_aside(path) as aside:
        table.to_parquet(aside, index=False, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    """A parquet table."""
    return pd.read_parquet(path)
