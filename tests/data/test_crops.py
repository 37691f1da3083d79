"""A crop is a pure function of (seed, epoch, item), whoever reads it and when."""

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest
import soundfile
from torch.utils.data import DataLoader

from audiorig.config import SIDES
from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.crops import Crop, CropDataset
from audiorig.errors import DataError

RATE = 24000


def first(items: list) -> list:
    return items


@pytest.fixture
def crops(tone_split: Path, tones) -> CropDataset:
    return CropDataset(tone_split / "train.arrow", tones.root, 6000, RATE, seed=7)


def write_arrow(rows: pd.DataFrame, path: Path) -> Path:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def imagined(tmp_path: Path, durations_sec: list[float], crop_sec: float, seed: int = 0, **more: bool) -> CropDataset:
    """A data set over files that are never opened."""
    rows = {"wav_path": [f"{index:04d}.wav" for index in range(len(durations_sec))], "duration_sec": durations_sec}
    path = write_arrow(pd.DataFrame(rows), tmp_path / "x.arrow")
    return CropDataset(path, tmp_path, round(crop_sec * RATE), RATE, seed, **more)


def equal(one: tuple[Crop, Samples], two: tuple[Crop, Samples]) -> bool:
    return one[0] == two[0] and one[1].tobytes() == two[1].tobytes()


# ------------------------------------------------------------------------ purity


def test_the_order_of_reading_does_not_matter(crops: CropDataset) -> None:
    keys = [(epoch, item) for epoch in (0, 3) for item in range(len(crops))]
    there = {key: crops[key] for key in keys}
    assert all(equal(crops[key], there[key]) for key in reversed(keys))
    assert len({crop for crop, _ in there.values()}) == len(keys)


def test_a_crop_can_be_read_again_from_its_name(crops: CropDataset) -> None:
    crop, samples = crops[2, 5]
    assert (crop.epoch, crop.item) == (2, 5)
    assert np.array_equal(read_window(crops.root / crop.wav_path, crop.start, 6000, RATE), samples)
    assert samples.dtype == np.float32
    assert samples.shape == (6000,)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("num_workers", [0, 2, 4])
def test_the_number_of_workers_does_not_matter(crops: CropDataset, num_workers: int) -> None:
    batches = [[(0, 3), (0, 1)], [(1, 3), (0, 0), (5, 2)], [(0, 3)]]
    loader = DataLoader(crops, batch_sampler=batches, num_workers=num_workers, collate_fn=first)
    found = list(loader)
    assert [len(batch) for batch in found] == [2, 3, 1]
    for keys, batch in zip(batches, found, strict=True):
        assert all(equal(item, crops[key]) for key, item in zip(keys, batch, strict=True))


def test_epochs_seeds_and_items_differ(crops: CropDataset, tone_split: Path) -> None:
    def starts(dataset: CropDataset, epoch: int) -> list[tuple[str, int]]:
        found = [dataset.locate(epoch, item) for item in range(len(dataset))]
        return [(crop.wav_path, crop.start) for crop in found]

    other_seed = CropDataset(tone_split / "train.arrow", crops.root, 6000, RATE, seed=8)
    assert starts(crops, 0) == starts(crops, 0)
    assert starts(crops, 0) != starts(crops, 1)
    assert starts(crops, 0) != starts(other_seed, 0)


def test_indices_of_numpy_name_the_same_crop(crops: CropDataset) -> None:
    assert crops.locate(np.int64(1), np.int64(4)) == crops.locate(1, 4)  # type: ignore[arg-type]


def test_a_pickled_data_set_is_small_and_opens_its_file_again(tmp_path: Path, crops: CropDataset) -> None:
    text = pickle.dumps(imagined(tmp_path, [1.0] * 20000, 0.25))
    assert len(text) < 2000  # no rows inside
    again = pickle.loads(pickle.dumps(crops))
    assert len(again) == len(crops)
    assert equal(again[1, 2], crops[1, 2])


def test_a_worker_says_which_file_is_broken(tmp_path: Path) -> None:
    dataset = imagined(tmp_path, [2.0], 0.5)
    (tmp_path / "0000.wav").write_text("no audio")
    batches = iter(DataLoader(dataset, batch_sampler=[[(0, 0)]], num_workers=1, collate_fn=first))
    with pytest.raises(DataError, match=r"0000\.wav"):
        next(batches)
    batches._shutdown_workers()  # left to the garbage collector, it waits 5 s for the worker


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_files_and_members_of_archives_are_read_alike(tmp_path: Path) -> None:
    """Noise as FLAC in a folder, and as WAV, FLAC and OGG inside a tar; the same with 0, 2 and 4 workers."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    names = ["a.flac", "b.wav", "c.flac", "d.ogg"]
    for name in names:
        soundfile.write(tmp_path / name, samples, RATE)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in names[1:]:
            archive.add(tmp_path / name, f"in/{name}")
    with tarfile.open(tmp_path / "x.tar") as archive:
        members = [archive.getmember(f"in/{name}") for name in names[1:]]
    rows = pd.DataFrame(
        {
            "wav_path": ["a.flac", *(f"x.tar/in/{name}" for name in names[1:])],
            "duration_sec": 2.0,
            "archive_offset": pd.array([None, *(member.offset_data for member in members)], dtype="Int64"),
            "archive_size": pd.array([None, *(member.size for member in members)], dtype="Int64"),
        }
    )
    dataset = CropDataset(write_arrow(rows, tmp_path / "x.arrow"), tmp_path, 6000, RATE, seed=1)
    keys = [(epoch, item) for epoch in range(3) for item in range(len(dataset))]
    for crop, found in (dataset[key] for key in keys):
        assert np.array_equal(found, read_window(tmp_path / Path(crop.wav_path).name, crop.start, 6000, RATE))
    for num_workers in (0, 2, 4):
        loader = DataLoader(dataset, batch_sampler=[[key] for key in keys], num_workers=num_workers, collate_fn=first)
        assert all(equal(batch[0], dataset[key]) for key, batch in zip(keys, loader, strict=True))
    sources = [source_of_row(tmp_path, row) for _, row in rows.iterrows()]
    assert [source.offset for source in sources] == [0, *(member.offset_data for member in members)]
    assert source_of_row(tmp_path, {"wav_path": "a.flac"}) == sources[0]


# ------------------------------------------------------------------------ what is drawn


def test_an_epoch_has_as_many_items_as_crops_fit(tmp_path: Path) -> None:
    dataset = imagined(tmp_path, [10.0, 2.5, 7.5], 0.5)
    assert len(dataset) == 40
    assert dataset.duration_sec == 20.0
    assert len(imagined(tmp_path, [0.1], 0.5)) == 1


def test_files_are_drawn_by_their_duration(tmp_path: Path) -> None:
    """Chi-square over 20 files and 8,000 crops; items of one epoch are spread, so it is small rather than large."""
    durations = [1.0 + 9 * (index % 4) for index in range(20)]
    dataset = imagined(tmp_path, durations, 0.5)
    epochs = 8000 // len(dataset) + 1
    found = [dataset.locate(epoch, item).wav_path for epoch in range(epochs) for item in range(len(dataset))]
    counts = pd.Series(found).value_counts().reindex([f"{index:04d}.wav" for index in range(20)], fill_value=0)
    expected = len(found) * np.array(durations) / sum(durations)
    assert ((counts - expected) ** 2 / expected).sum() < 50  # 19 degrees, p < 2e-4
    assert (counts / len(found)).max() > 2 * (counts / len(found)).min()  # it can tell them from equal shares


def test_each_epoch_passes_over_every_long_file(tmp_path: Path) -> None:
    durations = [0.6 + 0.37 * (index % 9) for index in range(40)]
    dataset = imagined(tmp_path, durations, 0.5, seed=3)
    stretch = sum(durations) / len(dataset)
    for epoch in range(5):
        found = pd.Series([dataset.locate(epoch, item).wav_path for item in range(len(dataset))]).value_counts()
        for index, duration in enumerate(durations):
            count = found.get(f"{index:04d}.wav", 0)
            assert int(duration / stretch) - 1 <= count <= int(duration / stretch) + 2


def test_a_place_inside_a_file_is_drawn_evenly_and_never_runs_over_its_end(tmp_path: Path) -> None:
    dataset = imagined(tmp_path, [3.0], 1.0)
    starts = np.array([dataset.locate(epoch, item).start for epoch in range(700) for item in range(len(dataset))])
    assert starts.min() >= 0
    assert starts.max() <= 2 * RATE
    counts = np.histogram(starts, bins=10, range=(0, 2 * RATE))[0]
    assert ((counts - len(starts) / 10) ** 2 / (len(starts) / 10)).sum() < 34  # 9 degrees, p < 1e-4


def test_the_last_sample_can_be_reached(tmp_path: Path) -> None:
    dataset = imagined(tmp_path, [0.5 + 2 / RATE], 0.5)
    assert {dataset.locate(epoch, 0).start for epoch in range(60)} == {0, 1, 2}


def test_a_file_shorter_than_a_crop_is_given_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0000.wav", 0.1 * np.ones(5000), RATE)
    crop, samples = imagined(tmp_path, [5000 / RATE], 0.5)[0, 0]
    assert crop.start == 0
    assert samples.shape == (5000,)


def test_files_of_another_rate_fit_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0000.wav", 0.1 * np.random.default_rng(0).standard_normal(33333), 44100)
    dataset = imagined(tmp_path, [33333 / 44100], 0.25)
    assert {dataset[epoch, 0][1].shape for epoch in range(30)} == {(6000,)}


# ------------------------------------------------------------------------ dev


def test_dev_items_are_the_middle_of_each_file_in_every_epoch(tone_split: Path, tones) -> None:
    for side in SIDES:
        dataset = CropDataset(tone_split / f"{side}.arrow", tones.root, 6000, RATE, seed=7, is_random=False)
        rows = pd.read_parquet(tone_split / f"{side}.parquet")
        assert len(dataset) == len(rows)
        for item, (path, duration) in enumerate(zip(rows["wav_path"], rows["duration_sec"], strict=True)):
            crop = dataset.locate(0, item)
            assert crop.wav_path == path
            assert crop.start == (round(duration * RATE) - 6000) // 2
            assert dataset.locate(9, item).start == crop.start


def test_dev_items_do_not_depend_on_the_seed(tmp_path: Path) -> None:
    one, two = (imagined(tmp_path, [3.0, 1.0, 0.2], 0.5, seed, is_random=False) for seed in (0, 1))
    assert [one.locate(0, item) for item in range(3)] == [two.locate(0, item) for item in range(3)]
    assert one.locate(0, 2).start == 0
