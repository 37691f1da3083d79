"""Damaged headers and random bytes: a reason or none, no crash, no wait, no more audio than the bytes hold."""

import resource
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.config import ValidationConfig
from audiorig.data.checks import Clip, Report, check_clip
from audiorig.data.isolation import Limits, Work, map_isolated

RATE = 16000
SECONDS = 5
LIMITS = Limits(base_sec=SECONDS, sec_per_mb=0, patience=1)
MOST_MEMORY_KIB = 500_000
SAMPLES_PER_BYTE = {"WAV": 8, "FLAC": 10_000, "OGG": 10_000, "MP3": 10_000}  # a bit each; runs of one value


def measured_check(root: Path, clip: Clip) -> tuple[Report, int]:
    report = check_clip(root, ValidationConfig(), clip)
    return report, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def check_all(root: Path, contents: Iterable[bytes], samples_per_byte: int) -> list[Report]:
    """Reports of files with these contents; fails if one crashed, waited or took too much."""
    clips, sizes = [], []
    for index, content in enumerate(contents):
        (root / f"{index}.wav").write_bytes(content)
        clips.append(Clip(f"{index}.wav", len(content)))
        sizes.append(len(content))
    work = Work(partial(measured_check, root), lambda clip, how: (how, 0), lambda clip: clip.num_bytes, LIMITS)
    batches = [clips[start : start + 50] for start in range(0, len(clips), 50)]
    results = [result for batch in map_isolated(work, batches, 2) for result in batch]
    assert len(results) == len(clips)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index, (report, memory) in enumerate(results):
        assert isinstance(report, Report), f"file {index}: {report}"
        assert report.problems or report.stats, f"file {index} ended in nothing"
        assert memory < own + MOST_MEMORY_KIB
        if report.stats:
            assert report.stats["num_samples"] <= samples_per_byte * sizes[index]
    return [report for report, _ in results]


def good_file(path: Path, kind: str, seconds: float = 0.5) -> bytes:
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    soundfile.write(path, samples, RATE, format=kind)
    return path.read_bytes()


def test_a_header_that_was_cut_at_any_byte(tmp_path: Path) -> None:
    raw = good_file(tmp_path / "good", "WAV")
    reports = check_all(tmp_path, [raw[:length] for length in range(45)], 8)
    assert len(reports) == 45
    for report in reports:
        assert any(problem.reason in ("unreadable_header", "zero_frames") for problem in report.problems)


def test_every_byte_of_a_header_set_to_four_values(tmp_path: Path) -> None:
    raw = good_file(tmp_path / "good", "WAV")
    values = (0x00, 0x7F, 0x80, 0xFF)
    contents = [raw[:at] + bytes([value]) + raw[at + 1 :] for at in range(44) for value in values]
    assert len(check_all(tmp_path, contents, 8)) == 176


def damaged(raw: bytes, generator: np.random.Generator) -> bytes:
    """Random bytes, flipped bits anywhere or in the header, a hole, a cut, or two at once."""
    broken = np.frombuffer(raw, np.uint8).copy()
    match generator.integers(6):
        case 0:
            broken = generator.integers(0, 256, len(raw), dtype=np.uint8)
        case 1:
            broken[int(generator.integers(4, 200)) :] = 0
        case 2:
            places = generator.integers(0, len(raw), 20)
            broken[places] ^= 1 << generator.integers(0, 8, 20).astype(np.uint8)
        case 3:
            places = generator.integers(0, min(200, len(raw)), 5)
            broken[places] = generator.integers(0, 256, 5)
        case 4:
            start = int(generator.integers(len(raw)))
            broken[start : start + int(generator.integers(1, 2000))] = generator.integers(256)
        case 5:
            places = generator.integers(0, 60, 3)
            broken[places] = generator.integers(0, 256, 3)
            broken = broken[: int(generator.integers(1, len(raw)))]
    return broken.tobytes()


@pytest.mark.parametrize(
    "num_files", [50, pytest.param(5000, marks=pytest.mark.slow)]
)  # of each of four kinds: 200, and 20,000
@pytest.mark.parametrize("kind", SAMPLES_PER_BYTE)
def test_damaged_files(tmp_path: Path, kind: str, num_files: int) -> None:
    raw = good_file(tmp_path / "good", kind)
    generator = np.random.default_rng([list(SAMPLES_PER_BYTE).index(kind), num_files])
    reports = check_all(tmp_path, (damaged(raw, generator) for _ in range(num_files)), SAMPLES_PER_BYTE[kind])
    assert sum(not report.problems for report in reports) < num_files  # the damage is real
