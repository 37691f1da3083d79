"""Reading the headers of a batch of files and archives: what a worker of a scan does."""

import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiorig.data.audio import AudioSource, read_info
from audiorig.data.headers import read_plain_header
from audiorig.data.tars import MAX_SIDECAR_BYTES, Member, list_members
from audiorig.errors import DataError
from audiorig.files import file_digest

TAR = ".tar"
FLAGS = os.O_RDONLY | os.O_NONBLOCK  # else the opening of a pipe would wait for a writer for ever
SURE_SIZE = 0x7FFFF000  # sizes from here on may be what recorders write for want of a better
OF_FILES = ("file_size_bytes", "mtime_ns", "num_frames", "sample_rate", "channels")
OF_MEMBERS = ("archive_offset", "archive_size", "archive_bytes")
NUMBERS = (*OF_FILES, *OF_MEMBERS)
TEXTS = ("codec", "sha1", "problem", "archive", "sidecar")

Header = tuple[int, int, int, str | None]  # frames, rate in hertz, channels, codec
NO_HEADER: Header = (-1, -1, -1, None)
SeenHeaders = dict[tuple[bytes, bytes], tuple[int, int, int, str]]
Columns = tuple[list[str], NDArray[np.int64], list[tuple[str | None, ...] | None]]


@dataclass(frozen=True)
class ScanOptions:
    """What is read of a file beside its header.

    Attributes:
        member_extensions: lower-case ends of names inside archives.
        sha1: the digest of its bytes.
        sidecars: the text of the ``.json`` of the same stem.
    """

    member_extensions: tuple[str, ...] = ()
    sha1: bool = False
    sidecars: bool = False


@dataclass
class Rows:
    """Rows that are being read; -1 and None stand for unknown."""

    paths: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # len(OF_FILES) per row
    members: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # OF_MEMBERS of some rows
    texts: list[tuple[str | None, ...]] = field(default_factory=list)  # len(TEXTS) per row

    def add(
        self,
        path: str,
        *,
        size: int = -1,
        mtime_ns: int = -1,
        header: Header = NO_HEADER,
        member: tuple[int, int, int] | None = None,
        sha1: str | None = None,
        problem: str | None = None,
        archive: str | None = None,
        sidecar: str | None = None,
    ) -> None:
        if member:
            self.members[len(self.paths)] = member
        self.paths.append(path)
        self.numbers += (size, mtime_ns, header[0], header[1], header[2])
        self.texts.append((header[3], sha1, problem, archive, sidecar))

    def columns(self) -> Columns:
        """Paths, numbers (rows, NUMBERS) and texts; None for a column of nothing: soon sent, soon joined."""
        numbers = np.full((len(self.paths), len(NUMBERS)), -1, np.int64)
        numbers[:, : len(OF_FILES)] = np.array(self.numbers, np.int64).reshape(-1, len(OF_FILES))
        for row, member in self.members.items():
            numbers[row, len(OF_FILES) :] = member
        texts = list(zip(*self.texts, strict=True)) or [()] * len(TEXTS)
        return self.paths, numbers, [column if any(column) else None for column in texts]


def read_entries(root: str, paths: Sequence[str], options: ScanOptions) -> Columns:
    """Headers of files and archives below root. Runs in a worker: nothing here uses threads or Arrow."""
    rows = Rows()
    seen: SeenHeaders = {}
    for path in paths:
        if path.endswith(TAR):
            _read_archive(rows, root, path, options)
        else:
            _read_file(rows, root, path, options, seen)
    return rows.columns()


def _read_file(rows: Rows, root: str, path: str, options: ScanOptions, seen: SeenHeaders) -> None:
    full = f"{root}/{path}"
    try:
        descriptor = os.open(full, FLAGS)
    except OSError as error:
        rows.add(path, problem=_reason(error))
        return
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            rows.add(path, problem="not_regular")
            return
        header = _plain_header(descriptor, status.st_size, seen)
    except OSError:
        rows.add(path)
        return
    finally:
        os.close(descriptor)
    if header is None:
        header = _decoder_header(AudioSource(Path(full)))
    # Not add(): with its keywords, putting a row down took half as long as reading it.
    rows.paths.append(path)
    rows.numbers += (status.st_size, status.st_mtime_ns, header[0], header[1], header[2])
    sha1 = _digest(full) if options.sha1 else None
    rows.texts.append((header[3], sha1, None, None, _read_sidecar(full) if options.sidecars else None))


def _plain_header(descriptor: int, size: int, seen: SeenHeaders) -> Header | None:
    """Header of a plain file; what was understood once is not parsed again.

    The WAVs of a corpus begin with the same 44 bytes, but for two sizes: parsing them anew took
    longer than opening the files.
    """
    head = os.pread(descriptor, 44, 0)
    promised = int.from_bytes(head[40:], "little")
    form = seen.get((head[:4], head[8:40]))
    if form is not None and 0 < promised <= size - 44 < SURE_SIZE:
        block_align, rate, channels, codec = form
        return promised // block_align, rate, channels, codec
    plain = read_plain_header(descriptor, 0, size)
    if plain is None:
        return None
    if plain.container == "WAV" and plain.data_offset == len(head) == 44:
        seen[head[:4], head[8:40]] = (plain.block_align, plain.sample_rate_hz, plain.channels, plain.codec)
    return plain.num_frames, plain.sample_rate_hz, plain.channels, plain.codec


def _read_archive(rows: Rows, root: str, path: str, options: ScanOptions) -> None:
    full = f"{root}/{path}"
    members: dict[str, Member] = {}
    problem, size, mtime_ns = None, -1, -1
    try:
        status = os.stat(full)
        size, mtime_ns = status.st_size, status.st_mtime_ns
        for member in list_members(Path(full), options.member_extensions, options.sidecars):
            members[member.name] = member  # of two members of one name the last counts, as for tar
    except (tarfile.TarError, EOFError):
        problem = "unreadable_header"  # what came before the damage is kept
    except OSError as error:
        problem = _reason(error) or "unreadable_header"
    if problem:
        rows.add(path, size=size, mtime_ns=mtime_ns, member=(-1, -1, size), problem=problem, archive=path)
    for member in members.values():
        source = AudioSource(Path(full), member.offset, member.size, f"{full}/{member.name}")
        shown = os.fsencode(member.name).decode("utf-8", "backslashreplace")
        rows.add(
            f"{path}/{shown}",
            size=member.size,
            mtime_ns=mtime_ns,
            header=_decoder_header(source),
            member=(member.offset, member.size, size),
            sha1=_member_digest(source) if options.sha1 else None,
            archive=path,
            sidecar=member.sidecar,
        )


def _decoder_header(source: AudioSource) -> Header:
    try:
        info = read_info(source)
    except (DataError, OSError, ZeroDivisionError):
        return NO_HEADER
    return info.num_samples, info.sample_rate_hz, info.channels, info.codec


def _digest(path: str) -> str | None:
    try:
        return file_digest(Path(path), "sha1")
    except OSError:
        return None


def _member_digest(source: AudioSource) -> str:
    digest, left = hashlib.sha1(), source.size or 0
    with source.path.open("rb") as archive:
        archive.seek(source.offset)
        while left > 0 and (block := archive.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _read_sidecar(path: str) -> str | None:
    try:
        with open(f"{os.path.splitext(path)[0]}.json", "rb") as file:
            return file.read(MAX_SIDECAR_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _reason(error: OSError) -> str | None:
    """The manifest's word for what the system said; None where the file is simply not there."""
    return {errno.EACCES: "permission", errno.EPERM: "permission", errno.ELOOP: "link_loop"}.get(error.errno or 0)


def give_up(paths: Sequence[str]) -> Columns:
    """The row of a file that ended the process which read it: validation looks at it more closely."""
    rows = Rows()
    for path in paths:
        rows.add(path)
    return rows.columns()
