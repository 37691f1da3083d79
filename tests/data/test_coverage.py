"""What was heard is counted second by second, survives a checkpoint, and is told apart from another split's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch

from audiorig.config import LongCropConfig, SilenceConfig
from audiorig.data.coverage import Coverage
from audiorig.errors import DataError

RATE = 16000
DATA = LongCropConfig(crop_sec=8.0)


def split_of(folder: Path, durations: list[float], name: str = "train") -> Path:
    paths = [f"home-{index}.wav" for index in range(len(durations))]
    table = pa.Table.from_pandas(pd.DataFrame({"wav_path": paths, "duration_sec": durations}), preserve_index=False)
    path = folder / f"{name}.arrow"
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def crops(*places: tuple[int, float, float], redraws: int = 0, silent: bool = False) -> torch.Tensor:
    """Of (row, start_sec, duration_sec)."""
    rows = [[row, round(start * RATE), round(length * RATE), redraws, int(silent)] for row, start, length in places]
    return torch.tensor(rows, dtype=torch.int64)


@pytest.fixture
def coverage(tmp_path: Path) -> Coverage:
    return Coverage(split_of(tmp_path, [100.0, 33.3, 7200.0]), DATA)


# ------------------------------------------------------------------------ counting


def test_distinct_seconds_and_hours(coverage: Coverage) -> None:
    assert coverage.num_seconds == 100 + 33 + 7200
    coverage.note(crops((0, 0, 8), (0, 4, 8), (2, 1000, 8)))
    assert coverage.num_heard == 12 + 8
    found = coverage.numbers()
    assert found["hours_heard"] == pytest.approx(24 / 3600)
    assert found["distinct_hours"] == pytest.approx(20 / 3600)
    assert found["coverage"] == pytest.approx(20 / 7333)
    coverage.note(crops((0, 0, 8), (0, 4, 8), (2, 1000, 8)))  # nothing new
    assert coverage.num_heard == 20
    assert coverage.numbers()["hours_heard"] == pytest.approx(48 / 3600)


def test_a_crop_of_eight_seconds_hears_eight_wherever_it_begins(tmp_path: Path) -> None:
    split = split_of(tmp_path, [1000.0])
    for start in (0.0, 0.3, 0.5, 0.500001, 0.9999, 17.25, 991.4, 992.0):
        coverage = Coverage(split, DATA)
        coverage.note(crops((0, start, 8)))
        assert coverage.num_heard == 8, start


def test_bits_equal_a_count_second_by_second(tmp_path: Path) -> None:
    """Random crops against marks that are set one by one, over recordings whose bits share bytes."""
    durations = [10.0, 13.7, 0.4, 8.0, 21.49, 3.2]
    coverage = Coverage(split_of(tmp_path, durations), DATA)
    generator = np.random.default_rng(0)
    heard: set[tuple[int, int]] = set()
    for _ in range(60):
        row = int(generator.integers(len(durations)))
        length = min(8.0, durations[row])
        start = round(generator.uniform(0, durations[row] - length) * RATE)
        num_samples = int(length * RATE)
        coverage.note(torch.tensor([[row, start, num_samples, 0, 0]]))
        heard |= {(row, k) for k in range(30) if start <= (k + 0.5) * RATE < start + num_samples}
        assert coverage.num_heard == len(heard)
    assert len(heard) > 30


def test_hearing_everything_is_a_coverage_of_one(tmp_path: Path) -> None:
    durations = [24.0, 8.6, 2.4, 0.9]
    coverage = Coverage(split_of(tmp_path, durations), DATA)
    coverage.note(crops((0, 0, 8), (0, 8, 8), (0, 16, 8), (1, 0, 8), (1, 0.6, 8), (2, 0, 2.4), (3, 0, 0.9)))
    assert coverage.numbers()["coverage"] == 1.0


def test_redraws_and_silent_crops_are_means_over_all_crops(coverage: Coverage) -> None:
    coverage.note(crops((0, 0, 8), (0, 20, 8), redraws=1))
    coverage.note(crops((0, 40, 8), (0, 60, 8), redraws=10, silent=True))
    found = coverage.numbers()
    assert (found["redraws"], found["silent_crops"]) == (5.5, 0.5)


def test_marked_crops_are_not_heard_and_accepted_ones_are(tmp_path: Path) -> None:
    split = split_of(tmp_path, [100.0])
    for when_silent, expected in (("mark", 8), ("accept", 16)):
        data = LongCropConfig(silence=SilenceConfig(when_silent=when_silent))
        coverage = Coverage(split, data)
        coverage.note(crops((0, 0, 8)))
        coverage.note(crops((0, 50, 8), silent=True))
        assert coverage.num_heard == expected
        assert coverage.numbers()["hours_heard"] == pytest.approx(expected / 3600)


def test_nothing_heard_yet(coverage: Coverage) -> None:
    assert set(coverage.numbers().values()) == {0.0}
    assert list(coverage.numbers()) == ["hours_heard", "distinct_hours", "coverage", "redraws", "silent_crops"]


# ------------------------------------------------------------------------ checkpoints


def test_a_resumed_run_counts_on(tmp_path: Path, coverage: Coverage) -> None:
    coverage.note(crops((0, 0, 8), (2, 4000, 8), redraws=2))
    coverage.save(tmp_path / "step-1")
    again = Coverage(coverage.split, DATA)
    again.load(tmp_path / "step-1")
    assert again.numbers() == coverage.numbers()
    for one in (coverage, again):
        one.note(crops((0, 4, 8), (1, 10, 8), silent=True))
        one.note(crops((0, 4, 8), (1, 10, 8)))
    assert again.numbers() == coverage.numbers()
    coverage.save(tmp_path / "one")
    again.save(tmp_path / "two")
    one, two = (next((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert one.name == two.name == "coverage.safetensors"
    assert one.read_bytes() == two.read_bytes()


def test_loading_forgets_what_was_noted_before(tmp_path: Path, coverage: Coverage) -> None:
    coverage.note(crops((0, 0, 8)))
    coverage.save(tmp_path / "step-1")
    before = coverage.numbers()
    coverage.note(crops((0, 50, 8)))
    coverage.load(tmp_path / "step-1")
    assert coverage.numbers() == before


def test_ten_thousand_hours_are_a_small_file(tmp_path: Path) -> None:
    coverage = Coverage(split_of(tmp_path, [36000.0] * 1000), DATA)
    coverage.note(crops((999, 35992, 8)))
    coverage.save(tmp_path / "step-1")
    assert (tmp_path / "step-1" / "coverage.safetensors").stat().st_size < 4_600_000
    assert coverage.num_heard == 8


@pytest.mark.parametrize("durations", [[100.0, 33.3], [100.0, 33.3, 7201.0], [33.3, 100.0, 7200.0]])
def test_the_state_of_another_split_is_refused(tmp_path: Path, coverage: Coverage, durations: list[float]) -> None:
    coverage.save(tmp_path / "step-1")
    other = Coverage(split_of(tmp_path, durations, "other"), DATA)
    with pytest.raises(DataError, match=r"step-1/coverage\.safetensors: .*another split than .*other\.arrow"):
        other.load(tmp_path / "step-1")


def test_a_state_that_is_missing_or_broken_is_named(tmp_path: Path, coverage: Coverage) -> None:
    with pytest.raises(DataError, match=r"step-1/coverage\.safetensors"):
        coverage.load(tmp_path / "step-1")
    coverage.save(tmp_path / "step-1")
    path = tmp_path / "step-1" / "coverage.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"step-1/coverage\.safetensors"):
        coverage.load(tmp_path / "step-1")


# ------------------------------------------------------------------------ the log of crops


def logged(folder: Path) -> pd.DataFrame:
    parts = sorted(folder.iterdir())
    return pd.concat([pq.read_table(path).to_pandas() for path in parts], ignore_index=True)


def test_every_crop_is_logged_with_its_file_and_place(tmp_path: Path) -> None:
    log = tmp_path / "crops"
    coverage = Coverage(split_of(tmp_path, [100.0, 33.3, 5.0]), DATA, log)
    coverage.note(crops((0, 12.5, 8), (1, 0.25, 8), redraws=3))
    coverage.note(crops((2, 0, 5), silent=True))
    assert not log.exists()  # nothing before a checkpoint
    coverage.save(tmp_path / "step-2")
    assert [path.name for path in log.iterdir()] == ["steps-00000001-00000002.parquet"]
    expected = {
        "step": [1, 1, 2],
        "wav_path": ["home-0.wav", "home-1.wav", "home-2.wav"],
        "start_sec": [12.5, 0.25, 0.0],
        "duration_sec": [8.0, 8.0, 5.0],
        "num_redraws": [3, 3, 0],
        "is_silent": [False, False, True],
        "is_padded": [False, False, True],
    }
    assert logged(log).to_dict("list") == expected


def test_after_a_resume_the_log_is_that_of_an_uninterrupted_run(tmp_path: Path) -> None:
    split = split_of(tmp_path, [1000.0])

    def steps(coverage: Coverage, first: int, last: int) -> None:
        for step in range(first, last + 1):
            coverage.note(crops((0, 10 * step, 8), (0, 10 * step + 1, 8)))

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    coverage = Coverage(split, DATA, whole)
    steps(coverage, 1, 9)
    coverage.save(tmp_path / "step-9")

    coverage = Coverage(split, DATA, cut)
    for first, last in ((1, 3), (4, 6), (7, 8)):
        steps(coverage, first, last)
        coverage.save(tmp_path / f"step-{last}")
    resumed = Coverage(split, DATA, cut)
    resumed.load(tmp_path / "step-3")
    assert [path.name for path in cut.iterdir()] == ["steps-00000001-00000003.parquet"]
    steps(resumed, 4, 9)
    resumed.save(tmp_path / "step-9")
    resumed.save(tmp_path / "again")  # nothing new, no part
    assert len(list(cut.iterdir())) == 2
    assert logged(cut).equals(logged(whole))


def test_a_run_that_begins_anew_clears_the_log(tmp_path: Path) -> None:
    split, log = split_of(tmp_path, [1000.0]), tmp_path / "crops"
    for start in (0, 500):
        coverage = Coverage(split, DATA, log)
        coverage.note(crops((0, start, 8)))
        coverage.save(tmp_path / "step-1")
    assert logged(log)["start_sec"].tolist() == [500.0]
