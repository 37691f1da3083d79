"""Sealed checkpoints: whole or absent, and known to be what was written.

``step-N/`` is written aside, every member is hashed into ``seal.json``, then the folder is
renamed. A torn or altered checkpoint is passed over, with its name and the reason.
"""

import logging
import os
import shutil
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from audiorig.errors import ResumeError
from audiorig.files import file_digest, flush_to_disk, read_json, write_json

SEAL = "seal.json"
FINGERPRINT = "fingerprint.json"

log = logging.getLogger(__name__)


def seal(folder: Path, target: Path, step: int, fingerprint: Mapping[str, Any]) -> None:
    """Hash and flush every member of a folder, seal it and move it to its place."""
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {}
    for path in members:
        flush_to_disk(path)
        digests[path.relative_to(folder).as_posix()] = file_digest(path)
    write_json(folder / SEAL, {"step": step, "sha256": digests, "fingerprint": fingerprint})
    flush_to_disk(folder)
    if target.exists():  # of the same step, but broken, or it would have been resumed from
        shutil.rmtree(target)
    os.rename(folder, target)
    flush_to_disk(target.parent)


def broken_because(folder: Path) -> str | None:
    """Why a checkpoint must not be used; None if its seal holds."""
    try:
        digests = read_json(folder / SEAL)["sha256"]
    except FileNotFoundError:
        return f"there is no {SEAL}"
    except (ValueError, KeyError, TypeError):
        return f"{SEAL} is unreadable"
    for name, digest in digests.items():
        try:
            if file_digest(folder / name) != digest:
                return f"{name} is not what was written"
        except FileNotFoundError:
            return f"{name} is gone"
    return None


def step_of(folder: Path) -> int:
    """Step of a sealed checkpoint, whatever its folder is called."""
    return int(read_json(folder / SEAL)["step"])


def num_ranks(folder: Path) -> int:
    """How many processes a checkpoint was written by: each has left its random state."""
    return max(1, len(list(folder.glob("rng_state_*.pth"))))


def list_checkpoints(root: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    folders = [path for path in root.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(folders, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def newest_whole(
    root: Path, fingerprint: Mapping[str, Any], useless_because: Callable[[Path], str | None] = lambda folder: None
) -> Path | None:
    """The newest checkpoint of this run whose seal holds; reports each that it passes over.

    Args:
        useless_because: why one is passed over although it is whole, None if it is not.
    """
    for folder in list_checkpoints(root):
        reason = broken_because(folder) or _foreign_because(folder, fingerprint) or useless_because(folder)
        if reason is None:
            return folder
        log.warning("%s: passed over: %s", folder, reason)
    return None


def _foreign_because(folder: Path, fingerprint: Mapping[str, Any]) -> str | None:
    changes = differences(read_json(folder / SEAL)["fingerprint"], fingerprint)
    return f"it belongs to other settings: {'; '.join(changes)}" if changes else None


def rotate(root: Path, keep: int, spared: Container[Path | None] = ()) -> None:
    """Delete all but the newest checkpoints: renamed first, so that none is ever half there.

    Args:
        spared: is not deleted either.
    """
    for folder in list_checkpoints(root)[keep:]:
        if folder in spared:
            continue
        gone = folder.with_name(f".gone-{folder.name}")
        os.rename(folder, gone)
        shutil.rmtree(gone)


def prepare_folder(root: Path, fingerprint: Mapping[str, Any]) -> None:
    """Make a checkpoint folder ready for a run; set another run's aside.

    A run whose model, data, loss, optimizer, schedule or seed has changed is another run: its
    checkpoints are moved to ``checkpoints.stale-K`` and training starts anew.
    """
    marker = root / FINGERPRINT
    if marker.exists():
        changes = differences(read_json(marker), fingerprint)
        if not changes:
            _clear_leftovers(root)
            return
        number = 1
        while (stale := root.with_name(f"{root.name}.stale-{number}")).exists():
            number += 1
        os.rename(root, stale)
        log.warning("settings have changed (%s): starting anew, old checkpoints are in %s", "; ".join(changes), stale)
    root.mkdir(parents=True, exist_ok=True)
    write_json(marker, fingerprint)


def require_same_run(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Check a checkpoint that was named by hand.

    Raises:
        ResumeError: if its seal is broken or it belongs to other settings; names the difference.
    """
    if not folder.is_dir():
        raise ResumeError(f"{folder}: no such checkpoint")
    if reason := broken_because(folder):
        raise ResumeError(f"{folder}: {reason}; take another checkpoint")
    if changes := differences(read_json(folder / SEAL)["fingerprint"], fingerprint):
        raise ResumeError(f"{folder}: it belongs to other settings: {'; '.join(changes)}")


def differences(before: Any, now: Any, where: str = "") -> list[str]:
    """Each setting that differs, as ``name: before -> now``."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted({*before, *now})
        return [line for key in keys for line in differences(before.get(key), now.get(key), f"{where}.{key}")]
    return [] if before == now else [f"{where.lstrip('.')}: {before} -> {now}"]


def _clear_leftovers(root: Path) -> None:
    """Remove what a killed save or rotation left behind."""
    for leftover in (*root.glob(".aside*"), *root.glob(".gone-*")):
        shutil.rmtree(leftover)
    for leftover in root.glob(".*.json.*.aside"):
        leftover.unlink()
