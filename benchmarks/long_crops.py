"""8-s crops, 16 kHz mono, of hours-long 44.1 kHz stereo recordings: ours, the plain way, and a peer.

The recordings (tones in noise, 16 bits; FLAC at 0.6 of the size of WAV) are made in a temporary
folder, 4 GB, and lie in the page cache. Contenders read the same places, one after the other, in
one thread and interleaved; the best round of each counts. The plain way is what most loaders do:
soundfile, ``mean(axis=1)``, soxr. The peer mixes its two channels after resampling. The bare decode
seeks and decodes the crop in an open file, and does nothing with it.

    PYTHONPATH=src python benchmarks/long_crops.py
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import soundfile
import soxr
import torch
from crops import Contender, best_of

from audiorig.config import LongCropConfig
from audiorig.data.audio import read_window
from audiorig.data.long_crops import LongCropDataset

ORACLES = Path(__file__).resolve().parents[1] / ".oracles"
SOURCE_RATE, RATE, CROP_SEC = 44100, 16000, 8
SHORT_FILES = 80  # more than a process keeps open

Read = Callable[[Path, float], np.ndarray]  # from a second on


def minute_of_home() -> np.ndarray:
    """Stereo noise with a voice-like tone that comes and goes, int16 (T, 2)."""
    generator = np.random.default_rng(0)
    time = np.arange(60 * SOURCE_RATE) / SOURCE_RATE
    pitch = 2 * np.pi * np.cumsum(200 + 60 * np.sin(2 * np.pi * 0.7 * time)) / SOURCE_RATE
    voice = sum(np.sin(k * pitch) / k for k in range(1, 12)) * np.maximum(0, np.sin(2 * np.pi * 0.2 * time))
    noise = 0.005 * generator.standard_normal((len(time), 2))
    return (32767 * (0.05 * voice[:, None] * [1.0, 0.6] + noise)).astype(np.int16)


def write_recording(path: Path, num_minutes: int) -> None:
    minute = minute_of_home()
    with soundfile.SoundFile(path, "w", SOURCE_RATE, 2, "PCM_16") as file:
        for index in range(num_minutes):
            file.write(np.roll(minute, 4410 * index, axis=0))


def read_ours(path: Path, start_sec: float) -> np.ndarray:
    return read_window(path, round(start_sec * RATE), CROP_SEC * RATE, RATE)


def read_plain(path: Path, start_sec: float) -> np.ndarray:
    start = round(start_sec * SOURCE_RATE)
    samples, rate = soundfile.read(path, start=start, frames=CROP_SEC * SOURCE_RATE, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def bare_decode(path: Path, dtype: str) -> Read:
    file = soundfile.SoundFile(path)

    def read(_: Path, start_sec: float) -> np.ndarray:
        file.seek(round(start_sec * SOURCE_RATE))
        return file.read(CROP_SEC * SOURCE_RATE, dtype=dtype)

    return read


def read_lhotse(path: Path) -> Read:
    sys.path.append(str(ORACLES))
    from lhotse import Recording

    cut = Recording.from_file(path).to_cut()
    return lambda _, start_sec: (
        cut.truncate(offset=start_sec, duration=CROP_SEC).resample(RATE).load_audio().mean(axis=0)
    )


def over(read: Read, path: Path, starts: np.ndarray) -> Contender:
    """Every crop in turn; returns the seconds of audio."""

    def run() -> float:
        for start in starts:
            read(path, float(start))
        return len(starts) * CROP_SEC

    return run


def write_split(folder: Path, durations_sec: dict[str, float]) -> Path:
    """A participant for each recording."""
    columns = {"wav_path": list(durations_sec), "duration_sec": list(durations_sec.values())}
    table = pa.table(columns | {"sample_rate": [SOURCE_RATE] * len(durations_sec)})
    with pyarrow.ipc.new_file(str(folder / "train.arrow"), table.schema) as writer:
        writer.write_table(table)
    return folder / "train.arrow"


def contenders(folder: Path, hours: int, count: int, with_peer: bool) -> dict[str, Contender]:
    starts = np.random.default_rng(1).uniform(0, 3600 * hours - CROP_SEC, count)
    found: dict[str, Contender] = {}
    for ending in ("wav", "flac"):
        path = folder / f"home.{ending}"
        (folder / ending).mkdir()
        split = write_split(folder / ending, {f"home.{ending}": 3600.0 * hours})
        dataset = LongCropDataset(split, folder, LongCropConfig(crop_sec=CROP_SEC), 0, side="train")

        def whole(dataset: LongCropDataset = dataset) -> float:
            items = range(0, len(dataset), max(1, len(dataset) // count))
            return sum(CROP_SEC * (1 + dataset[0, item][0].num_redraws) for item in items)

        found[f"ours {ending}"] = over(read_ours, path, starts)
        found[f"data set {ending}"] = whole
        found[f"plain {ending}"] = over(read_plain, path, starts)
        found[f"bare {ending} float32"] = over(bare_decode(path, "float32"), path, starts)
        found[f"bare {ending} int16"] = over(bare_decode(path, "int16"), path, starts)
        if with_peer:
            found[f"lhotse {ending}"] = over(read_lhotse(path), path, starts)
    return found


def hours_apart(folder: Path, hours: int, count: int) -> dict[str, Contender]:
    """The first and the last hour of a long FLAC."""
    places = np.random.default_rng(2).uniform(0, 3600 - CROP_SEC, count)
    path = folder / "long.flac"
    return {
        "first hour": over(read_ours, path, places),
        "last hour": over(read_ours, path, places + 3600 * (hours - 1)),
    }


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_below(folder: Path) -> int:
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    targets = [Path(os.readlink(link)) for link in links if os.path.lexists(link)]
    return sum(target.is_relative_to(folder) and target.suffix != ".arrow" for target in targets)


def endurance(folder: Path, durations_sec: dict[str, float], num_crops: int) -> Iterator[str]:
    """Memory and open files along the way, over long recordings and more short ones than stay open."""
    # All participants get alike, so that the short ones come often.
    data = LongCropConfig(crop_sec=CROP_SEC, max_participant_share=0.01)
    dataset = LongCropDataset(write_split(folder, durations_sec), folder, data, 0, side="train")
    levels, most_open = [], 0
    for index in range(num_crops):
        epoch, item = divmod(index * 997, len(dataset))
        dataset[epoch, item]
        if index % (num_crops // 10) == num_crops // 10 - 1:
            levels.append(resident_mb())
            most_open = max(most_open, open_below(folder))
    yield "MB in memory, in tenths of the way: " + " ".join(f"{level:.0f}" for level in levels)
    yield f"RATIO memory_end_over_tenth {levels[-1] / levels[0]:.3f}"
    yield f"FILES open, at most: {most_open}"


def lines(best: dict[str, float]) -> Iterator[str]:
    for name, speed in best.items():
        yield f"{name:20s} {1000 * CROP_SEC / speed:8.2f} ms/crop {speed:10.0f} audio-s/s"
    ratios = [
        ("wav_over_plain", "ours wav", "plain wav"),
        ("wav_over_lhotse", "ours wav", "lhotse wav"),
        ("flac_over_plain", "ours flac", "plain flac"),
        ("flac_over_lhotse", "ours flac", "lhotse flac"),
        ("flac_over_bare_decode", "ours flac", "bare flac float32"),
        ("flac_over_bare_int16", "ours flac", "bare flac int16"),
        ("wav_data_set_over_plain", "data set wav", "plain wav"),
        ("flac_data_set_over_plain", "data set flac", "plain flac"),
    ]
    for name, ours, theirs in ratios:
        if theirs in best:
            yield f"RATIO {name} {best[ours] / best[theirs]:.2f}"
    apart = math.exp(abs(math.log(best["first hour"] / best["last hour"])))
    yield f"RATIO flac_hours_apart {apart:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=2, help="length of the recordings that are compared")
    parser.add_argument("--long-hours", type=int, default=6, help="length of the FLAC whose ends are compared")
    parser.add_argument("--crops", type=int, default=100, help="crops of a round")
    parser.add_argument("--endurance", type=int, default=10_000, help="crops whose memory and files are watched")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        durations = {f"home.{ending}": 3600.0 * options.hours for ending in ("wav", "flac")}
        durations["long.flac"] = 3600.0 * options.long_hours
        durations |= {f"short-{index}.{('wav', 'flac')[index % 2]}": 60.0 for index in range(SHORT_FILES)}
        for recording, duration in durations.items():
            write_recording(folder / recording, round(duration / 60))
        for line in endurance(folder, durations, options.endurance):
            print(line, flush=True)
        found = contenders(folder, options.hours, options.crops, ORACLES.is_dir())
        found |= hours_apart(folder, options.long_hours, options.crops)
        for line in lines(best_of(found, options.rounds)):
            print(line)


if __name__ == "__main__":
    main()
