"""Clips read on the fly: what an item is, and that nothing but (seed, epoch, item) and the files decide it."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from audiorig.config import ClipConfig, FolderCorpus, SplitConfig, TargetConfig
from audiorig.data.audio import read_window
from audiorig.data.clips import Clip, ClipCollate, ClipDataset
from audiorig.data.manifest import build_manifest, read_table
from audiorig.data.split import split_manifest, write_split
from audiorig.data.stretches import place, read_clip, sound_bounds, to_level
from audiorig.data.targets import Target, resolve_targets
from audiorig.errors import DataError

RATE = 16000
NO_PROBLEMS = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
NUM_CLIPS = 24
Make = Callable[..., ClipDataset]


def clip(index: int) -> np.ndarray:
    """Silence, a tone that only this clip has, silence: .2 s, then .5 to 1.4 s, then .3 s."""
    time = np.arange(round((0.5 + 0.1 * (index % 10)) * RATE)) / RATE
    sound = 0.3 * np.sin(2 * np.pi * (200 + 20 * index) * time)
    return np.concatenate([np.zeros(3200), sound, np.zeros(4800)]).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for index in range(NUM_CLIPS):
        soundfile.write(root / f"{index:02d}.wav", clip(index), RATE, subtype="PCM_16")
        rows.append(
            {"path": f"{index:02d}.wav", "participant_id": f"p{index // 2:02d}", "mood": ("calm", "glad")[index % 2]}
        )
        rows[-1]["loud"] = ("yes", "no", "")[index % 3]
    pd.DataFrame(rows).to_csv(root / "metadata.csv", index=False)
    return root


def write(corpus: Path, folder: Path, **settings: Any) -> Path:
    manifest = build_manifest(FolderCorpus(kind="folder", root=str(corpus), metadata="metadata.csv"), corpus)
    config = SplitConfig(**{"shares": (0.5, 0.25, 0.25), "seed": 3, **settings})
    write_split(split_manifest(manifest, NO_PROBLEMS, config, "mine"), config, folder)
    return folder


@pytest.fixture(scope="module")
def split(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(corpus, tmp_path_factory.mktemp("split"))


def targets_of(split: Path) -> tuple[Target, ...]:
    settings = {"mood": TargetConfig(kind="class"), "loud": TargetConfig(kind="binary")}
    return resolve_targets(settings, pd.read_parquet(split / "train.parquet"))


def make(root: Path, split: Path, side: str = "train", seed: int = 0, rate: int = RATE, **data: Any) -> ClipDataset:
    settings = ClipConfig(corpus="clips", split="mine", **data)
    return ClipDataset(split / f"{side}.arrow", root, settings, targets_of(split), rate, seed, side=side)


def index_of(item: tuple) -> int:
    return int(item[0].wav_path.removesuffix(".wav"))


# ------------------------------------------------------------------------- items


def test_an_item_is_a_row_with_its_values(corpus: Path, split: Path) -> None:
    rows = pd.read_parquet(split / "train.parquet")
    clips = make(corpus, split)
    assert len(clips) == len(rows)
    for item in range(len(clips)):
        found, samples, values = clips[2, item]
        index = int(rows["wav_path"][item].removesuffix(".wav"))
        assert found == Clip(2, item, item, item, f"{index:02d}.wav", len(clip(index)))
        np.testing.assert_allclose(samples, clip(index), atol=1e-4)
        assert samples.dtype == values.dtype == np.float32
        assert values[0] == index % 2
        assert np.isnan(values[1]) if index % 3 == 2 else values[1] == 1 - index % 3


def test_long_clips_are_cut_at_a_drawn_place_or_in_the_middle(corpus: Path, split: Path) -> None:
    length = round(0.4 * RATE)
    train, dev = make(corpus, split, max_sec=0.4), make(corpus, split, "dev", max_sec=0.4)
    starts = set()
    for epoch in range(20):
        found, samples, _ = train[epoch, 0]
        whole = read_window(corpus / found.wav_path, 0, -1, RATE)
        assert len(samples) == found.num_samples == length
        places = np.flatnonzero([np.array_equal(samples, whole[at : at + length]) for at in range(len(whole) - length)])
        starts.add(int(places[0]))
    assert len(starts) > 15
    found, samples, _ = dev[0, 1]
    whole = read_window(corpus / found.wav_path, 0, -1, RATE)
    middle = (len(whole) - length) // 2
    assert any(np.array_equal(samples, whole[at : at + length]) for at in (middle, middle + 1))
    np.testing.assert_array_equal(samples, dev[7, 1][1])
    np.testing.assert_array_equal(samples, make(corpus, split, "dev", seed=5, max_sec=0.4)[0, 1][1])


def test_drawn_places_are_spread_evenly() -> None:
    begins = [place(10, 30, 11, way)[0] for way in np.arange(0, 1, 0.001)]
    assert set(begins) == set(range(10, 20))
    assert min(begins.count(begin) for begin in range(10, 20)) >= 99
    assert place(0, 5, 11, 0.9) == (0, 5)
    assert place(0, 12, 11, 1.0) == (1, 11)


def test_trimming_leaves_the_sound_and_a_margin(corpus: Path, split: Path) -> None:
    clips = make(corpus, split, trim_dbfs=-40)
    for item in range(4):
        found = clips[0, item]
        whole = clip(index_of(found))
        num_sound = len(whole) - 3200 - 4800
        assert num_sound + 2 * 1600 <= len(found[1]) <= num_sound + 2 * 1600 + 640
        np.testing.assert_array_equal(clips[5, item][1], found[1])  # the second time by window


def test_the_stretch_is_drawn_from_what_trimming_leaves(corpus: Path, split: Path) -> None:
    clips = make(corpus, split, trim_dbfs=-40, max_sec=0.3)
    for epoch in range(30):
        assert np.abs(clips[epoch, 3][1]).max() > 0.1
    fresh = make(corpus, split, trim_dbfs=-40, max_sec=0.3)
    np.testing.assert_array_equal(fresh[4, 3][1], clips[4, 3][1])


@pytest.mark.parametrize(
    ("samples", "kept"),
    [
        (np.zeros(1000), (0, 1000)),
        (np.eye(1, 16000, 8000)[0], (0, 16000)),  # one click: no frame is as loud
        (np.r_[np.zeros(8000), np.ones(320), np.zeros(8000)], (8000 - 1600, 8320 + 1600)),
        (np.r_[np.zeros(8000), np.ones(100)], (8000 - 1600, 8100)),
        (np.ones(5), (0, 5)),
        (np.empty(0), (0, 0)),
    ],
)
def test_what_trimming_keeps(samples: np.ndarray, kept: tuple[int, int]) -> None:
    assert sound_bounds(samples.astype(np.float32), RATE, -20.0) == kept
    assert sound_bounds(1e-3 * samples.astype(np.float32), RATE, -20.0) == kept  # relative to the peak


def test_levels() -> None:
    samples = clip(3)
    assert np.abs(to_level(0.01 * samples, "peak")).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    rms = np.sqrt(np.mean(np.square(to_level(0.01 * samples, "rms"), dtype=np.float64)))
    assert 20 * np.log10(rms) == pytest.approx(-26, abs=1e-4)
    assert to_level(samples, "as_is") is samples
    assert not to_level(np.zeros(10, np.float32), "rms").any()


def test_resampling_to_the_rate_of_the_encoder(corpus: Path, split: Path) -> None:
    found, samples, _ = make(corpus, split, rate=24000)[0, 0]
    assert len(samples) == len(clip(int(found.wav_path[:2]))) * 3 // 2
    np.testing.assert_array_equal(samples, read_window(corpus / found.wav_path, 0, -1, 24000))


def test_prediction_reads_as_evaluation_does(corpus: Path, split: Path) -> None:
    for data in ({}, {"max_sec": 0.5}, {"trim_dbfs": -40.0, "level": "rms"}, {"max_sec": 0.4, "trim_dbfs": -40.0}):
        clips = make(corpus, split, "dev", **data)
        for item in range(len(clips)):
            found, samples, _ = clips[0, item]
            np.testing.assert_allclose(read_clip(corpus / found.wav_path, clips.data, RATE), samples, atol=1e-6)
    with pytest.raises(DataError, match=r"none\.wav"):
        read_clip(corpus / "none.wav", clips.data, RATE)


# ------------------------------------------------------------------------ changes


LOUD = {"augment": {"share": 1.0, "speed": 0.2}}


def test_only_training_is_changed_and_by_its_key(corpus: Path, split: Path) -> None:
    plain, train, dev = make(corpus, split), make(corpus, split, **LOUD), make(corpus, split, "dev", **LOUD)
    assert not np.array_equal(train[0, 0][1], plain[0, 0][1])
    assert len({train[epoch, 0][0].num_samples for epoch in range(6)}) > 3
    np.testing.assert_array_equal(train[3, 2][1], make(corpus, split, **LOUD)[3, 2][1])
    np.testing.assert_array_equal(dev[0, 0][1], make(corpus, split, "dev")[0, 0][1])
    some = make(corpus, split, augment={"share": 0.5})
    same = [np.array_equal(some[epoch, 0][1], plain[epoch, 0][1]) for epoch in range(40)]
    assert 10 <= sum(same) <= 30
    slow = make(corpus, split, max_sec=0.5, **LOUD)
    assert max(slow[epoch, 0][0].num_samples for epoch in range(20)) == RATE // 2


def test_copies_of_a_split_are_the_same_on_every_side(corpus: Path, tmp_path: Path) -> None:
    folder = write(corpus, tmp_path, group="clip", copies=2)
    sides = {side: make(corpus, folder, side, trim_dbfs=-40) for side in ("train", "dev", "test")}
    found = set()
    for side, clips in sides.items():
        other = make(corpus, folder, side, seed=9, trim_dbfs=-40)  # neither the run's seed nor the epoch is part of it
        for item in range(9):
            which, samples, _ = clips[0, item]
            assert which.name == clips.name(item)
            np.testing.assert_array_equal(other[4, item][1], samples)
            found.add(which.name)
    assert len(found) == 27
    assert any("#1" in name for name in found)
    assert any("#2" in name for name in found)
    everything = [clips.name(item) for clips in sides.values() for item in range(len(clips))]
    assert len(set(everything)) == 3 * NUM_CLIPS
    row = next(item for item in range(len(sides["train"])) if sides["train"].copy(item))
    path = sides["train"].name(row).partition("#")[0]
    assert not np.array_equal(sides["train"][0, row][1][:1000], read_window(corpus / path, 0, 1000, RATE))


def test_permuted_labels_are_whole_rows_of_the_same_side_and_never_of_test(corpus: Path, split: Path) -> None:
    for side in ("train", "dev", "test"):
        plain, shuffled = make(corpus, split, side), make(corpus, split, side, permute_labels=True)
        rows = [sorted(map(str, clips.values.tolist())) for clips in (plain, shuffled)]
        assert rows[0] == rows[1]
        is_same = np.array_equal(plain.values, shuffled.values, equal_nan=True)
        assert is_same == (side == "test")
        np.testing.assert_array_equal(shuffled[0, 1][2], shuffled.values[1])
        np.testing.assert_array_equal(plain[0, 1][1], shuffled[0, 1][1])
    again, other = (make(corpus, split, seed=seed, permute_labels=True).values for seed in (0, 1))
    assert not np.array_equal(again, other, equal_nan=True)


# -------------------------------------------------------------------------- batches


def test_a_batch_is_padded_with_zeros_and_counts_what_is_there(corpus: Path, split: Path) -> None:
    clips = make(corpus, split)
    items = [clips[1, item] for item in (0, 3, 4)]
    batch = ClipCollate()(items)
    assert set(batch) == {"waveform", "lengths", "values", "labels", "seen"}
    assert batch["waveform"].dtype == batch["values"].dtype == torch.float32
    assert batch["lengths"].dtype == batch["labels"].dtype == batch["seen"].dtype == torch.int64
    assert batch["waveform"].shape == (3, max(len(samples) for _, samples, _ in items))
    for line, length, (_, samples, _) in zip(batch["waveform"], batch["lengths"], items, strict=True):
        np.testing.assert_array_equal(line[:length], samples)
        assert not line[length:].any()
    np.testing.assert_array_equal(batch["values"], [values for _, _, values in items])
    assert ((batch["labels"] == -100) == batch["values"].isnan()).all()
    assert set(batch["labels"].flatten().tolist()) <= {0, -100}
    assert batch["seen"].tolist() == [[1, 0, 0, 0], [1, 3, 3, 3], [1, 4, 4, 4]]


@pytest.fixture
def damaged(corpus: Path, split: Path, tmp_path: Path) -> Path:
    """A copy of the corpus in which three clips of train went bad after the split was made."""
    root = tmp_path / "damaged"
    shutil.copytree(corpus, root)
    paths = pd.read_parquet(split / "train.parquet")["wav_path"]
    (root / paths[2]).write_bytes(b"no audio")
    content = (root / paths[3]).read_bytes()
    (root / paths[3]).write_bytes(content[: len(content) // 2])  # opens, and is just shorter
    soundfile.write(root / paths[len(paths) - 1], np.full(30000, np.nan), RATE, subtype="FLOAT")
    return root


def batches(clips: ClipDataset, num_workers: int) -> list[dict]:
    keys = [[(epoch, item) for item in range(first, first + 4)] for epoch in range(2) for first in range(0, 12, 4)]
    loader = DataLoader(clips, batch_sampler=keys, collate_fn=ClipCollate(), num_workers=num_workers)
    return list(loader)


def test_what_cannot_be_read_is_replaced_by_the_next_row_that_can(damaged: Path, split: Path) -> None:
    clips = make(damaged, split, **LOUD)
    assert len(clips) == 12
    for item, read_row in {1: 1, 2: 4, 3: 4, 4: 4, 11: 0}.items():
        found, samples, values = clips[1, item]
        assert (found.item, found.row, found.read_row) == (item, item, read_row)
        assert found.wav_path == clips.name(read_row)
        assert np.isfinite(samples).all()
        np.testing.assert_array_equal(values, clips.values[read_row])
    assert clips.why_unreadable(2) is not None
    assert clips.why_unreadable(4) is None
    assert "changed since" in clips.why_unreadable(3)
    assert "NaN" in clips.why_unreadable(11)


def test_workers_change_nothing(damaged: Path, split: Path) -> None:
    clips = make(damaged, split, trim_dbfs=-40, max_sec=0.6, **LOUD)
    alone, others = batches(clips, 0), batches(clips, 2)
    assert len(alone) == len(others) == 6
    for one, other in zip(alone, others, strict=True):
        for name in one:
            assert torch.equal(torch.nan_to_num(one[name], -1), torch.nan_to_num(other[name], -1)), name
    again = pickle.loads(pickle.dumps(clips))
    np.testing.assert_array_equal(again[1, 5][1], clips[1, 5][1])
    assert len(pickle.dumps(clips)) < 4000


def test_nothing_stands_in_for_a_clip_of_test(corpus: Path, split: Path, tmp_path: Path) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(corpus, root)
    for side in ("dev", "test"):
        (root / pd.read_parquet(split / f"{side}.parquet")["wav_path"][0]).write_bytes(b"no audio")
    dev, test = make(root, split, "dev"), make(root, split, "test")
    assert dev[0, 0][0].read_row == 1
    with pytest.raises(DataError, match=r"\.wav"):
        test[0, 0]
    assert isinstance(test.try_item((0, 0)), DataError)
    assert test.try_item((0, 1))[0].read_row == 1


def test_a_side_of_which_nothing_can_be_read_is_an_error(corpus: Path, split: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 12 clips can be read"):
        make(tmp_path, split)[0, 0]


def test_a_value_that_is_none_is_an_error(corpus: Path, split: Path) -> None:
    odd = Target(name="mood", kind="class", column="mood", classes=("calm",), is_listed=True)
    with pytest.raises(DataError, match="glad"):
        ClipDataset(
            split / "train.arrow", corpus, ClipConfig(corpus="clips", split="mine"), (odd,), RATE, 0, side="train"
        )


def test_old_splits_have_no_copies(split: Path) -> None:
    assert "copy" not in read_table(split / "train.parquet")
