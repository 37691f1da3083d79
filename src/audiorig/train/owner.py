"""One live writer per run.

A login node that reboots makes Snakemake submit a second job beside the first, and a killed
workflow leaves its training behind: two processes would then write into one folder.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiorig.errors import ResumeError

HEARTBEAT_SEC = 10.0
DEAD_AFTER_SEC = 120.0  # for owners on other hosts, whose processes cannot be looked up

log = logging.getLogger(__name__)


@contextmanager
def ownership(path: Path, poll_sec: float = 2.0) -> Iterator[None]:
    """Hold the owner file of a run.

    A live owner on this host is waited for: when it is done, there is little left to do. A dead
    one is succeeded.

    Raises:
        ResumeError: if a live owner is on another host.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while not _take(path):
        owner = _read(path)
        if owner is None:
            continue  # it has just gone
        if not is_alive(owner, path):
            log.info("taking over from process %s on %s, which has ended", owner["pid"], owner["host"])
            _remove_dead(path, owner)
        elif owner["host"] != socket.gethostname():
            raise ResumeError(
                f"{path.parent}: process {owner['pid']} on {owner['host']} (job {owner['job_id']}) is training this "
                f"run, and was alive less than {DEAD_AFTER_SEC:.0f} s ago; end it first, or wait for it"
            )
        else:
            if not told:
                log.info("process %s is training %s already: waiting until it ends", owner["pid"], path.parent)
                told = True
            time.sleep(poll_sec)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        path.unlink(missing_ok=True)


def is_alive(owner: dict[str, Any], path: Path) -> bool:
    """Whether the process named in an owner file still runs; by its heartbeat if it is elsewhere."""
    if owner["host"] != socket.gethostname():
        try:
            return time.time() - path.stat().st_mtime < DEAD_AFTER_SEC
        except FileNotFoundError:
            return False
    return _process_start(owner["pid"]) == owner["started"]


def _take(path: Path) -> bool:
    """Create the owner file whole, unless there is one."""
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _process_start(os.getpid()),
        "job_id": os.environ.get("SLURM_JOB_ID"),
    }
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    mine.write_text(json.dumps(owner), encoding="utf-8")
    try:
        os.link(mine, path)  # fails if it exists: nobody ever sees a half-written owner file
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise ResumeError(f"{path}: no readable owner file; delete it if nothing is training this run") from None


def _remove_dead(path: Path, owner: dict[str, Any]) -> None:
    """Remove the file of a dead owner; of two that try, one finds it gone or another's."""
    gone = path.with_name(f"{path.name}.gone.{os.getpid()}")
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        return
    if _read(gone) != owner:  # somebody has succeeded in between: put theirs back
        os.rename(gone, path)
        return
    gone.unlink()


def _process_start(pid: int) -> str | None:
    """Clock tick at which a process began; None if there is none. Process ids are used again."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SEC):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
