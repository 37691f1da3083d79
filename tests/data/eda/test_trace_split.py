"""Splits of traces: what must not be on two sides is not, nothing is lost unsaid, and a leak is named."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import SIDES, SplitConfig
from audiorig.data.eda.trace_split import divide_traces, num_shared, same_audio, split_traces
from audiorig.data.eda.trace_split_summary import write_trace_split
from audiorig.data.manifest import read_table
from audiorig.data.split import split_manifest
from audiorig.errors import ConfigError, DataError
from audiorig.files import read_json

SHARES = (0.6, 0.2, 0.2)


def table(num_songs: int = 40, num_subjects: int = 20, each: int = 5, seed: int = 0, dataset: str = "demo") -> Any:
    """An index of songs that are heard by random subjects, and the quality of its traces: a tenth is not kept."""
    generator = np.random.default_rng(seed)
    rows = []
    for song in range(num_songs):
        for subject in generator.permutation(num_subjects)[:each]:
            song_id, participant = f"{dataset}/{song}", f"{dataset}/{subject:06d}"
            rows.append((f"{song_id}/{subject:06d}/0", dataset, song_id, participant, f"{dataset}/{song}.wav"))
    index = pd.DataFrame(rows, columns=["trace_id", "dataset", "song_id", "participant_id", "wav_path"])
    index["eda_path"] = index["song_id"] + "_EDA.csv"
    index["take"], index["num_samples"], index["source_rate_hz"] = 0, 2000, 50.0
    index = index.sort_values("trace_id").reset_index(drop=True)
    return index, pd.DataFrame({"trace_id": index["trace_id"], "is_kept": generator.random(len(index)) > 0.1})


def settings(**more: Any) -> SplitConfig:
    return SplitConfig(**{"group": "song", "shares": SHARES, **more})


def accounted(split: Any, quality: pd.DataFrame) -> None:
    """Every kept trace is on one side or among those dropped, once."""
    found = pd.concat([*split.sides.values(), split.dropped])["trace_id"]
    assert sorted(found) == sorted(quality.loc[quality["is_kept"], "trace_id"])
    assert split.num_excluded == int((~quality["is_kept"]).sum())


# ------------------------------------------------------------------------ groups


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("group", ["song", "subject", "both", "ordered"])
def test_what_is_promised_holds_and_nothing_is_lost(group: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    index, quality = table(int(generator.integers(30, 80)), int(generator.integers(20, 40)), 4, seed)
    split = divide_traces(index, quality, settings(group=group, seed=seed, min_groups=1), "mine")
    accounted(split, quality)
    shared_songs, shared_subjects = (num_shared(split.sides, column) for column in ("song_id", "participant_id"))
    assert (shared_songs == 0) == (group in ("song", "both"))
    assert (shared_subjects == 0) == (group in ("subject", "both"))
    assert all(len(rows) for rows in split.sides.values())
    for rows in split.sides.values():
        assert rows["trace_id"].is_monotonic_increasing
        assert (rows["duration_sec"] == 40).all()


@pytest.mark.parametrize(("group", "column"), [("song", "song_id"), ("subject", "participant_id")])
def test_sides_get_their_shares_of_the_groups(group: str, column: str) -> None:
    index, quality = table(60, 30)
    for seed in range(5):
        sides = split_traces(index, quality, settings(group=group, seed=seed), "mine")
        total = sum(rows[column].nunique() for rows in sides.values())
        for side, share in zip(SIDES, SHARES, strict=True):
            assert abs(sides[side][column].nunique() - share * total) <= 1
            assert (sides[side]["group_id"] == sides[side][column]).all()


def test_the_same_seed_gives_the_same_split_in_any_order_of_rows_and_another_seed_another() -> None:
    index, quality = table()
    for group in ("song", "subject", "both", "ordered"):
        one = split_traces(index, quality, settings(group=group), "mine")
        shuffled = index.sample(frac=1, random_state=1), quality.sample(frac=1, random_state=2)
        again = split_traces(*shuffled, settings(group=group), "mine")
        other = split_traces(index, quality, settings(group=group, seed=5), "mine")
        for side in SIDES:
            pd.testing.assert_frame_equal(one[side], again[side])
        assert one["test"]["trace_id"].tolist() != other["test"]["trace_id"].tolist() or group == "ordered"


def test_ids_that_look_like_something_else_stay_what_they_are() -> None:
    index, quality = table(num_songs=12, num_subjects=6, each=4)
    poison = ["000123", "123", "1e5", "100000", "nan", "None", "a,b", 'q"', "0_1240700", "ünï", " x", "x"]
    names = {f"demo/{number}": f"demo/{name}" for number, name in enumerate(poison)}
    index["song_id"] = index["song_id"].map(names)
    for group in ("song", "both", "ordered", "subject"):
        split = divide_traces(index, quality, settings(group=group, min_groups=1, shares=(0.4, 0.3, 0.3)), "mine")
        accounted(split, quality)
        found = {song for rows in (*split.sides.values(), split.dropped) for song in rows["song_id"]}
        assert found == set(names.values())


def test_a_subject_named_like_a_song_is_no_song() -> None:
    """Parts are found on a graph of both: a name that is in both must not join them."""
    index, quality = table(9, 9, 1)
    index["participant_id"] = [f"demo/{number}" for number in range(len(index))]
    quality["is_kept"] = True
    split = divide_traces(index, quality, settings(group="both", min_groups=1), "mine")
    assert split.method == "parts"
    assert pd.concat(split.sides.values())["group_id"].nunique() == 9


# ------------------------------------------------------------------------ songs of the same audio


def test_songs_of_the_same_file_or_digest_are_one_song() -> None:
    index, _ = table(6, 4, 2)
    index.loc[index["song_id"] == "demo/3", "wav_path"] = "demo/1.wav"
    index.loc[index["song_id"].isin(["demo/4", "demo/5"]), "wav_path"] = ""  # unknown audio is not the same audio
    assert same_audio(index).nunique() == 5
    digests = {"demo/0.wav": "a", "demo/1.wav": "b", "demo/2.wav": "b", "elsewhere.wav": "a"}
    manifest = pd.DataFrame({"wav_path": list(digests), "sha1": list(digests.values())})
    joined = dict(zip(index["song_id"], same_audio(index, manifest), strict=True))
    assert joined == {f"demo/{n}": f"demo/{1 if n in (1, 2, 3) else n}" for n in range(6)}
    manifest["sha1"] = pd.array([None] * len(manifest), dtype=pd.StringDtype())
    assert same_audio(index, manifest).nunique() == 5


@pytest.mark.parametrize("group", ["song", "both"])
@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_song_in_two_datasets_are_on_one_side(group: str, seed: int) -> None:
    (one, kept_one), (two, kept_two) = table(40, 20, 5, seed), table(40, 20, 5, seed + 10, dataset="other")
    index, quality = pd.concat([one, two], ignore_index=True), pd.concat([kept_one, kept_two], ignore_index=True)
    digests = [f"{number % 50}" for number in range(80)]  # 30 songs are in both
    manifest = pd.DataFrame(
        {"wav_path": [f"{name}/{number}.wav" for name in ("demo", "other") for number in range(40)], "sha1": digests}
    )
    split = divide_traces(index, quality, settings(group=group, seed=seed), "mine", manifest)
    accounted(split, quality)
    digest = dict(zip(manifest["wav_path"], digests, strict=True))
    heard = {side: {digest[path] for path in rows["wav_path"]} for side, rows in split.sides.items()}
    assert not (heard["train"] & heard["test"] | heard["train"] & heard["dev"] | heard["dev"] & heard["test"])
    assert split.num_same_audio == 30


# ------------------------------------------------------------------------ both


def test_blocks_of_listeners_are_kept_whole() -> None:
    blocks = [table(4, 5, 5, seed, dataset="demo")[0] for seed in range(12)]
    for number, block in enumerate(blocks):
        block["song_id"] += f"-{number}"
        block["participant_id"] += f"-{number}"
        block["trace_id"] += f"-{number}"
    index = pd.concat(blocks, ignore_index=True)
    index["wav_path"] = index["song_id"]
    quality = pd.DataFrame({"trace_id": index["trace_id"], "is_kept": True})
    split = divide_traces(index, quality, settings(group="both", shares=(0.5, 0.25, 0.25)), "mine")
    assert split.method == "parts"
    assert split.dropped.empty
    assert [rows["group_id"].nunique() for rows in split.sides.values()] == [6, 3, 3]


def test_a_few_listeners_apart_do_not_make_parts_of_what_hangs_together() -> None:
    """Else nearly all traces would be on one side."""
    (index, _), (apart, _) = table(60, 20, 10), table(12, 12, 1)
    names = ["song_id", "participant_id", "trace_id", "wav_path"]
    apart = apart.assign(**{name: apart[name] + [f"-{number}" for number in range(len(apart))] for name in names})
    index = pd.concat([index, apart], ignore_index=True)
    quality = pd.DataFrame({"trace_id": index["trace_id"], "is_kept": True})
    split = divide_traces(index, quality, settings(group="both"), "mine")
    assert split.method == "crossed"
    assert min(map(len, split.sides.values())) > 10


def test_what_hangs_together_is_divided_crosswise_and_the_loss_is_told(tmp_path: Path) -> None:
    index, quality = table(50, 20, 10)
    split = divide_traces(index, quality, settings(group="both"), "mine")
    assert split.method == "crossed"
    assert set(split.dropped["reason"]) == {"cross"}
    share = len(split.dropped) / quality["is_kept"].sum()
    assert share == pytest.approx(1 - (0.36 + 0.04 + 0.04), abs=0.05)
    for column in ("song_id", "participant_id"):
        of_side = {value: side for side, rows in split.sides.items() for value in rows[column]}
        both = split.dropped[["song_id", "participant_id"]]
        assert set(both[column]) <= set(of_side)
    summary = write_trace_split(split, settings(group="both"), tmp_path)
    assert summary["num_dropped"] == {"cross": len(split.dropped), "dataset": 0}
    assert f"{len(split.dropped)} of {int(quality['is_kept'].sum())} traces are left out" in summary["notes"][0]


def test_too_few_subjects_of_a_crossed_side_are_a_sentence() -> None:
    index, quality = table(50, 10, 8)
    with pytest.raises(
        DataError, match=r"split 'mine': dev has traces of 2 subjects, expected at least 3; .*min_groups"
    ):
        divide_traces(index, quality, settings(group="both"), "mine")


# ------------------------------------------------------------------------ ordered


def test_in_order_the_first_are_for_training_and_the_leak_is_told(tmp_path: Path, caplog: Any) -> None:
    index, quality = table(40, 20, 5)
    split = divide_traces(index, quality, settings(group="ordered", shares=(0.8, 0.1, 0.1)), "mine")
    ordered = pd.concat(split.sides.values())
    keys = list(zip(ordered["participant_id"], ordered["eda_path"], strict=True))
    by_side = [set(rows["participant_id"]) for rows in split.sides.values()]
    assert max(by_side[0]) <= min(by_side[1]) <= max(by_side[1]) <= min(by_side[2])
    assert len(keys) == int(quality["is_kept"].sum())
    sizes = [len(rows) for rows in split.sides.values()]
    assert np.abs(np.array(sizes) - np.array([0.8, 0.1, 0.1]) * sum(sizes)).max() <= 1
    with caplog.at_level(logging.WARNING):
        summary = write_trace_split(split, settings(group="ordered"), tmp_path)
    songs, subjects = summary["num_shared"]["songs"], summary["num_shared"]["subjects"]
    assert songs > 10
    assert subjects == len(by_side[0] & by_side[1]) + len(by_side[1] & by_side[2])
    assert summary["leaks"] == [f"{songs} songs and {subjects} subjects are on several sides: scores on this split say "
                                "nothing of new songs or new subjects"]  # fmt: skip
    assert summary["leaks"][0] in caplog.text


def test_each_dataset_is_ordered_for_itself() -> None:
    (one, kept_one), (two, kept_two) = table(40, 20, 5), table(20, 10, 5, dataset="other")
    index, quality = pd.concat([one, two], ignore_index=True), pd.concat([kept_one, kept_two], ignore_index=True)
    sides = split_traces(index, quality, settings(group="ordered"), "mine")
    for name in ("demo", "other"):
        counts = np.array([(rows["dataset"] == name).sum() for rows in sides.values()])
        assert np.abs(counts / counts.sum() - SHARES).max() < 0.02


# ------------------------------------------------------------------------ datasets of sides


def two_datasets() -> tuple[pd.DataFrame, pd.DataFrame]:
    (one, kept_one), (two, kept_two) = table(40, 20, 5), table(20, 10, 5, dataset="other")
    return pd.concat([one, two], ignore_index=True), pd.concat([kept_one, kept_two], ignore_index=True)


@pytest.mark.parametrize("group", ["song", "subject", "both", "ordered"])
def test_a_dataset_that_is_only_tested_is_tested_as_a_whole(group: str) -> None:
    index, quality = two_datasets()
    only = {"train": ("demo",), "dev": ("demo",), "test": ("other",)}
    split = divide_traces(index, quality, settings(group=group, datasets=only), "mine")
    accounted(split, quality)
    kept = index[quality["is_kept"].to_numpy()]
    assert sorted(split.sides["test"]["trace_id"]) == sorted(kept.loc[kept["dataset"] == "other", "trace_id"])
    assert all(set(split.sides[side]["dataset"]) == {"demo"} for side in ("train", "dev"))
    if group != "both":  # crossed: songs and subjects are not
        assert split.dropped.empty


def test_a_tested_song_that_training_knows_by_another_name_is_taken_from_training() -> None:
    index, quality = two_datasets()
    quality["is_kept"] = True
    index.loc[index["song_id"] == "other/7", "wav_path"] = "demo/3.wav"
    only = {"train": ("demo",), "dev": ("demo",), "test": ("other",)}
    split = divide_traces(index, quality, settings(datasets=only), "mine")
    assert set(split.dropped["song_id"]) == {"demo/3"}
    assert set(split.dropped["reason"]) == {"dataset"}
    assert "other/7" in set(split.sides["test"]["song_id"])
    accounted(split, quality)


def test_a_dataset_on_all_sides_and_one_in_training_only() -> None:
    index, quality = two_datasets()
    more = {"dev": ("demo",), "test": ("demo",)}
    sides = split_traces(index, quality, settings(datasets=more), "mine")
    assert set(sides["train"]["dataset"]) == {"demo", "other"}
    assert (sides["train"]["dataset"] == "other").sum() == (index["dataset"].eq("other") & quality["is_kept"]).sum()
    assert set(sides["dev"]["dataset"]) == set(sides["test"]["dataset"]) == {"demo"}
    shares = [rows.loc[rows["dataset"] == "demo", "song_id"].nunique() for rows in sides.values()]
    assert shares == [24, 8, 8]


def test_an_unknown_dataset_is_a_sentence() -> None:
    index, quality = table()
    with pytest.raises(ConfigError, match=r"datasets\.test names 'dem', .*did you mean demo\?"):
        split_traces(index, quality, settings(datasets={"test": ("dem",)}), "mine")


# ------------------------------------------------------------------------ what is refused


def test_too_few_songs_are_a_sentence() -> None:
    index, quality = table(5)
    with pytest.raises(DataError, match=r"split 'mine': \w+ has \d groups \(song\), expected at least 3"):
        split_traces(index, quality, settings(), "mine")


def test_nothing_kept_is_a_sentence() -> None:
    index, quality = table()
    with pytest.raises(DataError, match=r"none of 200 traces is kept; traces/excluded\.csv"):
        split_traces(index, quality.assign(is_kept=False), settings(), "mine")


def test_quality_of_other_traces_is_refused() -> None:
    index, quality = table()
    with pytest.raises(DataError, match=r"200 traces and their quality 199"):
        split_traces(index, quality[1:], settings(), "mine")


@pytest.mark.parametrize(
    "more", [{"group": "participant"}, {"copies": 2}, {"column": "side"}, {"exclude_reasons": ("clipping",)}]
)
def test_what_only_files_have_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"split 'mine': .*files"):
        split_traces(*table(), settings(**more), "mine")


@pytest.mark.parametrize("group", ["song", "subject", "both", "ordered"])
def test_files_are_not_divided_by_what_only_traces_have(group: str) -> None:
    files = pd.DataFrame({"wav_path": ["a.wav"], "participant_id": ["a"], "recording_id": ["a"]})
    problems = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
    with pytest.raises(ConfigError, match=rf"split 'mine': group is '{group}', which only traces .*participant or rec"):
        split_manifest(files, problems, settings(group=group), "mine")


# ------------------------------------------------------------------------ what is written


def test_sides_and_summary_are_written_as_those_of_files(tmp_path: Path) -> None:
    index, quality = table()
    split = divide_traces(index, quality, settings(), "mine")
    write_trace_split(split, settings(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{side}.{kind}" for side in SIDES for kind in ("parquet", "arrow")] + ["split_summary.json"]
    )
    summary = read_json(tmp_path / "split_summary.json")
    for side in SIDES:
        pd.testing.assert_frame_equal(read_table(tmp_path / f"{side}.parquet"), split.sides[side])
        part = summary["sides"][side]
        assert part["num_files"] == len(split.sides[side])
        assert part["num_songs"] == part["num_groups"] == split.sides[side]["song_id"].nunique()
        assert part["num_subjects"] == split.sides[side]["participant_id"].nunique()
        assert part["hours"] == round(40 * len(split.sides[side]) / 3600, 4)
        assert part["datasets"] == {"demo": len(split.sides[side])}
    assert summary["group"] == "song"
    assert summary["num_excluded"] == int((~quality["is_kept"]).sum())
    assert summary["warnings"] == summary["leaks"] == summary["notes"] == []
    assert json.dumps(summary)


def test_by_subject_the_songs_that_are_on_several_sides_are_told(tmp_path: Path) -> None:
    index, quality = table()
    split = divide_traces(index, quality, settings(group="subject"), "mine")
    (sentence,) = write_trace_split(split, settings(group="subject"), tmp_path)["leaks"]
    assert sentence.endswith("songs are on several sides: scores on this split are of new subjects, not of new songs")
