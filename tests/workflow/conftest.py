"""A checkout of the project in an empty folder, and one whole run in it, on tones and broken files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

RUN = {
    "build": ["tiny"],
    "tiny": {
        "extends": "smoke",
        "data": {"corpus": "tones", "split": "by-speaker", "crop_frames": 32},
        "model": {"width": 8, "depth": 2, "decoder_width": 8, "kernel": 3, "wide_kernel": 3, "decoder_kernel": 7},
        "train": {"max_steps": 30, "batch_size": 2, "save_steps": 10, "cpu_threads": 1},
        "probe": {
            "tasks": {
                "language": {"where": None},
                "voice-across-languages": None,
                "voice-from-one-clip": None,
            }
        },
    },
}


@dataclass(frozen=True)
class Checkout:
    """A folder with the project's files, and how to run its workflow."""

    folder: Path

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as a person would; standard output and error come together."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs that a dry run would do, by rule."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout
        if "Job stats:" not in done.stdout:
            return {}
        table = done.stdout.split("Job stats:")[1].splitlines()[3:]
        jobs = {}
        for line in table:
            name, _, count = line.strip().rpartition(" ")
            if not count.isdecimal() or name.strip() == "total":
                break
            jobs[name.strip()] = int(count)
        return jobs

    def configure(self, name: str, content: dict) -> str:
        """Write a config file; returns its name."""
        (self.folder / name).write_text(yaml.safe_dump(content))
        return name


def make_checkout(folder: Path) -> Checkout:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return Checkout(folder)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Nothing has run in it."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkout]:
    """Makes checkouts for tests that run something of their own."""
    return lambda name: make_checkout(tmp_path_factory.mktemp(name))


def add_broken_files(root: Path) -> None:
    """What people's folders hold."""
    (root / "empty.wav").touch()
    (root / "text.wav").write_text("This is no audio.")
    whole = next(root.rglob("*.wav"))
    for path in sorted(root.rglob("*.wav")):
        if path.is_file() and path.stat().st_size > 1000:
            whole = path
            break
    (root / "cut.wav").write_bytes(whole.read_bytes()[:20])
    (root / "folder.wav").mkdir()


def tiny_config(root: Path) -> dict:
    corpus = {
        "kind": "folder",
        "root": str(root),
        "metadata": "metadata.csv",
        "license": "CC0-1.0 (tones)",
        "splits": {"by-speaker": {"group": "participant", "shares": [0.5, 0.25, 0.25], "labels": ["language"]}},
    }
    return {**RUN, "corpora": {"tones": corpus}}


@pytest.fixture(scope="session")
def finished(tones, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One whole run, from files (four of them broken) to the report."""
    checkout = make_checkout(tmp_path_factory.mktemp("finished"))
    root = tmp_path_factory.mktemp("audio") / "tones"
    shutil.copytree(tones.root, root)
    add_broken_files(root)
    checkout.configure("tiny.yaml", tiny_config(root))
    done = checkout.snakemake("--configfile", "tiny.yaml")
    assert done.returncode == 0, done.stdout[-5000:]
    return checkout
