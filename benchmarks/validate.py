"""How fast validation reads: against the plain read of the same bytes, `flac -t`, and the usual way.

    PYTHONPATH=src python benchmarks/validate.py [--hours 6] [--flac-hours 1] [--repeat 5] [--folder /scratch]

Contenders run in turns, in the page cache, each on one core unless it says two. Best of all rounds.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from threadpoolctl import threadpool_limits

from audiorig.config import ValidationConfig
from audiorig.data.checks import check_file
from audiorig.data.validate import validate_corpus

RATE = 24000
FILE_MINUTES = 10
BOUNDS = ValidationConfig()


def make_corpus(root: Path, suffix: str, hours: float) -> list[Path]:
    """Noise in the rhythm of speech: loud syllables, pauses, a spectrum that falls."""
    generator = np.random.default_rng(0)
    num_samples = FILE_MINUTES * 60 * RATE
    paths = []
    for index in range(max(2, round(hours * 60 / FILE_MINUTES))):
        syllables = np.repeat(generator.uniform(0, 1, num_samples // 4800) ** 3, 4800)
        noise = np.cumsum(generator.standard_normal(num_samples)) if suffix == "flac" else 0
        noise = (noise - np.roll(noise, 40)) / 10 if suffix == "flac" else generator.standard_normal(num_samples)
        samples = np.clip(4000 * syllables * noise, -32768, 32767).astype(np.int16)
        paths.append(root / f"{index:03d}.{suffix}")
        soundfile.write(paths[-1], samples, RATE)
    return paths


def plain_read(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def plain_read_into(paths: list[Path]) -> None:
    buffer = bytearray(1 << 18)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def float_blocks(paths: list[Path]) -> None:
    for path in paths:
        with soundfile.SoundFile(path) as file:
            for block in file.blocks(1 << 18, dtype="float32"):
                magnitude = np.abs(block)
                magnitude.max(), float(block @ block), (magnitude >= 0.999).sum(), np.isfinite(block).all()


def our_pass(paths: list[Path]) -> None:
    for path in paths:
        assert check_file(path.parent, path.name, BOUNDS).stats


def our_stage(paths: list[Path], num_workers: int) -> None:
    manifest = pd.DataFrame(
        {
            "wav_path": [path.name for path in paths],
            "file_size_bytes": [path.stat().st_size for path in paths],
            "duration_sec": FILE_MINUTES * 60.0,
        }
    )
    _, stats, _ = validate_corpus(manifest, paths[0].parent, BOUNDS, num_workers)
    assert len(stats) == len(paths)


def flac_test(paths: list[Path]) -> None:
    subprocess.run(["flac", "-t", "-s", *map(str, paths)], check=True)


def best_times(contenders: dict[str, Callable[[], None]], repeat: int) -> dict[str, float]:
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(repeat):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def show(title: str, hours: float, times: dict[str, float]) -> None:
    print(f"\n{title}, {hours:.1f} h")
    for name, seconds in sorted(times.items(), key=lambda item: item[1]):
        print(f"  {name:34} {seconds:8.3f} s  {hours / seconds:9.1f} h of audio / s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument("--flac-hours", type=float, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the temporary files go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, threadpool_limits(1):
        for name in ("wav", "flac"):
            Path(folder, name).mkdir()
        wavs = make_corpus(Path(folder, "wav"), "wav", arguments.hours)
        flacs = make_corpus(Path(folder, "flac"), "flac", arguments.flac_hours)
        ours = {"our pass": our_pass, "our stage, 1 process": partial(our_stage, num_workers=1)}
        ours["our stage, 2 processes"] = partial(our_stage, num_workers=2)
        peers: dict[str, Callable[[list[Path]], None]] = {
            "read(), 1 MiB": plain_read,
            "readinto(), one buffer of 256 KiB": plain_read_into,
            "soundfile float32 blocks": float_blocks,
        }
        wav = best_times({name: partial(run, wavs) for name, run in {**peers, **ours}.items()}, arguments.repeat)
        show("PCM16 WAV", len(wavs) * FILE_MINUTES / 60, wav)
        peers = {"soundfile float32 blocks": float_blocks}
        if shutil.which("flac"):
            peers["flac -t"] = flac_test
        flac = best_times({name: partial(run, flacs) for name, run in {**peers, **ours}.items()}, arguments.repeat)
        show("FLAC", len(flacs) * FILE_MINUTES / 60, flac)
    print()
    for name in ("our pass", "our stage, 1 process", "our stage, 2 processes"):
        label = name.replace(", ", "_").replace(" ", "_")
        print(f"RATIO wav_{label}_of_read {wav['read(), 1 MiB'] / wav[name]:.3f}")
        print(f"RATIO wav_{label}_of_readinto {wav['readinto(), one buffer of 256 KiB'] / wav[name]:.3f}")
        print(f"RATIO wav_{label}_of_soundfile {wav['soundfile float32 blocks'] / wav[name]:.2f}")
        if "flac -t" in flac:
            print(f"RATIO flac_{label}_of_flac_t {flac['flac -t'] / flac[name]:.3f}")
    for kind, times in (("wav", wav), ("flac", flac)):
        gain = times["our stage, 1 process"] / times["our stage, 2 processes"]
        print(f"RATIO {kind}_two_processes_of_one {gain:.2f}")


if __name__ == "__main__":
    main()
