"""Ten million rows: what the split of such a manifest costs, and what training then holds in memory.

Rows like those of Emilia are generated in a temporary folder (3 GB of disk). Measured, each in a
process of its own: dividing the manifest; opening the training side; drawing crops from it, alone
and with workers; the plan of the workflow with such a manifest in place. Private memory is what
the system would get back if the process ended: pages of a mapped file that others map too do not
count, nor do those that were never touched.

    PYTHONPATH=src python benchmarks/rows.py --rows 10000000
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOALS = {
    "open_sec": 2.0,
    "private_mb": 300.0,
    "worker_mb": 50.0,
    "plan_sec": 5.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--crops", type=int, default=20_000, help="crops that are located per process")
    parser.add_argument("--step", choices=STEPS, help="run one step alone, in --folder")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments.folder, arguments.rows, arguments.crops)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, float] = {}
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", folder]
            command += ["--rows", str(arguments.rows), "--crops", str(arguments.crops)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found |= json.loads(done.stdout.splitlines()[-1])
    for name, value in found.items():
        print(f"{name:28s} {value:10.2f}")
    print()
    for name, goal in GOALS.items():
        print(f"RATIO {name}_to_bound {found[name] / goal:.2f}")


def generate(folder: Path, num_rows: int, _: int) -> dict[str, float]:
    """A manifest of archives of 20,000 clips, 40 to a source."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    started, written = time.perf_counter(), 0
    path = folder / "manifest.parquet"
    generator = np.random.default_rng(0)
    template = rows_of(np.arange(0), generator)
    with pq.ParquetWriter(path, template.schema, compression="zstd") as writer:
        for first in range(0, num_rows, 1_000_000):
            index = np.arange(first, min(first + 1_000_000, num_rows))
            writer.write_table(rows_of(index, generator))
            written += len(index)
    size_mb = path.stat().st_size / 1e6
    assert pa.parquet.read_metadata(path).num_rows == written == num_rows
    return {"generate_sec": time.perf_counter() - started, "manifest_mb": size_mb}


def rows_of(index: "np.ndarray", generator: "np.random.Generator") -> "pa.Table":  # type: ignore[name-defined]  # noqa: F821
    import numpy as np
    import pyarrow as pa

    languages = np.array(["EN", "ZH", "DE", "FR", "JA", "KO"])
    tar, source = index // 20_000, index // 40
    names = [
        (f"{languages[t % 6]}-B{t:06d}.tar", f"{languages[t % 6]}_B{t:05d}_S{s:07d}", i)
        for t, s, i in zip(tar.tolist(), source.tolist(), index.tolist(), strict=True)
    ]
    size = generator.integers(20_000, 200_000, len(index))
    columns = {
        "participant_id": pa.array([who for _, who, _ in names], pa.large_string()),
        "recording_id": pa.array([who for _, who, _ in names], pa.large_string()),
        "wav_path": pa.array([f"{name}/{who}_W{number:08d}.mp3" for name, who, number in names], pa.large_string()),
        "duration_sec": generator.uniform(3, 30, len(index)),
        "sample_rate": pa.array(np.full(len(index), 24_000)),
        "channels": pa.array(np.ones(len(index), np.int64)),
        "file_size_bytes": size,
        "sha1": pa.nulls(len(index), pa.string()),
        "codec": pa.array(["mp3"] * len(index), pa.string()),
        "mtime_ns": pa.array(np.full(len(index), 1_700_000_000_000_000_000)),
        "archive_offset": np.arange(len(index), dtype=np.int64) * 512,
        "archive_size": size,
        "problem": pa.nulls(len(index), pa.string()),
        "language": pa.array([name[:2].lower() for name, _, _ in names], pa.large_string()),
        "dnsmos": generator.uniform(2.5, 4, len(index)),
    }
    return pa.table(columns)


def split(folder: Path, _: int, __: int) -> dict[str, float]:
    """What rule split does."""
    import pandas as pd

    from audiorig.config import SplitConfig
    from audiorig.data.manifest import read_table
    from audiorig.data.split import split_manifest, write_split

    started = time.perf_counter()
    none = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
    settings = SplitConfig(group="recording", stratify="language", shares=(0.98, 0.01, 0.01), labels=("language",))
    sides = split_manifest(read_table(folder / "manifest.parquet"), none, settings, "by-source")
    divided = time.perf_counter()
    write_split(sides, settings, folder / "split")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "divide_sec": divided - started,
        "write_split_sec": time.perf_counter() - divided,
        "split_peak_mb": peak,
        "train_arrow_mb": (folder / "split" / "train.arrow").stat().st_size / 1e6,
    }


def private_mb(kind: str = "Private") -> float:
    """Private pages of this process, in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def train(folder: Path, _: int, num_crops: int) -> dict[str, float]:
    """What a training process holds, and what each worker adds. Torch itself is not counted."""
    from torch.utils.data import DataLoader

    from audiorig.data.crops import Crop, CropDataset

    class Located(CropDataset):
        """Crops without their samples: there is no audio."""

        def __getitem__(self, key: tuple[int, int]) -> Crop:  # type: ignore[override]
            return self.locate(*key)

    before = private_mb()
    started = time.perf_counter()
    rows = Located(folder / "split" / "train.arrow", folder, 98_304, 24_000, seed=0)
    num_items = len(rows)
    opened = time.perf_counter() - started
    after_open = private_mb()
    started = time.perf_counter()
    for item in range(num_crops):
        rows.locate(0, item * (num_items // num_crops))
    located = time.perf_counter() - started
    after, dirty = private_mb(), private_mb("Private_Dirty")
    keys = [(0, item * (num_items // num_crops)) for item in range(num_crops)]
    idle = DataLoader([0] * 4, num_workers=2, collate_fn=_private)
    bare = max(idle)
    loader = DataLoader(rows, sampler=keys, batch_size=64, num_workers=2, collate_fn=_private_and_dirty)
    found = [*loader]
    return {
        "open_sec": opened,
        "open_adds_mb": after_open - before,
        "private_mb": after - before,
        "private_dirty_mb": dirty,
        "process_mb": after,
        "locate_us": 1e6 * located / num_crops,
        "bare_worker_mb": bare,
        "worker_mb": max(total for total, _ in found[-2:]) - bare,
        "worker_dirty_mb": max(dirty for _, dirty in found[-2:]),
    }


def _private(_: list[object]) -> float:
    return private_mb()


def _private_and_dirty(_: list[object]) -> tuple[float, float]:
    return private_mb(), private_mb("Private_Dirty")


def plan(folder: Path, _: int, __: int) -> dict[str, float]:
    """A dry run of the real-scale target in a copy of the project, with the manifest and the split in place."""
    checkout = folder / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((ROOT / name).read_bytes())
    corpus = checkout / "results" / "corpora" / "emilia"
    (corpus / "splits").mkdir(parents=True)
    os.link(folder / "manifest.parquet", corpus / "manifest.parquet")
    os.symlink(folder / "split", corpus / "splits" / "by-source")
    (folder / "empty").mkdir()
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "results/wavemae-emilia/final.ckpt"]
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, "EMILIA_ROOT": str(folder / "empty")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return {"plan_sec": time.perf_counter() - started}


STEPS: dict[str, Callable[[Path, int, int], dict[str, float]]] = {
    "generate": generate,
    "split": split,
    "train": train,
    "plan": plan,
}

if __name__ == "__main__":
    main()
