"""Where an audio file lies, what is in it, and what every reader of one kind of files gives."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd  # 36 MB of private memory: a process that only reads windows does without

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class AudioSource:
    """A file, or a stretch of bytes of an archive that is never unpacked.

    Attributes:
        path: file to open.
        offset: byte at which the audio file begins in it.
        size: bytes of the audio file; all that follow if None.
        name: what messages call it; the path if empty.
    """

    path: Path
    offset: int = 0
    size: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return self.name or os.fspath(self.path)


@dataclass(frozen=True)
class AudioInfo:
    """What a header says.

    Attributes:
        num_samples: samples per channel.
        codec: how they are stored: pcm_s16, float32, mulaw, flac, mp3, vorbis, opus, ...
        container: WAV, RF64, W64, FLAC, MP3, OGG, AIFF, ...
    """

    sample_rate_hz: int
    channels: int
    num_samples: int
    codec: str = ""
    container: str = ""

    @property
    def duration_sec(self) -> float:
        return self.num_samples / self.sample_rate_hz


class AudioFile(Protocol):
    """An open audio file. One reader at a time."""

    @property
    def info(self) -> AudioInfo: ...

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Samples (T, C) as they are stored or as float32; `mix_down` makes both one kind.

        Raises:
            ValueError: if the file holds fewer.
        """

    def close(self) -> None: ...


def source_of(
    root: Path, wav_path: str, archive_offset: int | None = None, archive_size: int | None = None
) -> AudioSource:
    """The source of a manifest row.

    Args:
        root: folder that ``wav_path`` is relative to.
        wav_path: a file, or ``{archive}.tar/{member}``.
        archive_offset: byte of the member's data in its archive; None for an ordinary file.
        archive_size: bytes of the member's data.
    """
    if archive_offset is None or archive_size is None:
        return AudioSource(root / wav_path)
    parts = PurePosixPath(wav_path).parts
    archives = [root.joinpath(*parts[: end + 1]) for end, part in enumerate(parts[:-1]) if part.endswith(".tar")]
    if not archives:
        raise ValueError(f"{wav_path}: has a place in an archive, but names none; expected archive.tar/member")
    # Folders may be called so too: only then is the disk asked.
    archive = archives[0] if len(archives) == 1 else next((path for path in archives if path.is_file()), archives[0])
    return AudioSource(archive, int(archive_offset), int(archive_size), os.fspath(root / wav_path))


def source_of_row(root: Path, row: "Mapping[str, Any] | pd.Series") -> AudioSource:
    """The source of a row of a table, which may lack the columns of archives."""
    return source_of(root, row["wav_path"], _number(row.get("archive_offset")), _number(row.get("archive_size")))


def _number(value: Any) -> int | None:
    """A whole number of a table, or None for whatever stands there for none (None, NaN, pandas' NA)."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def as_source(source: Path | AudioSource) -> AudioSource:
    """A path is the whole file."""
    return source if isinstance(source, AudioSource) else AudioSource(source)


def open_regular(source: AudioSource) -> tuple[int, int]:
    """Open for reading.

    Returns:
        The descriptor, which the caller closes, and how many bytes belong to the source.

    Raises:
        OSError: as the system says it.
        ValueError: if it is a pipe, a device or a folder: opening a pipe would wait for ever.
    """
    descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ValueError("no regular file")
    left = max(0, status.st_size - source.offset)
    return descriptor, left if source.size is None else min(left, source.size)
