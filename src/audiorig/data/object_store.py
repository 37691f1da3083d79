"""Objects below ``s3://bucket/folder`` or ``gs://bucket/folder``, through fsspec: listing, looking up, fetching.

Keys, profile, region and endpoint come from the environment and the files that the libraries read
(``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, ...; fsspec's own
``FSSPEC_S3`` for further options, e.g. ``{"anon": true}``). They stand in no setting and no log.
"""

import errno
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from audiorig.errors import ConfigError, ReportedError

# Google's plain class: what fsspec would take asks for the kind of each bucket first, with credentials that a
# public bucket or an emulator does not need.
CLASSES = {"s3": ("s3fs", "S3FileSystem"), "gs": ("gcsfs.core", "GCSFileSystem")}
# Few tries: both try again themselves, and a server that is gone should be known soon.
S3_CLIENT = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"max_attempts": 2},
    "max_pool_connections": 32,  # as many as threads fetch, and more
}
OPTIONS: dict[str, dict[str, Any]] = {"s3": {"config_kwargs": S3_CLIENT}, "gs": {"requests_timeout": 60}}
# In one request: gcsfs asks three times more before it divides a large file, and tries each again for minutes.
FETCHED: dict[str, dict[str, Any]] = {"s3": {}, "gs": {"concurrency": 1}}
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class StorageError(ReportedError):
    """An object cannot be had now: the server is gone, the disk full, the object another one.

    It says nothing of the audio, so nothing stands in for it; the work can go on later.
    """


@dataclass(frozen=True)
class StoredObject:
    """What a listing says of an object; None for what is not known.

    Attributes:
        name: below the root, with ``/``.
        size: bytes.
        etag: changes with the content: S3's ETag, Google's generation.
        modified_sec: when it was written, whole seconds since 1970.
    """

    name: str
    size: int | None = None
    etag: str | None = None
    modified_sec: int | None = None


def list_objects(url: str) -> list[StoredObject]:
    """All objects below a root, sorted by name.

    Raises:
        StorageError: if they cannot be listed.
    """
    base = _base(url)
    with _told_of(url, "cannot be listed"):
        found = _filesystem(url).find(base, detail=True)
    objects = [
        _described(name[len(base) + 1 :], info)
        for name, info in found.items()
        if name.startswith(f"{base}/") and info["type"] == "file"
    ]
    return sorted(objects, key=lambda each: each.name)


def look_up(url: str, name: str) -> StoredObject:
    """What the store says of an object now.

    Raises:
        StorageError: if it does not say, or there is none.
    """
    with _told_of(f"{url}/{name}", "cannot be looked up"):
        return _described(name, _filesystem(url).info(f"{_base(url)}/{name}"))


def download(url: str, name: str, path: Path) -> None:
    """Write an object's bytes to a file.

    Raises:
        StorageError: if it cannot be fetched, or not be written.
    """
    with _told_of(f"{url}/{name}", "cannot be fetched", path):
        _filesystem(url).get_file(f"{_base(url)}/{name}", os.fspath(path), **FETCHED[_scheme(url)])


def _described(name: str, info: Mapping[str, Any]) -> StoredObject:
    # Google's etag changes with the metadata too, its generation with the content only.
    etag = str(info.get("generation") or info.get("ETag") or info.get("etag") or "").strip('"')
    times = (info.get(key) for key in ("LastModified", "ctime", "created", "mtime"))
    written = next((time for time in times if isinstance(time, datetime)), None)
    return StoredObject(name, int(info["size"]), etag or None, None if written is None else int(written.timestamp()))


@contextmanager
def _told_of(what: str, trouble: str, path: Path | None = None) -> Iterator[None]:
    """Say which object it was, and what to do."""
    try:
        yield
    except ReportedError:
        raise
    except Exception as error:  # those of botocore, aiohttp and google have no other ancestor in common
        if isinstance(error, OSError) and error.errno in DISK and path is not None:
            raise disk_error(what, path, error) from None
        raise StorageError(f"{what}: {trouble}: {_advised(error)}") from None


def _advised(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".") if lines else type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "there is no such object, or no more; build the manifest anew"
    if isinstance(error, PermissionError) or "credential" in f"{type(error).__name__} {text}".lower():
        return (
            f"{text}; check which credentials the environment holds (AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS), and "
            "what they may read"
        )
    return f"{text}; run it again when the store answers"


def disk_error(what: str, path: Path, error: OSError) -> StorageError:
    """For what cannot be kept on this machine."""
    return StorageError(
        f"{what}: cannot be kept in {path.parent}: {error.strerror or error}; make room there, or set the corpus' "
        "cache_root to another disk"
    )


def _base(url: str) -> str:
    """The root as fsspec names it: bucket/folder."""
    return url.partition("://")[2].rstrip("/")


def _scheme(url: str) -> str:
    return url.partition("://")[0]


# ------------------------------------------------------------------ filesystems


class _PerProcess:
    """One filesystem for each scheme and process.

    fsspec runs requests in a thread with an event loop; neither lives on in a forked worker of a
    data loader, and a filesystem that was made before the fork refuses to work there, or hangs.
    """

    def __init__(self) -> None:
        self.begin_anew()
        os.register_at_fork(after_in_child=self.begin_anew)

    def begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}

    def get(self, scheme: str) -> Any:
        with self._lock:
            if scheme not in self._made:
                self._made[scheme] = make_filesystem(scheme)
            return self._made[scheme]


_filesystems = _PerProcess()


def _filesystem(url: str) -> Any:
    return _filesystems.get(_scheme(url))


def make_filesystem(scheme: str) -> Any:
    """A new filesystem that shares nothing with others and remembers no listing.

    Raises:
        ConfigError: if its package is not installed.
    """
    package, name = CLASSES[scheme]
    # It writes a traceback for each try; the last one's sentence is the error's.
    logging.getLogger(package.partition(".")[0]).setLevel(logging.CRITICAL)
    try:
        made = getattr(import_module(package), name)
    except ImportError as error:
        raise ConfigError(
            f"{scheme}:// needs the package {package.partition('.')[0]} ({error}); install the project's extra: "
            "pip install 'audiorig[cloud]'"
        ) from None
    return made(skip_instance_cache=True, use_listings_cache=False, **OPTIONS[scheme])
