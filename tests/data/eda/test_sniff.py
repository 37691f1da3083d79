"""Whatever a text table has been through, its numbers are found, or the file says why not."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.data.eda import sniff
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.sniff import UnreadableTable, is_number, is_word, numbers, read_cells, signal
from audiorig.data.eda.tables import read_text_table
from audiorig.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
PLAIN = "time(s),100083\n0.00,1.5\n0.02,1.25\n0.04,-2e-3\n"
CELLS = [["time(s)", "100083"], ["0.00", "1.5"], ["0.02", "1.25"], ["0.04", "-2e-3"]]


def codes(assumptions: Assumptions) -> set[str]:
    return {str(each["code"]) for each in assumptions.as_list()}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PLAIN.encode(), set()),
        (PLAIN.rstrip("\n").encode(), set()),
        (b"\xef\xbb\xbf" + PLAIN.encode(), set()),
        (PLAIN.encode("utf-16"), set()),
        (PLAIN.replace("\n", "\r\n").encode(), set()),
        (PLAIN.replace("\n", "\r").encode(), set()),
        (PLAIN.replace("time(s)", '"time(s)"').replace("100083", '"100083"').encode(), set()),
        (PLAIN.replace(",", " , ").encode(), set()),
        ((PLAIN + "\n\n  \n").encode(), set()),
        (PLAIN.replace("0.02", "\n0.02").encode(), {"blank-lines"}),
        (PLAIN.replace(",", ";").encode(), {"delimiter"}),
        (PLAIN.replace(",", "\t").encode(), {"delimiter"}),
        (PLAIN.replace(",", ";").replace(".", ",").encode(), {"delimiter", "decimal-comma"}),
        ((PLAIN + "0.0").encode(), {"torn-line"}),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else "+".join(sorted(value)) or "plain",
)
def test_the_same_cells_are_found(tmp_path: Path, content: bytes, expected: set[str]) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assumptions = Assumptions()
    assert read_cells(tmp_path / "a.csv", "EDA/a.csv", assumptions) == CELLS
    assert codes(assumptions) == expected


def test_latin_1_is_read_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("Zeit(µs),100083\n1,2\n".encode("latin-1"))
    assumptions = Assumptions()
    assert read_cells(tmp_path / "a.csv", "a.csv", assumptions)[0] == ["Zeit(µs)", "100083"]
    assert codes(assumptions) == {"encoding"}


def test_lines_of_other_widths(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,2,3\n4\n5,6,7,8\n9,10,11,\n")
    assumptions = Assumptions()
    rows = read_cells(tmp_path / "a.csv", "a.csv", assumptions)
    assert rows[1:] == [["1", "2", "3"], ["4", "", ""], ["5", "6", "7"], ["9", "10", "11"]]
    assert codes(assumptions) == {"short-lines", "long-lines"}


@pytest.mark.parametrize("content", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
def test_no_content_is_no_rows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert read_cells(tmp_path / "a.csv", "a.csv", Assumptions()) == []


def test_what_is_no_text_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes(b"PK\3\4\0\0\0\0")
    with pytest.raises(UnreadableTable, match="no text"):
        read_cells(tmp_path / "a.csv", "a.csv", Assumptions())
    with pytest.raises(UnreadableTable, match="cannot be read: No such file"):
        read_cells(tmp_path / "none.csv", "none.csv", Assumptions())
    monkeypatch.setattr(sniff, "MAX_BYTES", 7)
    with pytest.raises(UnreadableTable, match="8 bytes are no trace"):
        read_cells(tmp_path / "a.csv", "a.csv", Assumptions())


def test_numbers_and_words() -> None:
    values, words = numbers(["1", " 2.5", "-3e2", "", "nan", "NA", "x", "1_000"])
    np.testing.assert_array_equal(values, [1, 2.5, -300, *[np.nan] * 5])
    assert words == 2
    assert is_number("4") and not is_number("") and not is_number("nan") and not is_number("EDA")
    assert is_word("EDA") and not is_word("") and not is_word("NaN") and not is_word("4")


def test_a_signal_keeps_its_gaps_and_ends_with_its_last_number() -> None:
    assumptions = Assumptions()
    np.testing.assert_array_equal(signal(["", "1", "", "2"], "a", assumptions), [np.nan, 1, np.nan, 2])
    assert codes(assumptions) == set()
    np.testing.assert_array_equal(signal(["1", "error", "2", "", ""], "a", assumptions), [1, np.nan, 2])
    assert codes(assumptions) == {"words", "ends-early"}
    assert len(signal(["", ""], "a", assumptions)) == 0
    with pytest.raises(UnreadableTable, match="no number in it; it begins with 'version"):
        signal(["", "version https://git-lfs.example", "oid"], "a", assumptions)


def test_tables_of_text(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes('\ufeffmusicId,fileName,title,\n001, 1.mp3,"a, b",\n\n2\n'.encode())
    assert read_text_table(path, "metadata.csv") == {
        "musicId": ["001", "2"],
        "fileName": ["1.mp3", ""],
        "title": ["a, b", ""],
    }
    path.write_bytes(b"musicId;title\n1;Caf\xe9, noir\n")
    assert read_text_table(path, "metadata.csv") == {"musicId": ["1"], "title": ["Caf\ufffd, noir"]}
    path.write_bytes(b"")
    assert read_text_table(path, "metadata.csv") == {}
    assert read_text_table(None, "metadata.csv") is None
    path.write_bytes(b"a,b\n" + b"x" * 200_000)
    with pytest.raises(DataError, match=r"metadata\.csv: cannot be read as a table: field larger"):
        read_text_table(path, "metadata.csv")
