"""Crops of long recordings: pure functions of (seed, epoch, item), spread by weight, loud enough, of one length."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from audiorig.config import LongCropConfig, SilenceConfig
from audiorig.data import audio, long_crops
from audiorig.data.audio import MAX_OPEN, Samples, read_window
from audiorig.data.compressed import CodedFile
from audiorig.data.coverage import Coverage
from audiorig.data.long_crops import LongCrop, LongCropDataset
from audiorig.data.prefetch import ReadAhead, as_it_is
from audiorig.errors import DataError
from audiorig.train.sampler import StepSampler

RATE = 16000
CROP_SEC = 0.5
CROP = round(CROP_SEC * RATE)
Side = Literal["train", "dev"]


def settings(**more: Any) -> LongCropConfig:
    return LongCropConfig(**({"crop_sec": CROP_SEC, "max_participant_share": 1.0} | more))


def write_split(folder: Path, rows: pd.DataFrame) -> Path:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    path = folder / "train.arrow"
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def first(items: list) -> list:
    return items


def equal(one: tuple[LongCrop, Samples], two: tuple[LongCrop, Samples]) -> bool:
    return one[0] == two[0] and one[1].tobytes() == two[1].tobytes()


# ------------------------------------------------------------------------ real files


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five recordings of three participants: WAV and FLAC, 44.1 kHz stereo and 16 kHz mono, half of it silent."""
    root = tmp_path_factory.mktemp("homes")
    generator = np.random.default_rng(0)
    rows = []
    for index, (name, rate, channels, duration) in enumerate(
        [
            ("anna/one.wav", 44100, 2, 11.0),
            ("anna/two.flac", 44100, 2, 7.003),
            ("bela/one.flac", 16000, 1, 6.0),
            ("bela/short.wav", 16000, 1, 0.3),
            ("cleo/one.wav", 44100, 1, 5.5),
        ]
    ):
        samples = 0.1 * generator.standard_normal((round(duration * rate), channels))
        if index != 3:
            samples *= np.sin(np.arange(len(samples)) / rate * 2 * np.pi / 4)[:, None] > 0  # 2 s on, 2 s off
        (root / name).parent.mkdir(exist_ok=True)
        soundfile.write(root / name, samples, rate, "PCM_16")
        row = {"wav_path": name, "participant_id": name.split("/")[0], "duration_sec": len(samples) / rate}
        rows.append(row | {"sample_rate": rate})
    write_split(root, pd.DataFrame(rows))
    return root


def over(homes: Path, side: Side = "train", seed: int = 7, **more: Any) -> LongCropDataset:
    return LongCropDataset(homes / "train.arrow", homes, settings(**more), seed, side=side)


def keys_of(dataset: LongCropDataset, *epochs: int) -> list[tuple[int, int]]:
    return [(epoch, item) for epoch in epochs for item in range(len(dataset))]


@pytest.mark.parametrize("side", ["train", "dev"])
def test_the_order_of_reading_does_not_matter(homes: Path, side: Side) -> None:
    dataset = over(homes, side)
    keys = keys_of(dataset, 0, 3)
    there = {key: dataset[key] for key in keys}
    assert all(equal(over(homes, side)[key], there[key]) for key in reversed(keys))
    assert all(dataset.locate(*key) == there[key][0] for key in keys[::7])


def test_a_crop_can_be_read_again_from_its_name_and_is_a_slice_of_the_whole(homes: Path) -> None:
    dataset = over(homes)
    wholes = {path: read_window(path, 0, -1, RATE) for path in homes.glob("*/*")}
    seen = set()
    for key in keys_of(dataset, 0, 1):
        crop, samples = dataset[key]
        assert (crop.epoch, crop.item) == key
        assert (samples.dtype, samples.shape) == (np.float32, (CROP,))
        path = homes / crop.wav_path
        assert np.array_equal(read_window(path, crop.start, CROP, RATE), samples[: crop.num_samples])
        assert not samples[crop.num_samples :].any()
        expected = wholes[path][crop.start : crop.start + CROP]
        assert np.abs(samples[: crop.num_samples] - expected).max() < 1e-6
        seen.add(crop.wav_path)
    assert len(seen) >= 4


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("num_workers", [0, 2, 4])
def test_the_number_of_workers_does_not_matter(homes: Path, num_workers: int) -> None:
    dataset = over(homes)
    batches = [[(0, 3), (0, 1)], [(1, 3), (0, 0), (5, 2)], [(2, 9)], [(0, 3)]]
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=first)
    for keys, batch in zip(batches, loader, strict=True):
        assert all(equal(item, dataset[key]) for key, item in zip(keys, batch, strict=True))


def test_reading_threads_give_the_same(homes: Path) -> None:
    dataset = over(homes)
    batches = [keys_of(dataset, 0, 1)[index::9] for index in range(9)]
    ahead = ReadAhead(dataset, first, batches, num_threads=4)
    loader = DataLoader(ahead, batch_sampler=batches, collate_fn=as_it_is)
    for keys, batch in zip(batches, loader, strict=True):
        assert all(equal(item, dataset[key]) for key, item in zip(keys, batch, strict=True))


def test_a_pickled_data_set_is_small_and_opens_its_file_again(homes: Path) -> None:
    dataset = over(homes)
    text = pickle.dumps(dataset)
    assert len(text) < 2000  # no rows inside
    again = pickle.loads(text)
    assert len(again) == len(dataset)
    assert equal(again[1, 2], dataset[1, 2])


def test_indices_of_numpy_name_the_same_crop(homes: Path) -> None:
    dataset = over(homes)
    assert equal(dataset[np.int64(1), np.int64(4)], dataset[1, 4])  # type: ignore[index]


@pytest.mark.parametrize("name", ["anna/one.wav", "anna/two.flac"])
def test_only_the_window_is_decoded(homes: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """44.1 kHz: a crop and the resampler's margins, of recordings 14 to 22 times as long."""
    spans: list[int] = []
    for kind in (CodedFile, audio.PlainFile):

        def read(file: Any, start: int, stop: int, read: Callable[..., Any] = kind.read) -> Any:
            spans.append(stop - start)
            return read(file, start, stop)

        monkeypatch.setattr(kind, "read", read)
    dataset = over(homes)
    for item in range(len(dataset)):
        spans.clear()
        crop, _ = dataset[0, item]
        if crop.wav_path == name:
            assert spans
            assert max(spans) <= CROP_SEC * 44100 + 2 * 256 * 44100 / 16000 + 2 * 441


def test_at_most_64_files_stay_open(tmp_path: Path) -> None:
    audio._kept.close()
    names = [f"{index:03d}.{('wav', 'flac')[index % 2]}" for index in range(100)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    for name in names:
        soundfile.write(tmp_path / name, noise, RATE)
    rows = pd.DataFrame({"wav_path": names, "participant_id": names, "duration_sec": 1.0})
    dataset = LongCropDataset(write_split(tmp_path, rows), tmp_path, settings(), 0, side="train")
    read = {dataset[0, item][0].wav_path for item in range(len(dataset))}
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    num_open = sum(".arrow" not in os.readlink(link) for link in links if str(tmp_path) in os.path.realpath(link))
    audio._kept.close()
    assert len(read) == 100
    assert num_open == MAX_OPEN == 64


# ------------------------------------------------------------------------ silence, length


def test_silent_crops_are_drawn_again(homes: Path) -> None:
    """Half of the audio is silent: with redraws hardly a crop is, without about a third."""
    loud, raw = over(homes), over(homes, silence=SilenceConfig(max_redraws=0))
    redrawn = [loud.locate(*key) for key in keys_of(loud, 0, 1, 2)]
    taken = [raw.locate(*key) for key in keys_of(raw, 0, 1, 2)]
    assert not any(crop.is_silent for crop in redrawn)
    assert 0.2 < np.mean([crop.is_silent for crop in taken]) < 0.5
    for one, two in zip(redrawn, taken, strict=True):  # the first draw is the same
        assert (one.num_redraws > 0) == two.is_silent
        assert one.num_redraws or one == two
    assert max(crop.num_redraws for crop in redrawn) >= 2
    places = [(crop.row, crop.start) for crop in redrawn if crop.row != 3]  # which has one place only
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("side", ["train", "dev"])
@pytest.mark.parametrize("max_redraws", [0, 1, 10])
def test_silence_ends_after_so_many_redraws(tmp_path: Path, side: Side, max_redraws: int) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(5 * RATE), RATE)
    split = write_split(tmp_path, pd.DataFrame({"wav_path": ["a.flac"], "duration_sec": [5.0]}))
    data = settings(silence=SilenceConfig(max_redraws=max_redraws), dev_crops=3)
    crop, samples = LongCropDataset(split, tmp_path, data, 0, side=side)[0, 0]
    assert (crop.num_redraws, crop.is_silent) == (max_redraws, True)
    assert samples.shape == (CROP,)


def test_a_recording_shorter_than_a_crop_is_padded_and_marked(homes: Path) -> None:
    dataset = over(homes, max_participant_share=0.34)
    epochs = [[dataset[epoch, item] for item in range(len(dataset))] for epoch in range(8)]
    short = [(crop, samples) for epoch in epochs for crop, samples in epoch if crop.wav_path == "bela/short.wav"]
    assert short
    whole = read_window(homes / "bela/short.wav", 0, -1, RATE)
    for crop, samples in short:
        assert (crop.start, crop.num_samples, crop.is_silent) == (0, round(0.3 * RATE), False)
        assert samples.shape == (CROP,)
        assert np.array_equal(samples[: crop.num_samples], whole)
        assert not samples[crop.num_samples :].any()
    assert {crop.num_samples for epoch in epochs for crop, _ in epoch if crop.wav_path != "bela/short.wav"} == {CROP}


def test_or_it_is_left_out(homes: Path) -> None:
    dataset = over(homes, short_recordings="leave_out")
    assert dataset.duration_sec == pytest.approx(11 + 7.003 + 6 + 5.5, abs=1e-3)
    assert {dataset[key][0].num_samples for key in keys_of(dataset, *range(5))} == {CROP}


def test_if_nothing_is_left_that_is_said(homes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.arrow: none of its 5 recordings .* 12 s .*longest has 11\.0 s.*pad"):
        over(homes, crop_sec=12, short_recordings="leave_out")
    empty = write_split(tmp_path, pd.DataFrame({"wav_path": ["a.wav"], "duration_sec": [0.0]}))
    with pytest.raises(DataError, match="none of its 1 recordings"):
        LongCropDataset(empty, tmp_path, settings(), 0, side="train")


@pytest.mark.parametrize(
    "crop_sec", [0.5, 0.50003, 10.9999, 11.0, 12.0]
)  # 11 s is the longest recording, to the sample
def test_a_crop_has_its_length_to_the_sample(homes: Path, crop_sec: float) -> None:
    for dataset in (over(homes, crop_sec=crop_sec), over(homes, "dev", crop_sec=crop_sec, dev_crops=9)):
        for key in keys_of(dataset, 0, 1):
            assert dataset[key][1].shape == (round(crop_sec * RATE),)


def test_a_file_that_became_shorter_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    split = write_split(tmp_path, pd.DataFrame({"wav_path": ["a.wav"], "duration_sec": [9.0]}))
    dataset = LongCropDataset(split, tmp_path, settings(), 0, side="train")
    with pytest.raises(DataError, match=r"a\.wav: ends \d+ samples before the end .*train\.arrow"):
        dataset[0, len(dataset) - 1]


# ------------------------------------------------------------------------ imagined files: what is drawn


@pytest.fixture
def imagined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LongCropDataset]:
    """Data sets over files that are never opened: row k is loud from ``loud[k]`` on (seconds)."""
    noise = (0.1 * np.random.default_rng(0).standard_normal(CROP)).astype(np.float32)

    def make(
        homes: list[list[float]], *, loud_from: float = 0.0, silent: tuple[int, ...] = (), **more: Any
    ) -> LongCropDataset:
        seed, side = more.pop("seed", 0), more.pop("side", "train")
        owners = [f"home-{home}" for home, durations in enumerate(homes) for _ in durations]
        durations = [duration for home in homes for duration in home]
        paths = [f"{row}.wav" for row in range(len(durations))]
        rows = pd.DataFrame({"wav_path": paths, "participant_id": owners, "duration_sec": durations})

        def read(source: Any, start: int, num_samples: int, rate: int) -> Samples:
            row = int(source.path.stem)
            length = min(num_samples, int(durations[row] * rate) - start)
            is_loud = start >= loud_from * rate and row not in silent
            return noise[:length] if is_loud else np.zeros(length, np.float32)

        monkeypatch.setattr(long_crops, "read_window", read)
        return LongCropDataset(write_split(tmp_path, rows), tmp_path, settings(**more), seed, side=side)

    return make


Imagined = Callable[..., LongCropDataset]


def located(dataset: LongCropDataset, epoch: int) -> list[LongCrop]:
    return [dataset.locate(epoch, item) for item in range(len(dataset))]


def share_heard(crops: list[LongCrop], num_samples: int) -> float:
    """Of one recording, sample by sample."""
    heard = np.zeros(num_samples, bool)
    for crop in crops:
        heard[crop.start : crop.start + CROP] = True
    return float(heard.mean())


def test_an_epoch_has_as_many_items_as_crops_fit(imagined: Imagined) -> None:
    dataset = imagined([[10.0, 2.5], [7.5]])
    assert len(dataset) == 40
    assert dataset.duration_sec == 20.0
    assert len(imagined([[0.2]])) == 1


def test_no_epoch_repeats_another(imagined: Imagined) -> None:
    dataset = imagined([[90.0], [30.0, 15.0]])
    places = [{(crop.row, crop.start) for crop in located(dataset, epoch)} for epoch in range(6)]
    for index, one in enumerate(places):
        assert len(one) == len(dataset)
        assert all(len(one & other) <= 0.01 * len(one) for other in places[:index])
    other = imagined([[90.0], [30.0, 15.0]], seed=1)
    assert len(places[0] & {(crop.row, crop.start) for crop in located(other, 0)}) <= 0.01 * len(dataset)


def test_an_epoch_passes_over_nearly_everything(imagined: Imagined) -> None:
    dataset = imagined([[200.0]])
    for epoch in range(4):
        assert share_heard(located(dataset, epoch), 200 * RATE) > 0.995


def test_what_the_cap_holds_down_is_heard_in_a_few_epochs(imagined: Imagined) -> None:
    """A home with 19 of 20 parts, held to a quarter: a fourth of it is heard in each epoch, nearly all in seven."""
    homes = [[190.0], *[[10 / 8]] * 8]
    dataset = imagined(homes, max_participant_share=0.25)
    shares, crops = [], []
    for epoch in range(7):
        crops += [crop for crop in located(dataset, epoch) if crop.row == 0]
        shares.append(share_heard(crops, 190 * RATE))
    assert shares[0] == pytest.approx(0.264, abs=0.01)
    assert shares[1] > 0.5
    assert shares[-1] > 0.97


def test_participants_are_drawn_by_their_duration_up_to_the_cap(imagined: Imagined) -> None:
    dataset = imagined([[200.0, 100.0], [30.0], [50.0], [20.0]], max_participant_share=0.4)
    expected = np.array([0.4, 0.6 * 0.3, 0.6 * 0.5, 0.6 * 0.2])
    for epoch in range(3):
        counts = np.bincount([crop.row for crop in located(dataset, epoch)])
        homes = np.array([counts[0] + counts[1], *counts[2:]])
        assert (np.abs(homes - expected * len(dataset)) <= 1).all()
        assert counts[0] == pytest.approx(2 * counts[1], abs=3)


def test_places_are_even_and_reach_both_ends(imagined: Imagined) -> None:
    dataset = imagined([[3.0]])
    starts = np.array([crop.start for epoch in range(400) for crop in located(dataset, epoch)])
    assert starts.min() < 100
    assert round(2.5 * RATE) - 100 < starts.max() <= round(2.5 * RATE)
    counts = np.histogram(starts, bins=10, range=(0, 2.5 * RATE))[0]
    assert np.abs(counts - len(starts) / 10).max() < 0.02 * len(starts)


def test_every_place_of_a_recording_just_longer_than_a_crop_is_reached(imagined: Imagined) -> None:
    dataset = imagined([[CROP_SEC + 2 / RATE]])
    assert {dataset.locate(epoch, 0).start for epoch in range(20)} == {0, 1, 2}


def test_a_quiet_home_keeps_its_share(imagined: Imagined) -> None:
    """Nothing below 2 s in: of home 0 nine tenths of each recording are loud, of home 1 a third."""
    dataset = imagined([[20.0] * 3, [3.0] * 20], loud_from=2.0, silence=SilenceConfig(max_redraws=40))
    crops = [crop for epoch in range(3) for crop in located(dataset, epoch)]
    assert not any(crop.is_silent for crop in crops)
    assert np.mean([crop.row < 3 for crop in crops]) == pytest.approx(0.5, abs=0.01)


def test_a_silent_home_gives_way(imagined: Imagined) -> None:
    dataset = imagined([[50.0], [50.0], [50.0]], silent=(1,))
    crops = located(dataset, 0)
    counts = np.bincount([crop.row for crop in crops if not crop.is_silent], minlength=3)
    assert counts[1] == 0
    assert counts.sum() >= len(crops) - 5  # five redraws from everywhere, a third of them in vain: (1/3)^5
    given = [crop for crop in crops if crop.num_redraws]
    assert len(given) == pytest.approx(len(crops) / 3, abs=1)
    assert all(crop.num_redraws >= 6 for crop in given)


# ------------------------------------------------------------------------ along a run


def test_a_resumed_run_gets_the_same_crops_and_its_coverage_goes_on(imagined: Imagined, tmp_path: Path) -> None:
    """Three epochs of 40 crops in steps of 6, cut in the second."""
    dataset = imagined([[9.0, 3.0], [8.0]], loud_from=1.0)
    sampler = StepSampler(len(dataset), 6, 20, seed=0)

    def run(coverage: Coverage, batches: list[list[tuple[int, int]]]) -> list[dict[str, float]]:
        logged = []
        for keys in batches:
            crops = [dataset.locate(*key) for key in keys]
            coverage.note(
                torch.tensor([[c.row, c.start, c.num_samples, c.num_redraws, int(c.is_silent)] for c in crops])
            )
            logged.append(coverage.numbers())
        return logged

    whole = Coverage(dataset.split, dataset.data, tmp_path / "whole")
    expected = run(whole, list(sampler))
    whole.save(tmp_path / "end")
    assert sorted(entry["coverage"] for entry in expected) == [entry["coverage"] for entry in expected]
    assert expected[5]["coverage"] < expected[-1]["coverage"] <= 1

    cut = Coverage(dataset.split, dataset.data, tmp_path / "cut")
    run(cut, list(sampler)[:9])
    cut.save(tmp_path / "step-9")
    run(cut, list(sampler)[9:11])  # heard, and lost
    resumed = Coverage(dataset.split, dataset.data, tmp_path / "cut")
    resumed.load(tmp_path / "step-9")
    assert run(resumed, list(sampler)[9:]) == expected[9:]
    resumed.save(tmp_path / "resumed")
    tables = [pd.concat(map(pd.read_parquet, sorted((tmp_path / name).iterdir()))) for name in ("whole", "cut")]
    assert tables[0].reset_index(drop=True).equals(tables[1].reset_index(drop=True))


# ------------------------------------------------------------------------ dev


def test_dev_crops_are_the_same_for_every_epoch_and_seed(imagined: Imagined) -> None:
    homes = [[30.0, 5.0], [80.0], [3.0, 2.0, 9.0]]
    one = imagined(homes, side="dev", dev_crops=30, loud_from=1.0)
    assert len(one) == 30
    places = [(crop.row, crop.start, crop.num_redraws) for crop in located(one, 0)]
    assert places == [(crop.row, crop.start, crop.num_redraws) for crop in located(one, 9)]
    two = imagined(homes, side="dev", dev_crops=30, loud_from=1.0, seed=5)
    assert places == [(crop.row, crop.start, crop.num_redraws) for crop in located(two, 0)]
    assert any(redraws for *_, redraws in places)


def test_dev_crops_are_spread_over_participants_and_durations(imagined: Imagined) -> None:
    dataset = imagined([[30.0, 10.0], [400.0], [6.0] * 4], side="dev", dev_crops=48)
    crops = located(dataset, 0)
    assert np.bincount([crop.row for crop in crops]).tolist() == [12, 4, 16, 4, 4, 4, 4]
    starts = np.array([crop.start for crop in crops if crop.row == 2]) / RATE
    assert starts == pytest.approx(399.5 * (np.arange(16) + 0.5) / 16, abs=1e-3)
    assert len(set(crops)) == 48


def test_fewer_dev_crops_than_participants(imagined: Imagined) -> None:
    dataset = imagined([[10.0]] * 9, side="dev", dev_crops=3)
    assert [crop.row for crop in located(dataset, 0)] == [1, 4, 7]


# ------------------------------------------------------------------------ many rows


def test_tens_of_thousands_of_recordings_open_at_once(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    durations = generator.uniform(1800, 36000, 30000)
    owners = generator.integers(0, 3000, 30000)
    rows = pd.DataFrame(
        {
            "wav_path": [f"{index}.wav" for index in range(30000)],
            "participant_id": [f"home-{owner}" for owner in owners],
            "duration_sec": durations,
            "sample_rate": 44100,
        }
    )
    dataset = LongCropDataset(write_split(tmp_path, rows), tmp_path, settings(crop_sec=8.0), 0, side="train")
    assert len(dataset) == round(durations.sum() / 8)
    draws = [dataset._draw(0, item, 0) for item in range(0, len(dataset), 9973)]
    assert all(0 <= start <= durations[row] * RATE - 8 * RATE for row, start in draws)


@pytest.mark.realdata
@pytest.mark.skipif("AUDIORIG_DATA" not in os.environ, reason="AUDIORIG_DATA is not set: no real recordings")
def test_real_prompts_joined_to_long_recordings(tmp_path: Path) -> None:
    """A few minutes each, with 3 s of nothing between prompts: no crop is silent, all the speech is heard."""
    root = Path(os.environ["AUDIORIG_DATA"]) / "prompts"
    paths = sorted(root.rglob("*.flac"))[::4]
    assert len(paths) > 60
    rows = []
    for index in range(3):
        parts = [soundfile.read(path, dtype="float32")[0] for path in paths[index::3]]
        whole = np.concatenate([np.concatenate([part, np.zeros(3 * RATE, np.float32)]) for part in parts])
        soundfile.write(tmp_path / f"{index}.flac", whole, RATE, "PCM_16")
        rows.append({"wav_path": f"{index}.flac", "participant_id": str(index), "duration_sec": len(whole) / RATE})
    data = LongCropConfig(max_participant_share=0.5)
    dataset = LongCropDataset(write_split(tmp_path, pd.DataFrame(rows)), tmp_path, data, 0, side="train")
    wholes = [soundfile.read(tmp_path / f"{index}.flac", dtype="float32")[0] for index in range(3)]
    coverage = Coverage(dataset.split, data)
    for epoch in range(2):
        for item in range(len(dataset)):
            crop, samples = dataset[epoch, item]
            assert np.array_equal(samples, wholes[crop.row][crop.start : crop.start + 8 * RATE])
            coverage.note(torch.tensor([[crop.row, crop.start, crop.num_samples, crop.num_redraws, crop.is_silent]]))
    assert coverage.numbers()["silent_crops"] == 0
    assert coverage.numbers()["coverage"] > 0.95
