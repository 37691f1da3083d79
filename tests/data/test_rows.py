"""Rows of a split are found by the second, in any number of batches, with and without the sums in the file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest

from audiorig.data import rows as rows_module
from audiorig.data.rows import SplitRows


def write(path: Path, durations: list[float], *, with_ends: bool, batch_rows: int = 1 << 20) -> SplitRows:
    table = pd.DataFrame({"wav_path": [f"{index}.wav" for index in range(len(durations))], "duration_sec": durations})
    if with_ends:
        table["end_sec"] = np.cumsum(durations)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with pyarrow.ipc.new_file(str(path), arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=batch_rows)
    return SplitRows(path)


@pytest.mark.parametrize("with_ends", [True, False])
@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_a_second_lies_in_the_row_that_holds_it(tmp_path: Path, with_ends: bool, batch_rows: int) -> None:
    rows = write(tmp_path / "a.arrow", [2.0, 0.5, 1.5, 3.0], with_ends=with_ends, batch_rows=batch_rows)
    assert len(rows) == 4
    assert rows.total_sec == 7.0
    seconds = [0.0, 1.99, 2.0, 2.49, 2.5, 3.9, 4.0, 6.9, 7.0, 8.0]
    assert [rows.at(second) for second in seconds] == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]
    assert [rows.value("wav_path", row) for row in range(4)] == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert rows.value("archive_offset", 2) is None


def test_sums_in_the_file_and_computed_ones_choose_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "STRIDE", 64)
    monkeypatch.setattr(rows_module, "RELEASE_AFTER", 7)
    durations = np.random.default_rng(0).uniform(0.3, 30, 5000).tolist()
    mapped = write(tmp_path / "a.arrow", durations, with_ends=True, batch_rows=700)
    computed = write(tmp_path / "b.arrow", durations, with_ends=False)
    seconds = np.random.default_rng(1).uniform(0, mapped.total_sec, 2000)
    assert mapped.total_sec == computed.total_sec
    expected = np.minimum(np.searchsorted(np.cumsum(durations), seconds, side="right"), 4999).tolist()
    assert [mapped.at(second) for second in seconds] == expected
    assert [computed.at(second) for second in seconds] == expected
    assert [mapped.value("duration_sec", row) for row in expected] == [durations[row] for row in expected]


def test_no_rows(tmp_path: Path) -> None:
    for with_ends in (True, False):
        rows = write(tmp_path / "a.arrow", [], with_ends=with_ends)
        assert len(rows) == 0
        assert rows.total_sec == 0.0
