"""Reading stretches of audio files: mono, at the rate that is asked for, without decoding the rest.

A window that is read by seeking equals the same slice of the whole file's decode. What a file
holds decides how it is read, not what it is called.
"""

import os
from pathlib import Path

import soundfile

from audiorig.data.compressed import CodedFile
from audiorig.data.headers import read_plain_header
from audiorig.data.kept import KeptFiles
from audiorig.data.plain import PlainFile, mix_down
from audiorig.data.resample import read_resampled, resampled_length
from audiorig.data.source import (
    AudioFile,
    AudioInfo,
    AudioSource,
    Samples,
    as_source,
    open_regular,
    source_of,
    source_of_row,
)
from audiorig.errors import DataError

__all__ = [
    "AudioInfo",
    "AudioSource",
    "Samples",
    "open_audio",
    "read_info",
    "read_window",
    "resampled_length",
    "source_of",
    "source_of_row",
]

MAX_OPEN = 64  # files that a process keeps open

# What reading can raise. A SoundFileError cannot be sent from a worker process: its text is lost on the way.
_TROUBLES = (soundfile.SoundFileError, OSError, ValueError, RuntimeError, MemoryError)

_kept = KeptFiles(MAX_OPEN)


def open_audio(source: Path | AudioSource) -> AudioFile:
    """Open a file, to be read by one thread at a time and closed.

    Raises:
        DataError: if it cannot be read; the message names the file.
    """
    source = as_source(source)
    try:
        return _open(source)
    except _TROUBLES as error:
        raise DataError(f"{source}: {reason_of(error)}") from None


def read_info(source: Path | AudioSource) -> AudioInfo:
    """Header of an audio file.

    Raises:
        DataError: if it cannot be read; the message names the file.
    """
    file = open_audio(source)
    file.close()
    return file.info


def read_window(source: Path | AudioSource, start: int, num_samples: int, rate_hz: int) -> Samples:
    """Read a stretch of a file.

    Args:
        source: an audio file, or a member of an archive.
        start: first sample, counted at ``rate_hz``.
        num_samples: length T, at ``rate_hz``; -1 for all that is left.
        rate_hz: rate of the result.

    Returns:
        float32 (T,), the mean of the channels; shorter where the file ends.

    Raises:
        DataError: names the file, the stretch and the reason.
    """
    source = as_source(source)
    try:
        status = os.stat(source.path)
        # A file that was written anew is another one.
        key = (str(source.path), source.offset, source.size, status.st_ino, status.st_size, status.st_mtime_ns)
        file = _kept.take(key) or _open(source)
        try:
            samples = _read(file, start, num_samples, rate_hz)
        except BaseException:
            file.close()
            raise
        _kept.keep(key, file)
        return samples
    except _TROUBLES as error:
        raise DataError(f"{source}: samples {start} to {start + num_samples}: {reason_of(error)}") from None


def _read(file: AudioFile, start: int, num_samples: int, rate_hz: int) -> Samples:
    info = file.info
    total = resampled_length(info.num_samples, info.sample_rate_hz, rate_hz)
    start = min(start, total)
    stop = total if num_samples < 0 else min(start + num_samples, total)
    if info.sample_rate_hz == rate_hz:
        return mix_down(file.read(start, stop))

    def read(first: int, last: int) -> Samples:
        return mix_down(file.read(first, last))

    return read_resampled(read, info.num_samples, info.sample_rate_hz, start, stop, rate_hz)


def _open(source: AudioSource) -> AudioFile:
    descriptor, size = open_regular(source)
    try:
        header = read_plain_header(descriptor, source.offset, size)
        return PlainFile(descriptor, source.offset, header) if header else CodedFile(descriptor, source.offset, size)
    except BaseException:
        os.close(descriptor)
        raise


def reason_of(error: Exception) -> str:
    """Why a file could not be read, in a few words."""
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).rstrip(".")
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__
