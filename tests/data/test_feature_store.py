"""Shards of features: equal shares, the right arrays, resumed after a kill."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiorig.data import feature_store
from audiorig.data.feature_store import FeatureStore, compute_shard, shard_of
from audiorig.errors import DataError


def rows(number: int = 25) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "wav_path": [f"a/{index:03d} é.wav" for index in range(number)],
            "duration_sec": [1.0 + index % 3 for index in range(number)],
            "file_size_bytes": range(number),
            "mtime_ns": 0,
        }
    )


def arrays_of(row: pd.Series) -> dict[str, np.ndarray]:
    index = int(row["file_size_bytes"])
    return {"hz": np.arange(index, dtype=np.float32), "features": np.full((index, 4), index, np.float16)}


def test_shards_hold_every_row_once_and_about_the_same_duration() -> None:
    table = rows()
    shards = [shard_of(table, shard, 4) for shard in range(4)]
    assert pd.concat(shards).equals(table)
    durations = [shard["duration_sec"].sum() for shard in shards]
    assert max(durations) - min(durations) <= 3


@pytest.mark.parametrize("num_shards", [1, 3, 40])
def test_what_was_stored_comes_back(num_shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from empty shards, from empty arrays, and through the boundaries of parts."""
    monkeypatch.setattr(feature_store, "FILES_IN_A_PART", 4)
    table = rows()
    shards = []
    for shard in range(num_shards):
        shards.append(tmp_path / f"shard-{shard}.arrow")
        compute_shard(shard_of(table, shard, num_shards), arrays_of, shards[-1], tmp_path / f"parts-{shard}")
    store = FeatureStore(shards)
    for _, row in table.iterrows():
        found = store[row["wav_path"]]
        for name, expected in arrays_of(row).items():
            assert np.array_equal(found[name], expected)
            assert found[name].shape == expected.shape
            assert found[name].dtype == expected.dtype
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in shards)
    with pytest.raises(DataError, match=r"nothing is known of 'b\.wav'"):
        store["b.wav"]
    with pytest.raises(DataError):
        store["A"]


def test_a_killed_job_computes_no_part_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "FILES_IN_A_PART", 4)
    computed: list[str] = []

    def dies_at_the_tenth(row: pd.Series) -> dict[str, np.ndarray]:
        if len(computed) == 10:
            raise KeyboardInterrupt
        computed.append(row["wav_path"])
        return arrays_of(row)

    output, parts = tmp_path / "shard.arrow", tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        compute_shard(rows(), dies_at_the_tenth, output, parts)
    assert not output.exists()
    again: list[str] = []
    compute_shard(rows(), lambda row: again.append(row["wav_path"]) or arrays_of(row), output, parts)
    assert again == rows()["wav_path"].tolist()[8:]  # two whole parts of four were kept
    whole = tmp_path / "whole.arrow"
    compute_shard(rows(), arrays_of, whole, parts)
    assert output.read_bytes() == whole.read_bytes()


def test_a_changed_file_is_computed_again(tmp_path: Path) -> None:
    """A part is named by the size and time of its files."""
    parts = tmp_path / "parts"
    parts.mkdir()
    table = rows(3)
    with pytest.raises(ZeroDivisionError):
        compute_shard(table, lambda row: 1 / 0, tmp_path / "a.arrow", parts)
    compute_shard(table.assign(mtime_ns=1), arrays_of, tmp_path / "b.arrow", parts)
    assert len(FeatureStore([tmp_path / "b.arrow"])[table["wav_path"][2]]["hz"]) == 2
