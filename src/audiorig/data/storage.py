"""Where a corpus' audio lies: in a folder, or in object storage with a folder of fetched copies.

A copy takes its object's place below the cache folder, ``{cache_root}/{corpus}/objects/{wav_path}``,
so that everything which reads files below a root reads copies as well. A copy is complete or absent,
and its time of change says of which state of the object it is one: the seconds are the object's own,
the microseconds a digest of its etag. So a copy is checked by one look at the file and no request:
with all copies there, the store is not needed at all. (Tags in files beside the copies would double
the number of files, which clusters count; extended attributes do not work on every disk. Where a
disk keeps whole seconds only, size and seconds alone are compared.)

Threads and processes that want one object at the same time wait for the first of them. Where a disk
locks no files they all fetch it, and the last copy takes the place of the others, which is as good.
"""

import fcntl
import hashlib
import os
import secrets
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from audiorig.config import CorpusSection
from audiorig.config_stages import corpus_root, corpus_url, load_corpus
from audiorig.data.object_store import StorageError, StoredObject, disk_error, download, look_up
from audiorig.data.source import AudioSource, source_of_row
from audiorig.files import flush_to_disk

if TYPE_CHECKING:
    import pandas as pd

INCOMING = ".incoming"  # locks, and what is being fetched; of a killed process something may stay
ASIDE = ".aside"
STALE_SEC = 24 * 3600.0
NUM_AHEAD = 64  # objects that are being fetched or wait to be
NUM_THREADS = 16
NUM_STAMPS = 999_999  # microseconds of a second but the first, which stands for none
ETAG = "object_etag"  # column of manifests and splits
ROW_COLUMNS = ("wav_path", "file_size_bytes", "archive_offset", "archive_size", ETAG)


@dataclass(frozen=True)
class AudioRoot:
    """What ``wav_path`` is relative to. Can be pickled, and shared by threads.

    Attributes:
        folder: where files lie; of a corpus in object storage, its copies.
        url: ``s3://bucket/folder`` or ``gs://bucket/folder``; None for a corpus on disk.
    """

    folder: Path
    url: str | None = None

    def __str__(self) -> str:
        return self.url or os.fspath(self.folder)

    def local(self, wav_path: str, size: int | None = None, etag: str | None = None) -> Path:
        """The file to read, which is fetched if it is not there.

        Args:
            size, etag: of the object, as a listing had them; a copy of another state is fetched anew.

        Raises:
            StorageError: if it cannot be fetched or kept, or is not the listed one any more.
        """
        return self._local(StoredObject(wav_path, size, etag))

    def source_of_row(self, row: "Mapping[str, Any] | pd.Series") -> AudioSource:
        """The source of a row of a manifest or a split, fetched if need be; members of archives too."""
        source = source_of_row(self.folder, row)
        if self.url is not None:
            self._local(self._object_of(source, row))
        return source

    def object_of_row(self, row: "Mapping[str, Any] | pd.Series") -> StoredObject:
        """The object that holds a row of a manifest or a split."""
        return self._object_of(source_of_row(self.folder, row), row)

    def fetch(
        self, wanted: Iterable[StoredObject], num_ahead: int = NUM_AHEAD, num_threads: int = NUM_THREADS
    ) -> Iterator[Path]:
        """Files in the order in which they are wanted, while at most ``num_ahead`` further are fetched.

        A consumer that stops, or an object that cannot be had, cancels what has not begun.
        """
        if self.url is None:
            yield from (self.folder / each.name for each in wanted)
            return
        coming: deque[Path | Future[Path]] = deque()
        pool = ThreadPoolExecutor(num_threads, thread_name_prefix="fetch")
        try:
            for each in wanted:
                path = self.folder / each.name
                coming.append(path if is_copy(path, each) else pool.submit(self._local, each))
                if len(coming) > num_ahead:
                    yield _result(coming.popleft())
            while coming:
                yield _result(coming.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def fetch_rows(self, rows: "pd.DataFrame", label: str = "fetch") -> None:
        """Have all files of a manifest or split at hand.

        Args:
            rows: with ``wav_path``; rows without a size were not there when the corpus was listed.

        Raises:
            StorageError: as ``local``.
        """
        if self.url is None:
            return
        listed = rows[rows["file_size_bytes"].notna() & (rows[ETAG].notna() if ETAG in rows else True)]
        columns = [name for name in ROW_COLUMNS if name in rows]
        records = (dict(zip(columns, row, strict=True)) for row in listed[columns].itertuples(index=False))
        objects = dict.fromkeys(map(self.object_of_row, records))
        self.fetch_all(objects, len(objects), label)

    def fetch_all(self, wanted: Iterable[StoredObject], total: int, label: str = "fetch") -> None:
        """Have all of these at hand, with a progress bar."""
        for _ in tqdm(self.fetch(wanted), desc=label, total=total, unit="file", mininterval=1, delay=1):
            pass

    def refreshed(self, name: str) -> Path:
        """A file, fetched anew if the object has changed: what a table says now.

        Raises:
            StorageError: as ``local``; also if the store does not answer, whatever copy there is.
        """
        return self.folder / name if self.url is None else self._local(look_up(self.url, name))

    def _object_of(self, source: AudioSource, row: "Mapping[str, Any] | pd.Series") -> StoredObject:
        """The object that holds a row: of a member of an archive the archive, whose size no table says."""
        etag, size = row.get(ETAG), row.get("file_size_bytes")
        name = source.path.relative_to(self.folder).as_posix()
        is_known = source.size is None and isinstance(size, Real) and size == size
        return StoredObject(name, int(size or 0) if is_known else None, etag if isinstance(etag, str) else None)

    def _local(self, wanted: StoredObject) -> Path:
        path = self.folder / wanted.name
        if self.url is None or is_copy(path, wanted):
            return path
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise StorageError(f"{self.url}/{wanted.name}: its name leads out of the corpus; it is not fetched")
        incoming = self.folder / INCOMING
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locks.held(wanted.name, incoming):
                if not is_copy(path, wanted):  # another was faster
                    _fetch(self.url, wanted, path, incoming)
        except OSError as error:
            raise disk_error(f"{self.url}/{wanted.name}", path, error) from None
        return path


def as_root(root: Path | AudioRoot) -> AudioRoot:
    """A folder is a root on disk."""
    return root if isinstance(root, AudioRoot) else AudioRoot(root)


def audio_root(name: str, corpus: CorpusSection) -> AudioRoot:
    """Where a corpus' audio lies.

    Raises:
        ConfigError: as ``corpus_root``.
    """
    return AudioRoot(corpus_root(name, corpus), corpus_url(name, corpus))


def load_audio(path: Path) -> tuple[CorpusSection, AudioRoot]:
    """A corpus' settings, as a rule wrote them to ``results/corpora/{corpus}/corpus.yaml``, and where its audio is."""
    corpus, _ = load_corpus(path)
    return corpus, audio_root(path.parent.name, corpus)


# ----------------------------------------------------------------------- copies


def is_copy(path: Path, wanted: StoredObject) -> bool:
    """Whether a file is there and is a copy of this state of an object, as far as that is known."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    seconds, microseconds = divmod(status.st_mtime_ns // 1000, 1_000_000)
    if wanted.size is not None and status.st_size != wanted.size:
        return False
    if wanted.etag is None:
        return True
    if microseconds:
        return microseconds == _digest(wanted.etag)
    return wanted.modified_sec is None or abs(seconds - wanted.modified_sec) <= 1


def _digest(etag: str) -> int:
    """The microseconds that stand for an etag; never 0."""
    return 1 + int.from_bytes(hashlib.blake2b(etag.encode(), digest_size=8).digest()) % NUM_STAMPS


def _fetch(url: str, wanted: StoredObject, path: Path, incoming: Path) -> None:
    """Put a copy of an object into its place, whole."""
    name = f"{url}/{wanted.name}"
    aside = incoming / f"{secrets.token_hex(12)}{ASIDE}"  # no process' number: machines may share a cache
    try:
        download(url, wanted.name, aside)
        # Asked afterwards: what is still there as it was listed was so while it was read.
        found = look_up(url, wanted.name)
        _check_same(name, wanted, found, aside.stat().st_size)
        stamp = 1_000_000 * (found.modified_sec or 0) + (_digest(found.etag) if found.etag else 0)
        os.utime(aside, ns=(time.time_ns(), 1000 * stamp))
        flush_to_disk(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _check_same(name: str, wanted: StoredObject, found: StoredObject, num_bytes: int) -> None:
    is_listed = wanted.size in (None, found.size) and wanted.etag in (None, found.etag)
    if not is_listed:
        raise StorageError(
            f"{name}: is another object than was listed (now {found.size} bytes, etag {found.etag}; listed: "
            f"{wanted.size} bytes, etag {wanted.etag}); build the manifest anew"
        )
    if num_bytes != found.size:
        raise StorageError(f"{name}: {num_bytes} bytes came of {found.size}; run it again")


def remove_leftovers(root: AudioRoot) -> None:
    """Delete what processes that were killed left behind while they fetched."""
    for path in (root.folder / INCOMING).glob(f"*{ASIDE}"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SEC:
                path.unlink()


def _result(coming: Path | Future[Path]) -> Path:
    return coming.result() if isinstance(coming, Future) else coming


class _Locks:
    """Who fetches an object, of all threads and processes that want it: an archive of gigabytes should come once.

    A bounded number of locks, each a thread's and a file's; a forked child begins with fresh ones.
    Disks that lock no files are put up with: then two processes may fetch the same.
    """

    COUNT = 1024

    def __init__(self) -> None:
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._of_threads = [threading.Lock() for _ in range(self.COUNT)]

    @contextmanager
    def held(self, name: str, folder: Path) -> Iterator[None]:
        """Hold the lock of an object; ``folder`` has the files."""
        number = zlib.crc32(name.encode()) % self.COUNT
        with self._of_threads[number], (folder / f"lock-{number}").open("ab") as file:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX)  # not flock: what is forked meanwhile would hold that too, for ever
            yield


_locks = _Locks()
