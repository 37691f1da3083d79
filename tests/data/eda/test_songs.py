"""Items of songs: what they hold is known, of whom, from where, and that it depends on the key alone."""

import importlib.util
import pickle
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from audiorig.data.eda.scale import TraceScale
from audiorig.data.eda.songs import SongCollate, SongDataset, SongItem, circles
from audiorig.data.feature_store import compute_shard
from audiorig.errors import DataError


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("songs_planted", Path(__file__).with_name("planted_songs.py"))
NONE = TraceScale("none", tiny.RATE)
MAX_STEPS = 8 * tiny.RATE


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory):
    return tiny.plant(tmp_path_factory.mktemp("songs"), num_songs=24)


def dataset_of(planted, side: str = "train", split: Path | None = None, seed: int = 5, **data: Any) -> SongDataset:
    run = tiny.run_of(data=tiny.RUN["data"] | data)
    arrow = (split or planted.split) / f"{side}.arrow"
    return SongDataset(arrow, planted.mfcc, planted.traces, run.data, run.audio, run.eda, NONE, seed, side=side)


def is_same(one: SongItem, other: SongItem) -> bool:
    return (one.song_id, one.start, one.trace_ids) == (other.song_id, other.start, other.trace_ids) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("mfcc", "traces", "is_heard")
    )


@pytest.mark.parametrize("side", ["dev", "test"])
def test_an_item_is_a_song_with_all_who_heard_it(planted, side: str) -> None:
    """Whole, though training is to take shorter stretches."""
    dataset, rows = dataset_of(planted, side), planted.side(side)
    assert len(dataset) == rows["song_id"].nunique()
    for item in range(len(dataset)):
        found = dataset[0, item]
        mine = rows[rows["song_id"] == found.song_id]
        song = int(mine["song"].iloc[0])
        steps = tiny.SECONDS[song % 4] * tiny.RATE
        assert found.trace_ids == tuple(mine["trace_id"]) and found.start == 0
        assert found.traces.shape == found.is_heard.shape == (3, steps)
        assert np.array_equal(found.mfcc, tiny.frames_of(song)[: steps * tiny.RATIO])
        for values, is_heard, listener in zip(found.traces, found.is_heard, mine["listener"], strict=True):
            trace = tiny.trace_of(song, listener)
            assert np.array_equal(is_heard, np.pad(np.isfinite(trace), (0, steps - len(trace))))
            assert np.array_equal(values[is_heard], trace[np.isfinite(trace)]) and not values[~is_heard].any()


def test_training_takes_a_stretch_and_says_from_where(planted) -> None:
    """The third coefficient counts frames, so each stretch tells where it was cut; traces were cut there too."""
    dataset, starts = dataset_of(planted), set()
    for epoch in range(6):
        for item in range(len(dataset)):
            found, song = dataset[epoch, item], dataset.songs[item]
            assert found.num_steps == MAX_STEPS and len(found.mfcc) == MAX_STEPS * tiny.RATIO
            assert found.mfcc[0, 2] == found.start * tiny.RATIO
            assert np.array_equal(np.diff(found.mfcc[:, 2]), np.ones(len(found.mfcc) - 1))
            trace = tiny.trace_of(int(song.song_id[-3:]), int(song.participant_ids[0][-6:]))
            expected = np.nan_to_num(trace[found.start : found.start + MAX_STEPS])
            assert np.array_equal(found.traces[0, : len(expected)], expected)
            starts.add((item, found.start))
    assert len(starts) > 3 * len(dataset)  # drawn anew in each epoch
    assert max(start for _, start in starts) > 8  # songs are up to 16 steps longer than a stretch


def test_what_is_drawn_depends_on_the_key_alone(planted) -> None:
    dataset, again = dataset_of(planted), dataset_of(planted)
    assert is_same(dataset[3, 2], again[3, 2])
    copy = pickle.loads(pickle.dumps(dataset))
    assert is_same(dataset[3, 2], copy[3, 2])
    others = [dataset_of(planted, seed=6)[epoch, 2].start for epoch in range(8)]
    assert [dataset[epoch, 2].start for epoch in range(8)] != others


def test_little_of_a_dataset_travels_to_workers(planted) -> None:
    assert len(pickle.dumps(dataset_of(planted))) < 5000


def test_workers_read_the_same(planted) -> None:
    dataset, collate = dataset_of(planted), SongCollate()
    keys = [[(0, 0), (0, 1)], [(0, 2), (1, 3)]]
    loader: Any = DataLoader(dataset, batch_sampler=keys, collate_fn=collate, num_workers=1)
    for batch, wanted in zip(loader, keys, strict=True):
        expected = collate([dataset[key] for key in wanted])
        assert all(torch.equal(batch[name], value) for name, value in expected.items())


def test_not_grouped_an_item_is_one_trace(planted) -> None:
    dataset = dataset_of(planted, "test", group_songs=False)
    assert [song.trace_ids for song in dataset.songs] == [(trace,) for trace in planted.side("test")["trace_id"]]
    grouped = dataset_of(planted, "test")
    wholes = [grouped[0, item] for item in range(len(grouped))]
    for item, song in enumerate(dataset.songs):
        whole = next(each for each in wholes if song.trace_ids[0] in each.trace_ids)
        found, place = dataset[0, item], whole.trace_ids.index(song.trace_ids[0])
        assert found.num_steps <= whole.num_steps
        assert np.array_equal(found.traces[0], whole.traces[place, : found.num_steps])
        assert not whole.is_heard[place, found.num_steps :].any()
        assert np.array_equal(found.mfcc, whole.mfcc[: len(found.mfcc)])


def test_a_stretch_in_which_nobody_has_a_value_is_moved(planted, tmp_path: Path) -> None:
    rows = planted.side("train").iloc[:1]
    tiny.write_side(rows, tmp_path, "train")
    signal = np.full(tiny.SECONDS[0] * tiny.RATE, np.nan)
    signal[0] = 5.0  # heard at the very first step alone
    tiny.write_traces(tmp_path / "gap.arrow", [(rows["trace_id"][0], tiny.Signals.of_parts(signal, signal))], tiny.RATE)
    run = tiny.run_of()
    settings = (run.data, run.audio, run.eda, NONE, 5)
    dataset = SongDataset(tmp_path / "train.arrow", planted.mfcc, tmp_path / "gap.arrow", *settings, side="train")
    assert {dataset[epoch, 0].start for epoch in range(20)} == {0}
    assert dataset[0, 0].is_heard.sum() == 1


def test_a_song_without_any_value_is_named(planted, tmp_path: Path) -> None:
    rows = planted.side("train").iloc[:1]
    tiny.write_side(rows, tmp_path, "train")
    tiny.write_traces(tmp_path / "lost.arrow", [(rows["trace_id"][0], tiny.Signals.all_lost(40))], tiny.RATE)
    run = tiny.run_of()
    settings = (run.data, run.audio, run.eda, NONE, 5)
    dataset = SongDataset(tmp_path / "train.arrow", planted.mfcc, tmp_path / "lost.arrow", *settings, side="train")
    with pytest.raises(DataError, match=r"none of the 1 traces of planted/000 has a value in 40 steps"):
        dataset[0, 0]


def test_audio_that_ends_before_its_traces_is_named(planted, tmp_path: Path) -> None:
    rows = planted.side("train").iloc[:1]
    tiny.write_side(rows, tmp_path, "train")
    short = tmp_path / "shard-0-of-1.arrow"
    compute_shard(rows, lambda row: {"mfcc": tiny.frames_of(row["song"])[:60]}, short, tmp_path / "parts")
    run = tiny.run_of()
    settings = (run.data, run.audio, run.eda, NONE, 5)
    dataset = SongDataset(tmp_path / "train.arrow", (short,), planted.traces, *settings, side="test")
    with pytest.raises(DataError, match=r"audio/000\.wav: expected audio up to 6\.95 s.*found 60 frames"):
        dataset[0, 0]


def test_a_split_of_clips_or_of_nothing_is_told(planted, tmp_path: Path) -> None:
    tiny.write_side(planted.side("train")[["wav_path", "duration_sec"]], tmp_path, "train")
    with pytest.raises(DataError, match="has no column trace_id, dataset, song_id, participant_id"):
        dataset_of(planted, split=tmp_path)
    tiny.write_side(planted.side("train").iloc[:0], tmp_path, "train")
    with pytest.raises(DataError, match="holds no trace"):
        dataset_of(planted, split=tmp_path)


def test_seconds_of_an_item_are_those_of_its_stretch(planted) -> None:
    assert dataset_of(planted).item_sec() == 8.0
    rows = planted.side("train").drop_duplicates("song_id")
    assert dataset_of(planted, max_sec=60).item_sec() == pytest.approx(rows["duration_sec"].mean())


def test_the_digest_is_of_this_side_s_arrays(planted, tmp_path: Path) -> None:
    found = dataset_of(planted).digest()
    assert found == dataset_of(planted, seed=9).digest() != dataset_of(planted, "dev").digest()
    run = tiny.run_of()
    for poisoned, is_equal in ((("dev", "test"), True), (("train",), False)):
        path = tmp_path / f"{poisoned[0]}.arrow"
        tiny.write_signals(planted.rows, path, poisoned)
        settings = (run.data, run.audio, run.eda, NONE, 5)
        other = SongDataset(planted.split / "train.arrow", planted.mfcc, path, *settings, side="train")
        assert (other.digest() == found) == is_equal


# --------------------------------------------------------------- the control


@pytest.mark.parametrize("side", ["train", "dev"])
@pytest.mark.parametrize("group_songs", [True, False])
def test_exchanged_songs_are_others_of_about_the_same_length(planted, side: str, group_songs: bool) -> None:
    """Frames of noise tell whose they are."""
    dataset = dataset_of(planted, side, permute_songs=True, group_songs=group_songs, max_sec=60)
    whose = {tuple(tiny.frames_of(song)[0]): song for song in range(24)}
    heard = {}
    for item in range(len(dataset)):
        found = dataset[0, item]
        song, other = int(found.song_id[-3:]), whose[tuple(found.mfcc[0])]
        assert other != song and heard.setdefault(song, other) == other
        steps = min(
            dataset_of(planted, side, group_songs=group_songs).num_steps(item), tiny.SECONDS[other % 4] * tiny.RATE
        )
        assert found.num_steps == steps and len(found.mfcc) == steps * tiny.RATIO
        assert abs(tiny.SECONDS[other % 4] - tiny.SECONDS[song % 4]) <= 3
    assert Counter(heard.values()) == Counter(heard.keys())  # each is heard once


def test_the_exchange_follows_the_seed(planted) -> None:
    def told(seed: int) -> list[float]:
        dataset = dataset_of(planted, seed=seed, permute_songs=True, max_sec=60)  # whole: no stretch is drawn
        return [float(dataset[0, item].mfcc[0, 1]) for item in range(len(dataset))]

    assert told(5) == told(5) != told(6)


def test_test_is_never_exchanged(planted) -> None:
    dataset, plain = dataset_of(planted, "test", permute_songs=True), dataset_of(planted, "test")
    assert all(is_same(dataset[0, item], plain[0, item]) for item in range(len(plain)))


def test_one_song_cannot_be_exchanged(planted, tmp_path: Path) -> None:
    rows = planted.side("train")
    tiny.write_side(rows[rows["song_id"] == rows["song_id"][0]], tmp_path, "train")
    with pytest.raises(DataError, match="'planted' has one alone"):
        dataset_of(planted, split=tmp_path, permute_songs=True)


@pytest.mark.parametrize("count", [2, 3, 7, 8, 15, 16, 17, 100])
def test_circles_hold_everybody_once_with_neighbours_by_length(count: int) -> None:
    lengths = {f"{index:03d}": index * 37 % count for index in range(count)}
    found = circles(lengths, ("test", count))
    assert sorted(name for circle in found for name in circle) == sorted(lengths)
    assert all(2 <= len(circle) < 16 for circle in found)
    ranges = sorted((min(map(lengths.get, circle)), max(map(lengths.get, circle))) for circle in found)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))
