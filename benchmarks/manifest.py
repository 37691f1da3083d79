"""Listing a corpus: ours against what the system calls cost, and against a peer.

20,000 WAVs of 32 kB in 100 folders, made in a temporary folder, in the page cache. Contenders run
interleaved in one process; the best round of each counts. The limits are loops that do nothing but
the system calls that cannot be left out. Ours goes all the way to the parquet file on the disk,
fsync included; "table" is ours up to the manifest in memory. The peer makes its objects and writes
no file.

    PYTHONPATH=src python benchmarks/manifest.py --files 20000 --rounds 5
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from audiorig.config import FolderCorpus
from audiorig.data.manifest import build_manifest, write_table

ORACLES = Path(__file__).resolve().parents[1] / ".oracles"
PER_FOLDER, NUM_SAMPLES, RATE = 200, 15_978, 16_000  # 32,000 bytes with the header


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kind", default="wav", choices=["wav", "flac"], help="format of the files")
    parser.add_argument("--no-peer", action="store_true", help="leave out lhotse, which takes ten times as long")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = write_files(Path(folder) / "corpus", arguments.files, arguments.kind)
        best = run_rounds(contenders(root, arguments.workers, not arguments.no_peer), arguments.rounds)
    print(f"{arguments.files} files, best of {arguments.rounds}, {os.cpu_count()} cores\n")
    for name, seconds in best.items():
        print(f"{name:44s} {1000 * seconds:9.1f} ms  {arguments.files / seconds:10.0f} files/s")
    print()
    ratios = {
        "scan_to_limit": ("limit: walk, open, fstat, pread", "scan"),
        "scan_table_to_limit": ("limit: walk, open, fstat, pread", "scan, table only"),
        "rescan_to_limit": ("limit: walk, stat", "rescan, nothing changed"),
        "rescan_table_to_limit": ("limit: walk, stat", "rescan, table only"),
        "scan_to_lhotse": ("lhotse RecordingSet.from_dir", "scan"),
        "scan_to_soundfile": ("soundfile.info", "scan"),
    }
    for name, (theirs, ours) in ratios.items():
        if theirs in best:
            print(f"RATIO {name} {best[theirs] / best[ours]:.2f}")


def write_files(root: Path, num_files: int, kind: str) -> Path:
    samples = (1000 * np.sin(np.arange(NUM_SAMPLES) / 20)).astype(np.int16)
    for index in range(num_files):
        path = root / f"speaker-{index // PER_FOLDER:04d}" / f"clip-{index:06d}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
    return root


def contenders(root: Path, num_workers: int, with_peer: bool) -> dict[str, Callable[[], object]]:
    corpus = FolderCorpus(kind="folder", root=str(root))
    output, memory = root.parent / "manifest.parquet", root.parent / "memory.arrow"
    build_manifest(corpus, root, num_workers, memory)
    found: dict[str, Callable[[], object]] = {
        "limit: walk, open, fstat, pread": lambda: open_all(root),
        "scan": lambda: write_table(build_manifest(corpus, root, num_workers), output),
        "scan, table only": lambda: build_manifest(corpus, root, num_workers),
        "limit: walk, stat": lambda: stat_all(root),
        "rescan, nothing changed": lambda: write_table(build_manifest(corpus, root, num_workers, memory), output),
        "rescan, table only": lambda: build_manifest(corpus, root, num_workers, memory),
        "soundfile.info": lambda: [soundfile.info(entry.path) for entry in walk(str(root))],
    }
    if with_peer and ORACLES.is_dir():
        sys.path.append(str(ORACLES))
        import tqdm.auto
        from lhotse import RecordingSet

        tqdm.auto.tqdm.__init__ = _silent(tqdm.auto.tqdm.__init__)
        pattern = f"*.{next(walk(str(root))).name.rsplit('.')[-1]}"
        found["lhotse RecordingSet.from_dir"] = lambda: list(RecordingSet.from_dir(root, pattern))
    return found


def _silent(method: Callable[..., None]) -> Callable[..., None]:
    return lambda *arguments, **settings: method(*arguments, **{**settings, "disable": True})


def run_rounds(found: dict[str, Callable[[], object]], num_rounds: int) -> dict[str, float]:
    best = dict.fromkeys(found, float("inf"))
    for _ in range(num_rounds):
        for name, contender in found.items():
            started = time.perf_counter()
            contender()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def walk(top: str) -> Iterator["os.DirEntry[str]"]:
    pending = [top]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield entry


def open_all(root: Path) -> int:
    num_bytes = 0
    for entry in walk(str(root)):
        descriptor = os.open(entry.path, os.O_RDONLY)
        num_bytes += os.fstat(descriptor).st_size + len(os.pread(descriptor, 44, 0))
        os.close(descriptor)
    return num_bytes


def stat_all(root: Path) -> int:
    return sum(entry.stat().st_size for entry in walk(str(root)))


if __name__ == "__main__":
    main()
