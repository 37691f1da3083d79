"""Random crops from hour-long files: our reader and loader, against soundfile and the page cache.

All files are made in a temporary folder and lie in the page cache. Contenders run interleaved; the
best round of each counts. A loader is compared with a plain loop that opens, seeks and reads with
soundfile, one crop after the other, and with what the default model eats.
Crops of recordings of several hours, at another rate and in stereo: long_crops.py.

    PYTHONPATH=src python benchmarks/crops.py --hours 4 --rounds 5
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import soundfile
from torch.utils.data import DataLoader

from audiorig.config import SpectrogramConfig, WaveMAEModelConfig
from audiorig.data.audio import read_window
from audiorig.data.crops import CropDataset
from audiorig.data.prefetch import ReadAhead, as_it_is
from audiorig.experiments.wavemae import MaskedCollate
from audiorig.train.sampler import StepSampler

RATE, CROP = 24000, 4 * 24000
BATCH = 24
ENDINGS = ("wav", "flac")

Contender = Callable[[], float]  # returns seconds of audio that it delivered


def write_hours(folder: Path, hours: int) -> list[str]:
    """Hour-long mono PCM16 files of speech-like noise, each as WAV and as FLAC; their names without ending."""
    generator = np.random.default_rng(0)
    minute = np.cumsum(generator.standard_normal(60 * RATE)) % 1 - 0.5
    level = 0.1 + 0.4 * np.abs(np.sin(np.arange(60 * RATE) / RATE * 4))
    minute = np.convolve(minute * level, np.ones(8) / 8, mode="same")
    names = [f"hour-{hour}" for hour in range(hours)]
    for name in names:
        for ending in ("wav", "flac"):
            with soundfile.SoundFile(folder / f"{name}.{ending}", "w", RATE, 1, "PCM_16") as file:
                for shift in range(60):
                    file.write(np.roll(minute, 1000 * shift))
    return names


def readers(folder: Path, names: list[str], count: int) -> dict[str, Contender]:
    """One crop after the other, in one thread, from the same places."""
    generator = np.random.default_rng(1)
    places = [
        (names[generator.integers(len(names))], int(generator.integers(3600 * RATE - CROP))) for _ in range(count)
    ]
    kept = {
        f"{name}.{ending}": soundfile.SoundFile(folder / f"{name}.{ending}") for name in names for ending in ENDINGS
    }
    maps = {name: np.memmap(folder / f"{name}.wav", "<i2", "r", offset=44) for name in names}

    def over(read: Callable[[str, int], np.ndarray]) -> Contender:
        return lambda: sum(len(read(name, start)) for name, start in places) / RATE

    def ours(ending: str) -> Contender:
        paths = {name: folder / f"{name}.{ending}" for name in names}
        return over(lambda name, start: read_window(paths[name], start, CROP, RATE))

    def soundfile_kept(ending: str) -> Contender:
        def read(name: str, start: int) -> np.ndarray:
            file = kept[f"{name}.{ending}"]
            file.seek(start)
            return file.read(CROP, dtype="float32")

        return over(read)

    def soundfile_opened(ending: str) -> Contender:
        return over(
            lambda name, start: soundfile.read(folder / f"{name}.{ending}", start=start, frames=CROP, dtype="float32")[
                0
            ]
        )

    def mapped(name: str, start: int) -> np.ndarray:
        return np.multiply(maps[name][start : start + CROP], np.float32(1 / 32768), dtype=np.float32)

    found = {"memmap wav": over(mapped)}
    for ending in ENDINGS:
        found[f"ours {ending}"] = ours(ending)
        found[f"soundfile kept {ending}"] = soundfile_kept(ending)
        found[f"soundfile opened {ending}"] = soundfile_opened(ending)
    return found


def loaders(folder: Path, names: list[str], num_batches: int) -> dict[str, Contender]:
    """Batches as the trainer gets them, masks and all, against a reader that opens a file per crop."""
    collate = MaskedCollate(WaveMAEModelConfig(), SpectrogramConfig(), CROP, 0, True)
    found: dict[str, Contender] = {}

    for ending in ENDINGS:
        rows = pd.DataFrame({"wav_path": [f"{name}.{ending}" for name in names], "duration_sec": 3600.0})
        table = pa.Table.from_pandas(rows, preserve_index=False)
        with pyarrow.ipc.new_file(str(folder / f"{ending}.arrow"), table.schema) as writer:
            writer.write_table(table)
        dataset = CropDataset(folder / f"{ending}.arrow", folder, CROP, RATE, seed=0)
        sampler = StepSampler(len(dataset), BATCH, num_batches, seed=0)

        def per_crop(dataset: CropDataset = dataset, sampler: StepSampler = sampler) -> float:
            total = 0
            for keys in sampler:
                for key in keys:
                    crop = dataset.locate(*key)
                    path = dataset.root / crop.wav_path
                    total += len(soundfile.read(path, start=crop.start, frames=CROP, dtype="float32")[0])
            return total / RATE

        def ahead(dataset: CropDataset = dataset, sampler: StepSampler = sampler) -> DataLoader:
            return DataLoader(ReadAhead(dataset, collate, sampler), batch_sampler=sampler, collate_fn=as_it_is)

        def plain(workers: int, dataset: CropDataset = dataset, sampler: StepSampler = sampler) -> DataLoader:
            return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers)

        found[f"reader per crop {ending}"] = per_crop
        found[f"loader threads {ending}"] = lambda make=ahead: _drain(make())
        found[f"loader in line {ending}"] = lambda make=plain: _drain(make(0))
        found[f"loader 2 workers {ending}"] = lambda make=plain: _drain(make(2))
    return found


def _drain(loader: DataLoader) -> float:
    return sum(batch["waveform"].numel() for batch in loader) / RATE


def best_of(contenders: dict[str, Contender], rounds: int) -> dict[str, float]:
    """Seconds of audio per second, the best of the rounds."""
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(rounds):
        for name, run in contenders.items():
            began = time.perf_counter()
            delivered = run()
            best[name] = max(best[name], delivered / (time.perf_counter() - began))
    return best


def lines(best: dict[str, float], appetite: float) -> Iterator[str]:
    """A table, and the ratios that are promised."""
    for name, speed in best.items():
        yield f"{name:24s} {speed * RATE / CROP:10.0f} crops/s {speed:12.0f} audio-s/s"
    for ending in ENDINGS:
        yield f"RATIO {ending}_over_soundfile_kept {best[f'ours {ending}'] / best[f'soundfile kept {ending}']:.2f}"
        loader = best[f"loader threads {ending}"]
        yield f"RATIO {ending}_loader_over_reader_per_crop {loader / best[f'reader per crop {ending}']:.2f}"
        yield f"RATIO {ending}_loader_over_model {loader / appetite:.1f}"
    yield f"RATIO wav_over_memmap {best['ours wav'] / best['memmap wav']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=4, help="hour-long files of each kind")
    parser.add_argument("--crops", type=int, default=600, help="crops of a round of each reader")
    parser.add_argument("--batches", type=int, default=20, help="batches of 24 crops of a round of each loader")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--appetite", type=float, default=285.0, help="audio-s/s that the default model trains on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = write_hours(Path(folder), options.hours)
        contenders = readers(Path(folder), names, options.crops) | loaders(Path(folder), names, options.batches)
        for line in lines(best_of(contenders, options.rounds), options.appetite):
            print(line)


if __name__ == "__main__":
    main()
