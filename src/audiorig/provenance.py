"""What made a result: beside each one lies a file that says so.

``stage`` wraps every script: it sets up logging, turns errors meant for people into one
sentence, and writes ``*.provenance.json`` when the work is done.
"""

import functools
import hashlib
import importlib.metadata
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiorig.errors import ReportedError, Unfinished
from audiorig.files import write_json

EXIT_UNFINISHED = 75  # EX_TEMPFAIL: stopped in good order, run again to go on
PACKAGES = (
    "torch",
    "torchaudio",
    "transformers",
    "accelerate",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "soundfile",
    "soxr",
    "pandas",
    "pyarrow",
    "snakemake",
    "espeakng-loader",
)

log = logging.getLogger(__name__)


@contextmanager
def stage(name: str, beside: Path | None = None) -> Iterator[dict[str, Any]]:
    """Run one stage of the workflow and record what made its result.

    Args:
        name: name of the rule.
        beside: the file that ``{beside}.provenance.json`` is written next to, if any.

    Yields:
        A dict; what is put into it (``settings``, counts) becomes part of the record.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    notes: dict[str, Any] = {}
    started, clock = datetime.now(UTC), time.perf_counter()
    code = code_state()  # as it is now: somebody may edit or commit while a long stage runs
    try:
        yield notes
    except ReportedError as error:
        log.error("%s: %s", name, error)
        raise SystemExit(EXIT_UNFINISHED if isinstance(error, Unfinished) else 1) from None
    if beside is not None:
        record = {
            "stage": name,
            "started": started.isoformat(timespec="seconds"),
            "wall_sec": round(time.perf_counter() - clock, 2),
            **environment(),
            **code,
            **notes,
        }
        write_json(beside.with_name(f"{beside.name}.provenance.json"), record)


@functools.cache
def environment() -> dict[str, Any]:
    """Code, versions and machine, without host or user names."""
    return {
        **code_state(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "gpus": _gpus(),
            "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        },
    }


@functools.cache
def code_state() -> dict[str, Any]:
    """Which code this is: digest of the package, commit, files changed since."""
    return {
        "package_digest": package_digest(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changed_files": len((_git("status", "--porcelain", "--untracked-files=no") or "").splitlines()),
    }


@functools.cache
def package_digest() -> str:
    """SHA-256 over the package's files: changes with every edit, also of a docstring or a template."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.glob("report/templates/*.*")]):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")  # never import it only to ask: that takes seconds
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
