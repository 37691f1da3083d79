"""Splits: no group on two sides, the same seed the same bytes, and a sentence where it cannot be done."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest

from audiorig.config import SIDES, SplitConfig
from audiorig.data.manifest import read_table
from audiorig.data.split import group_ids, missing_labels, split_manifest, write_split
from audiorig.errors import DataError
from audiorig.files import file_digest, read_json

NONE = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
THIRDS = {"shares": (0.5, 0.25, 0.25)}


def table(num_groups: int = 60, clips_each: int = 3, **columns: Any) -> pd.DataFrame:
    """A manifest of speakers with clips each; two clips of a speaker are one recording."""
    index = np.arange(num_groups * clips_each)
    speaker, clip = index // clips_each, index % clips_each
    return pd.DataFrame(
        {
            "participant_id": [f"p{number:03d}" for number in speaker],
            "recording_id": [f"r{one:03d}-{two // 2}" for one, two in zip(speaker, clip, strict=True)],
            "wav_path": [f"p{one:03d}/{two}.wav" for one, two in zip(speaker, clip, strict=True)],
            "duration_sec": 1.0,
            **columns,
        }
    )


def split(rows: pd.DataFrame, problems: pd.DataFrame = NONE, **settings: Any) -> dict[str, pd.DataFrame]:
    return split_manifest(rows, problems, SplitConfig(**settings), "mine")


def side_of(sides: dict[str, pd.DataFrame], column: str = "wav_path") -> dict[str, str]:
    return {value: which for which, rows in sides.items() for value in rows[column]}


# ------------------------------------------------------------------------ groups


@pytest.mark.parametrize(
    ("group", "column"), [("participant", "participant_id"), ("recording", "recording_id"), ("clip", "wav_path")]
)
@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_on_two_sides_and_nothing_is_lost(group: str, column: str, seed: int) -> None:
    rows = table()
    sides = split(rows, group=group, seed=seed)
    assert sum(len(side) for side in sides.values()) == len(rows)
    assert set(side_of(sides)) == set(rows["wav_path"])
    seen = [set(side[column]) for side in sides.values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == rows[column].nunique()


def test_the_finer_group_does_divide_the_coarser() -> None:
    """Else the test above could not tell the settings apart."""
    for group, column in (("recording", "participant_id"), ("clip", "recording_id")):
        seen = [set(side[column]) for side in split(table(), group=group).values()]
        assert sum(map(len, seen)) > len(set().union(*seen))


def test_unknown_participants_go_by_their_recording() -> None:
    rows = table()
    rows.loc[rows.index % 2 == 0, "participant_id"] = "unknown"
    groups = group_ids(rows, "participant")
    unknown = rows["participant_id"] == "unknown"
    assert (groups[~unknown] == rows["participant_id"][~unknown]).all()
    assert (groups[unknown] == "recording:" + rows["recording_id"][unknown]).all()
    sides = split(rows)
    assert all(len(side) for side in sides.values())
    seen = [set(side["group_id"]) for side in sides.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))


# ------------------------------------------------------------------------ drawing


def written(folder: Path, rows: pd.DataFrame, **settings: Any) -> dict[str, bytes]:
    config = SplitConfig(**settings)
    write_split(split_manifest(rows, NONE, config, "mine"), config, folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    first, again, other = (written(tmp_path / str(number), table(), seed=seed) for number, seed in enumerate((3, 3, 4)))
    assert set(first) == {f"{side}.{kind}" for side in SIDES for kind in ("parquet", "arrow")} | {"split_summary.json"}
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_the_order_of_the_files_does_not_matter() -> None:
    rows = table()
    shuffled = rows.sample(frac=1, random_state=0)
    assert side_of(split(rows, stratify="participant_id")) == side_of(split(shuffled, stratify="participant_id"))
    assert side_of(split(rows)) == side_of(split(shuffled))


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.55, 0.15, 0.3), (1 / 3, 1 / 3, 1 / 3)])
@pytest.mark.parametrize("num_groups", [30, 61, 100])
def test_sides_get_their_shares_of_the_groups(shares: tuple[float, float, float], num_groups: int) -> None:
    sides = split(table(num_groups), shares=shares)
    for which, share in zip(SIDES, shares, strict=True):
        assert abs(sides[which]["group_id"].nunique() - share * num_groups) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_strata_are_spread_evenly(seed: int) -> None:
    speaker = np.arange(180) // 3
    mood = np.select([speaker < 40, speaker < 52], ["calm", "glad"], "sad")  # 40, 12 and 8 speakers
    sides = split(table(mood=mood), stratify="mood", seed=seed, **THIRDS)
    for value, num_groups in {"calm": 40, "glad": 12, "sad": 8}.items():
        for which, share in zip(SIDES, (0.5, 0.25, 0.25), strict=True):
            rows = sides[which]
            found = rows.loc[rows["mood"] == value, "group_id"].nunique()
            assert abs(found - share * num_groups) <= 1.5, (value, which)


@pytest.mark.parametrize("seed", range(10))
def test_by_their_rarest_value_groups_bring_it_to_every_side(seed: int) -> None:
    speaker, clip = np.arange(180) // 3, np.arange(180) % 3
    mood = np.where((speaker % 10 == 0) & (clip == 0), "rare", "usual")  # 6 of 60 speakers, one clip of three each
    sides = split(table(mood=mood), stratify="mood", stratum="rarest", seed=seed, shares=(0.6, 0.15, 0.25))
    assert {which: int((rows["mood"] == "rare").sum()) for which, rows in sides.items()} == {
        "train": 4, "dev": 1, "test": 1,
    }  # fmt: skip
    assert side_of(split(table(mood=mood), stratify="mood", seed=seed)) != side_of(sides)


def test_every_speaker_is_drawn_to_test_equally_often() -> None:
    tested = np.zeros(20)
    for seed in range(200):
        rows = split(table(20, 1), seed=seed, **THIRDS)["test"]
        tested[[int(name[1:]) for name in rows["participant_id"]]] += 1
    assert tested.sum() == 200 * 5
    assert ((tested - 50) ** 2 / 37.5).sum() < 50  # chi-square of 19 degrees, p < 2e-4


# ------------------------------------------------------------------------ what is refused


REPORTED = pd.DataFrame(
    {
        "wav_path": ["p000/0.wav", "p000/1.wav", "p000/2.wav", "p001/0.wav"],
        "reason": ["decode_error", "clipping", "multichannel", "too_short"],
        "severity": ["error", "warning", "note", "error"],
    }
)


def test_errors_of_validation_are_left_out_and_warnings_are_kept() -> None:
    rows = table()
    kept = set(side_of(split(rows, REPORTED)))
    assert kept == set(rows["wav_path"]) - {"p000/0.wav", "p001/0.wav"}


def test_a_split_can_choose_its_reasons_but_never_gets_what_cannot_be_read() -> None:
    rows = table()
    kept = set(side_of(split(rows, REPORTED, exclude_reasons=("clipping",))))
    assert kept == set(rows["wav_path"]) - {"p000/0.wav", "p000/1.wav"}


@pytest.mark.parametrize("num_groups", [1, 2, 5])
def test_too_few_groups_are_a_sentence(num_groups: int) -> None:
    with pytest.raises(
        DataError, match=r"split 'mine': \w+ has \d groups \(participant\), expected at least 3; .*min_groups"
    ):
        split(table(num_groups), **THIRDS)


def test_fewer_groups_can_be_allowed() -> None:
    sides = split(table(3), shares=(0.4, 0.3, 0.3), min_groups=1)
    assert [side["group_id"].nunique() for side in sides.values()] == [1, 1, 1]


def test_an_official_split_is_kept_as_it_is() -> None:
    official = np.repeat(["test", "train", "dev", "train"], 45)
    rows = table(official=official)
    assert side_of(split(rows, column="official")) == dict(zip(rows["wav_path"], official, strict=True))


def test_an_official_split_with_a_speaker_on_two_sides_is_refused_by_name() -> None:
    official = np.repeat(["test", "train", "dev", "train"], 45)
    official[1] = "dev"
    with pytest.raises(DataError, match=r"participant 'p000' is both in dev and in test"):
        split(table(official=official), column="official")
    assert split(table(official=official), column="official", group="clip")


def test_an_official_side_of_another_name_is_shown_with_its_file() -> None:
    official = np.repeat(["test", "train", "dev", "eval"], 45)
    with pytest.raises(DataError, match=r"'official' holds 'eval' for p045/0\.wav: expected train, dev or test"):
        split(table(official=official), column="official")


@pytest.mark.parametrize("settings", [{"column": "absent"}, {"stratify": "absent"}, {"labels": ("absent",)}])
def test_a_missing_column_is_named_with_those_that_are_there(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"no column 'absent'; it has participant_id, recording_id"):
        split(table(), **settings)


def test_a_stratum_that_is_not_known_for_everyone_is_one_more_stratum() -> None:
    mood = np.where(np.arange(180) < 90, "calm", "")  # what a manifest says of the unknown
    assert sum(len(side) for side in split(table(mood=mood), stratify="mood").values()) == 180


def test_when_a_file_was_touched_changes_no_byte_of_a_split(tmp_path: Path) -> None:
    """Else touching a file would train a model anew."""
    touched = (table(mtime_ns=pd.array(np.arange(180) + shift, dtype="Int64"), problem=None) for shift in (0, 7))
    first, second = (written(tmp_path / str(number), rows) for number, rows in enumerate(touched))
    assert first == second


# ------------------------------------------------------------------------ what is written


def test_arrow_files_say_where_in_the_whole_duration_each_file_ends(tmp_path: Path) -> None:
    rows = table(duration_sec=0.25 + np.arange(180) % 3)
    sides = split_manifest(rows, NONE, SplitConfig(), "mine")
    write_split(sides, SplitConfig(), tmp_path)
    for which, side in sides.items():
        mapped = pyarrow.ipc.open_file(pyarrow.memory_map(str(tmp_path / f"{which}.arrow"))).read_all()
        assert mapped.schema.field("end_sec").type == pa.float64()
        assert mapped["end_sec"].to_pylist() == np.cumsum(side["duration_sec"]).tolist()
        assert "end_sec" not in read_table(tmp_path / f"{which}.parquet")


def test_a_label_that_a_side_lacks_is_a_sentence() -> None:
    mood = np.where(np.arange(180) < 3, "rare", "calm")  # one speaker
    sides = split(table(mood=mood), labels=("mood",))
    where = next(which for which, rows in sides.items() if "rare" in set(rows["mood"]))
    expected = [f"mood 'rare' does not occur in {which}" for which in SIDES if which != where]
    assert missing_labels(sides, ("mood",)) == expected
    assert missing_labels(sides, ()) == []


def test_the_summary_counts_what_was_written_and_its_digests_match(tmp_path: Path) -> None:
    settings = SplitConfig(labels=("mood",), **THIRDS)
    rows = table(mood=np.tile(["calm", "glad", "sad"], 60))
    sides = split_manifest(rows, NONE, settings, "mine")
    summary = write_split(sides, settings, tmp_path)
    assert read_json(tmp_path / "split_summary.json") == summary == json.loads(json.dumps(summary))
    assert summary["warnings"] == []
    for which in SIDES:
        counted = summary["sides"][which]
        assert counted["sha256"] == file_digest(tmp_path / f"{which}.parquet")
        assert counted["num_files"] == len(sides[which])
        assert counted["num_groups"] == len(sides[which]) // 3
        assert counted["hours"] == pytest.approx(len(sides[which]) / 3600, abs=1e-4)
        assert counted["labels"]["mood"] == dict.fromkeys(["calm", "glad", "sad"], len(sides[which]) // 3)


def test_labels_that_are_numbers_can_be_counted(tmp_path: Path) -> None:
    rate = pd.array(np.tile([16000, 24000, 24000], 60), dtype="Int64")  # as in every manifest
    settings = SplitConfig(labels=("sample_rate",), **THIRDS)
    sides = split_manifest(table(sample_rate=rate), NONE, settings, "mine")
    write_split(sides, settings, tmp_path)
    counts = read_json(tmp_path / "split_summary.json")["sides"]["dev"]["labels"]["sample_rate"]
    assert counts == {"16000": 15, "24000": 30}


def test_parquet_and_arrow_hold_the_same_rows_in_manifest_order(tone_split: Path, tones: Any) -> None:
    order = {path: index for index, path in enumerate(sorted(tones.table["path"]))}
    for which in SIDES:
        rows = read_table(tone_split / f"{which}.parquet")
        mapped = pyarrow.ipc.open_file(pyarrow.memory_map(str(tone_split / f"{which}.arrow"))).read_all().to_pandas()
        assert mapped["wav_path"].tolist() == rows["wav_path"].tolist()
        assert mapped["duration_sec"].tolist() == rows["duration_sec"].tolist()
        positions = [order[path] for path in rows["wav_path"]]
        assert positions == sorted(positions)
    assert read_json(tone_split / "split_summary.json")["sides"]["train"]["num_groups"] == 6


# ------------------------------------------------------------------------ augmented copies


def test_copies_are_clips_of_their_own_where_clips_are_dealt_out() -> None:
    rows = table(10, 2)
    sides = split(rows, group="clip", copies=3)
    everything = pd.concat(sides.values())
    assert len(everything) == 4 * len(rows)
    assert everything.groupby("wav_path")["copy"].apply(sorted).tolist() == [[0, 1, 2, 3]] * len(rows)
    names = everything["wav_path"].where(
        everything["copy"] == 0, everything["wav_path"] + "#" + everything["copy"].map(str)
    )
    assert (everything["group_id"] == names).all()
    on = [set(side["wav_path"]) for side in sides.values()]
    assert sum(map(len, on)) > len(set().union(*on))  # the leak


@pytest.mark.parametrize("group", ["participant", "recording"])
def test_copies_stay_with_their_clip_in_any_other_group(group: str, tmp_path: Path) -> None:
    plain, copied = split(table(), group=group), split(table(), group=group, copies=2)
    for which in SIDES:
        first = copied[which][copied[which]["copy"] == 0].drop(columns="copy").reset_index(drop=True)
        pd.testing.assert_frame_equal(first, plain[which])
        assert len(copied[which]) == 3 * len(plain[which])
    settings = SplitConfig(group=group, copies=2)
    assert write_split(copied, settings, tmp_path)["leaks"] == []


def test_a_leak_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = SplitConfig(group="clip", copies=1)
    sides = split(table(20, 1), group="clip", copies=1)
    on = [set(side["wav_path"]) for side in sides.values()]
    count = sum(map(len, on)) - len(set().union(*on))
    with caplog.at_level(logging.WARNING):
        summary = write_split(sides, settings, tmp_path)
    assert summary["copies"] == 1
    assert summary["leaks"][0].startswith(
        f"{count} of 20 clips have augmented copies of themselves on several sides, on"
    )
    assert summary["leaks"][0] in caplog.text


def test_without_copies_nothing_is_new(tmp_path: Path) -> None:
    written(tmp_path, table())
    assert not {"copies", "leaks"} & set(read_json(tmp_path / "split_summary.json"))
    assert "copy" not in pd.read_parquet(tmp_path / "train.parquet")


def test_a_column_of_that_name_is_refused() -> None:
    with pytest.raises(DataError, match="column 'copy' already"):
        split(table().assign(copy="x"), copies=1)
    split(table().assign(copy="x"))
