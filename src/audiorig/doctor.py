"""A look at the machine: what works, what is missing, and what to do about it."""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line: ``is_needed`` findings that are not good make the command fail."""

    what: str
    is_good: bool
    found: str
    advice: str = ""
    is_needed: bool = True


def check_python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python", sys.version_info[:2] == (3, 11), found, "the lock is made for 3.11: make setup PYTHON=python3.11"
    )


def check_import(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError) as error:
        return Finding(name, False, str(error).splitlines()[0], "rm -rf .venv && make setup")
    return Finding(name, True, str(getattr(module, "__version__", "imports")))


def check_gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / GIGABYTE
        return Finding("GPU", True, f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB", is_needed=False)
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", True, "none: training runs on the processor", is_needed=False)
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    found = (done.stdout or done.stderr).strip().splitlines()
    return Finding(
        "GPU",
        False,
        f"{found[0] if found else 'no answer from nvidia-smi'}, but torch cannot use it",
        f"install a driver for CUDA {torch.version.cuda} or newer, then start again",
        is_needed=False,
    )


def check_mp3() -> Finding:
    import numpy as np
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tone.mp3"
        try:
            soundfile.write(path, 0.1 * np.sin(np.arange(24000) / 10), 24000)
            frames = soundfile.info(path).frames
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            return Finding("MP3 codec", False, str(error), "pip install soundfile: its wheel brings the codec", False)
    return Finding("MP3 codec", frames > 0, f"libsndfile {soundfile.__libsndfile_version__}", is_needed=False)


def check_space(what: str, path: str, needed_gb: float, advice: str) -> Finding:
    try:
        free = shutil.disk_usage(path).free / GIGABYTE
    except OSError as error:
        return Finding(what, False, str(error), advice, is_needed=False)
    return Finding(what, free >= needed_gb, f"{free:.1f} GB free, {needed_gb:g} GB wanted", advice, is_needed=False)


def check_slurm() -> Finding:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return Finding("SLURM plugin", False, "not installed", "make setup brings it", is_needed=False)
    where = "sbatch is here" if shutil.which("sbatch") else "no sbatch here: submit from a login node"
    return Finding("SLURM plugin", True, f"installed; {where}", is_needed=False)


def check_data() -> Finding:
    root = os.environ.get("AUDIORIG_DATA")
    if root is None:
        return Finding("AUDIORIG_DATA", True, "not set: only generated corpora can be used", is_needed=False)
    return Finding("AUDIORIG_DATA", Path(root).is_dir(), root, "let it name an existing folder", is_needed=False)


def findings() -> Iterator[Finding]:
    """Look at one thing after the other."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        lambda: check_import("torch"),
        lambda: check_import("torchaudio"),
        lambda: check_import("transformers"),
        lambda: check_import("snakemake"),
        check_gpu,
        check_mp3,
        lambda: check_space("disk", ".", 5, "free some space: checkpoints are written aside before old ones go"),
        lambda: check_space("shared memory", "/dev/shm", 1, "set train.num_workers: 0, or run with --shm-size=2g"),
        check_slurm,
        check_data,
    ]
    for check in checks:
        yield check()


def main() -> int:
    """Print the findings; the exit status tells whether what is needed works."""
    is_well = True
    for finding in findings():
        mark = "ok     " if finding.is_good else ("MISSING" if finding.is_needed else "note   ")
        print(f"{mark} {finding.what}: {finding.found}")
        if not finding.is_good:
            print(f"        -> {finding.advice}")
            is_well = is_well and not finding.is_needed
    return 0 if is_well else 1


if __name__ == "__main__":
    raise SystemExit(main())
