"""Copies of recordings, one mono file of 16 bits each, that are cheaper to read windows of.

A window of 8 seconds of a 44.1 kHz stereo FLAC costs a seek, a decode and a resampling; of its copy
at the rate of the training it costs one read. The copies lie outside ``results``, under the paths of
the originals, so that they take the place of the corpus' root. What they are called says nothing of
what they hold: all are WAV (RF64 from 4 GiB on), also that of ``visit.flac``; readers of the project
go by content.
"""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import soundfile
from tqdm import tqdm

from audiorig.data.audio import AudioSource, Samples, read_info, read_window, reason_of, resampled_length
from audiorig.data.manifest import write_table
from audiorig.errors import DataError, ReportedError
from audiorig.files import read_json, written_aside

BLOCK = 1 << 20  # samples of a copy that are made at once: a minute at 16 kHz, a few tens of megabytes
MAX_WAV_BYTES = (1 << 32) - (1 << 16)  # of samples; a 32-bit size must hold the header too
INDEX = "index.parquet"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """A row of the index.

    Attributes:
        num_samples: length at the copy's rate; 0 if there is no copy.
        is_new: whether it was made just now; the others were there.
        problem: why there is none.
    """

    wav_path: str
    num_samples: int
    is_new: bool
    problem: str = ""


def cache_recordings(
    manifest: pd.DataFrame, root: Path, folder: Path, rate_hz: int, num_workers: int = 1
) -> pd.DataFrame:
    """Copy what has changed since it was copied, or was never copied; then write the index.

    Stopped at any time, it goes on with the next recording. What cannot be read gets no copy: the
    index and the log say why.

    Args:
        manifest: rows to copy, with ``wav_path``.
        folder: where the copies go; ``{folder}/{wav_path}`` each, and ``index.parquet``.

    Returns:
        The index, in the order of the manifest: ``wav_path, num_samples, duration_sec, problem``; and,
        what the file does not hold, ``is_new``.

    Raises:
        DataError: if a row is a member of an archive, or nothing could be copied.
        ReportedError: if the copies cannot be written, e.g. because the disk is full.
    """
    _refuse_archives(manifest)
    paths = manifest["wav_path"].tolist()
    copy = partial(cache_recording, root=root, folder=folder, rate_hz=rate_hz)
    copies: list[Copy] = []
    for done in tqdm(_map(copy, paths, num_workers), total=len(paths), desc="copy", unit="file", mininterval=1):
        copies.append(done)
        if done.problem:
            log.warning("%s; left without a copy", done.problem)
    if copies and all(done.problem for done in copies):
        raise DataError(f"{root}: none of its {len(copies)} recordings could be copied; first: {copies[0].problem}")
    columns: dict[str, Any] = {"wav_path": "str", "num_samples": "int64", "problem": "str", "is_new": "bool"}
    index = pd.DataFrame([asdict(done) for done in copies], columns=list(columns)).astype(columns)
    index.insert(2, "duration_sec", index["num_samples"] / rate_hz)
    write_table(index.drop(columns="is_new"), folder / INDEX)
    return index


def cache_recording(wav_path: str, root: Path, folder: Path, rate_hz: int) -> Copy:
    """Copy one recording, unless its copy is there and as old as itself.

    Raises:
        ReportedError: if the copy cannot be written.
    """
    source, target = root / wav_path, folder / wav_path
    try:
        info = read_info(source)
        num_samples = resampled_length(info.num_samples, info.sample_rate_hz, rate_hz)
        written_ns = os.stat(source).st_mtime_ns
        if _is_copy(target, num_samples, rate_hz, written_ns):
            return Copy(wav_path, num_samples, is_new=False)
        with written_aside(target) as aside:
            _write(source, aside, num_samples, rate_hz)
            os.utime(aside, ns=(written_ns, written_ns))  # says of which state of the recording this is the copy
    except DataError as error:
        return Copy(wav_path, 0, is_new=False, problem=str(error))
    except (OSError, soundfile.SoundFileError) as error:  # the latter loses its text on the way from a worker
        raise ReportedError(f"{target}: cannot be written: {reason_of(error)}; is there room on the disk?") from None
    return Copy(wav_path, num_samples, is_new=True)


def _refuse_archives(manifest: pd.DataFrame) -> None:
    if "archive_offset" in manifest and (is_member := manifest["archive_offset"].notna()).any():
        raise DataError(
            f"{manifest['wav_path'][is_member].iloc[0]}: lies in an archive, and of such files no copies are made; "
            "unpack it, or set data.cached: false"
        )


def _is_copy(target: Path, num_samples: int, rate_hz: int, written_ns: int) -> bool:
    try:
        info = read_info(target)
        return (
            os.stat(target).st_mtime_ns == written_ns
            and (info.num_samples, info.sample_rate_hz, info.channels) == (num_samples, rate_hz, 1)
        )  # fmt: skip
    except (DataError, OSError):
        return False


def _write(source: Path, target: Path, num_samples: int, rate_hz: int) -> None:
    container = "WAV" if 2 * num_samples <= MAX_WAV_BYTES else "RF64"
    with soundfile.SoundFile(target, "w", rate_hz, 1, "PCM_16", format=container) as file:
        for block in _blocks(AudioSource(source), num_samples, rate_hz):
            file.write(np.clip(np.rint(block * 32768), -32768, 32767).astype(np.int16))


def _blocks(source: AudioSource, num_samples: int, rate_hz: int) -> Iterator[Samples]:
    """A recording in stretches; each equals that stretch of the whole, so they join without a seam."""
    for start in range(0, num_samples, BLOCK):
        block = read_window(source, start, min(BLOCK, num_samples - start), rate_hz)
        if len(block) != min(BLOCK, num_samples - start):
            raise DataError(f"{source}: became shorter while it was copied")
        yield block


def _map(copy: "partial[Copy]", paths: list[str], num_workers: int) -> Iterator[Copy]:
    if num_workers < 2 or len(paths) < 2:
        yield from map(copy, paths)
        return
    # Not a multiprocessing.Pool: that waits for ever for a worker which the system has killed.
    with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
        try:
            yield from pool.map(copy, paths)
        finally:
            pool.shutdown(cancel_futures=True)


def copies_of(record: Path, split: Path) -> Path:
    """The folder of the copies that a training reads in place of the recordings.

    Args:
        record: what the rule ``cache_audio`` wrote.
        split: folder of the split.

    Raises:
        DataError: if a recording of train or dev has no copy: better now than in the middle of the training.
    """
    folder = Path(read_json(record)["folder"])
    for side in ("train", "dev"):
        paths = pq.read_table(split / f"{side}.parquet", columns=["wav_path"])["wav_path"].to_pylist()
        if missing := [path for path in paths if not (folder / path).is_file()]:
            raise DataError(
                f"{record}: {len(missing)} of {len(paths)} recordings of {side} have no copy below {folder}, "
                f"{missing[0]} among them; run --forcerun cache_audio, or set data.cached: false"
            )
    return folder
