"""Kept files: a bounded number, nobody shares one, and none outlives a change of the file."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.data import audio
from audiorig.data.audio import MAX_OPEN, AudioInfo, open_audio, read_window
from audiorig.data.kept import KeptFiles
from audiorig.errors import DataError

RATE = 16000


class Fake:
    """A file that notes when it is closed."""

    info = AudioInfo(RATE, 1, 0)

    def __init__(self) -> None:
        self.is_closed = False

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.empty((0, 1), np.float32)

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    audio._kept.close()
    yield
    audio._kept.close()


def open_files(folder: Path) -> int:
    """Descriptors of this process that point below a folder."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith(str(folder)) for link in links if os.path.lexists(link))


def write_many(folder: Path, count: int, ending: str) -> list[Path]:
    """File k holds k / 1000."""
    paths = [folder / f"{index}.{ending}" for index in range(count)]
    for index, path in enumerate(paths):
        soundfile.write(path, np.full(800, index / 1000), RATE, "PCM_16")
    return paths


def test_the_file_that_was_used_longest_ago_is_closed() -> None:
    kept, made = KeptFiles(2), {name: Fake() for name in "abc"}
    for name in ("a", "b"):
        assert kept.take(name) is None
        kept.keep(name, made[name])
    assert kept.take("a") is made["a"]
    kept.keep("a", made["a"])
    kept.keep("c", made["c"])
    assert [made[name].is_closed for name in "abc"] == [False, True, False]
    kept.close()
    assert all(file.is_closed for file in made.values())


def test_a_file_in_use_is_given_to_nobody_else() -> None:
    kept, first, second = KeptFiles(2), Fake(), Fake()
    kept.keep("a", first)
    assert kept.take("a") is first
    assert kept.take("a") is None
    kept.keep("a", second)
    kept.keep("a", first)
    assert (first.is_closed, second.is_closed) == (False, True)
    assert len(kept) == 1


def test_a_file_that_failed_is_not_kept(tmp_path: Path) -> None:
    (path,) = write_many(tmp_path, 1, "flac")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError):
        read_window(path, 700, 100, RATE)
    assert open_files(tmp_path) == len(audio._kept) == 0


def test_a_file_that_shrinks_while_it_is_open_says_so(tmp_path: Path) -> None:
    (path,) = write_many(tmp_path, 1, "wav")
    file = open_audio(path)
    os.truncate(path, 100)
    with pytest.raises(ValueError, match=r"promises 800 samples, but reading ended at 28$"):
        file.read(0, 800)
    file.close()


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_no_more_than_64_files_stay_open(tmp_path: Path, ending: str) -> None:
    paths = write_many(tmp_path, MAX_OPEN + 20, ending)
    for _ in range(2):
        for index, path in enumerate(paths):
            assert read_window(path, 100, 10, RATE) == pytest.approx(index / 1000, abs=2e-4)
            assert open_files(tmp_path) <= MAX_OPEN
    assert open_files(tmp_path) == MAX_OPEN


def test_files_that_cannot_be_read_leave_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    for _ in range(5):
        with pytest.raises(DataError):
            read_window(tmp_path / "text.wav", 0, 10, RATE)
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path, ending: str) -> None:
    """In place, and by renaming another over it."""
    for number, place in enumerate(("a", "a", "b")):
        path = tmp_path / f"{place}.{ending}"
        soundfile.write(path, np.full(RATE + number, 0.1 + 0.2 * number), RATE)
        os.replace(path, tmp_path / f"a.{ending}")
        window = read_window(tmp_path / f"a.{ending}", RATE // 2, 10, RATE)
        assert window == pytest.approx(0.1 + 0.2 * number, abs=0.05)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_threads_read_the_same_file_at_once(tmp_path: Path, ending: str) -> None:
    samples = (0.3 * np.sin(np.arange(5 * RATE) ** 1.3 / 500)).astype(np.float32)
    soundfile.write(tmp_path / f"a.{ending}", samples, RATE)
    whole = soundfile.read(tmp_path / f"a.{ending}", dtype="float32")[0]
    gate = threading.Barrier(4)

    def read(thread: int) -> bool:
        gate.wait()
        starts = np.random.default_rng(thread).integers(0, len(whole) - 500, 100)
        return all(
            np.array_equal(read_window(tmp_path / f"a.{ending}", int(start), 500, RATE), whole[start : start + 500])
            for start in starts
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))


def read_and_count(path: Path, start: int) -> tuple[float, int, int]:
    """What a worker sees: the first sample, and files open before and after it reads."""
    before = open_files(path.parent)
    return float(read_window(path, start, 10, RATE)[0]), before, open_files(path.parent)


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """Sample k is k / 10000; kept open by this process."""
    soundfile.write(tmp_path / "a.flac", np.arange(8000) / 10000, RATE, "PCM_24")
    read_window(tmp_path / "a.flac", 0, 10, RATE)
    assert len(audio._kept) == 1
    return tmp_path / "a.flac"


def test_a_forked_child_shares_no_file_with_its_parent(ramp: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        found = list(pool.map(read_and_count, [ramp] * 8, range(0, 8000, 1000)))
    assert [value for value, _, _ in found] == pytest.approx([start / 10000 for start in range(0, 8000, 1000)])
    assert min(before for _, before, _ in found) == 0
    assert {after for _, _, after in found} == {1}
    assert read_window(ramp, 7000, 1, RATE)[0] == pytest.approx(0.7)


def test_a_spawned_child_reads_too(ramp: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(read_window, ramp, 7000, 1, RATE).result(60)[0] == pytest.approx(0.7)
