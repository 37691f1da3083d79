"""Tables of numbers as people hand them on: a spreadsheet's semicolons, a byte order mark, a torn last line.

Nothing here fails on content. What is read into a file beyond its plain text is an assumption; what
is no text at all is an ``UnreadableTable``, whose sentence becomes the note of the trace.
"""

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.data.eda.assumptions import Assumptions

DELIMITERS = (",", ";", "\t")
MAX_BYTES = 256 << 20  # a day at 64 Hz is 60 MB: what is larger is no trace of a song
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
EMPTY_CELLS = ("", "nan", "na", "n/a", "null", "none", "-")
AROUND = " \t\"'\ufeff"

Rows = list[list[str]]


class UnreadableTable(Exception):
    """A file that is no table of numbers; the message says why."""


def read_cells(path: Path, name: str, assumptions: Assumptions) -> Rows:
    """The cells of a file, as many in each row as in the first; no rows if the file is empty.

    Args:
        name: of the file, for people.

    Raises:
        UnreadableTable: if the file cannot be read, or is no text.
    """
    text = _decoded(_content(path), name, assumptions).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    is_torn = lines[-1].strip(AROUND) != ""  # no line end behind the last row
    while lines and not lines[-1].strip(AROUND):
        lines.pop()
    kept = [line for line in lines if line.strip()]
    if len(kept) < len(lines):
        assumptions.assume("blank-lines", "lines without content are skipped, time does not pass in them", name)
    if not kept:
        return []
    delimiter = max(DELIMITERS, key=kept[0].count)
    if delimiter != "," and delimiter in kept[0]:
        assumptions.assume("delimiter", "cells are taken to be divided by semicolons or tabs, not by commas", name)
    rows = [[cell.strip(AROUND) for cell in line.split(delimiter)] for line in kept]
    if is_torn and len(rows) > 1 and len(rows[-1]) < len(rows[0]):
        assumptions.assume("torn-line", "the last line has too few cells and no end: it is left out", name)
        rows.pop()
    rows = _even(rows, name, assumptions)
    return rows if delimiter == "," else _with_points(rows, name, assumptions)


def numbers(cells: Sequence[str]) -> tuple[NDArray[np.float64], int]:
    """Numbers of some cells, NaN where there is none, and how many of those are words (not just empty)."""
    values = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(np.float64)
    words = sum(cells[place].lower() not in EMPTY_CELLS for place in np.flatnonzero(np.isnan(values)).tolist())
    return values, words


def is_number(cell: str) -> bool:
    """Whether a cell is a number, NaN not among them."""
    return not np.isnan(numbers([cell])[0][0])


def is_word(cell: str) -> bool:
    """Whether a cell is neither a number nor empty, nor a word for a missing one."""
    return numbers([cell])[1] > 0


def signal(cells: Sequence[str], name: str, assumptions: Assumptions) -> NDArray[np.float64]:
    """Samples (T,) of a column, up to the last cell that is a number.

    Raises:
        UnreadableTable: if there are words and no number.
    """
    values, num_words = numbers(cells)
    finite = np.flatnonzero(~np.isnan(values))
    if not len(finite) and num_words:
        raise UnreadableTable(f"no number in it; it begins with {next(cell for cell in cells if cell)[:40]!r}")
    if num_words:
        assumptions.assume("words", "cells that are no numbers are taken for samples that are missing", name)
    stop = int(finite[-1]) + 1 if len(finite) else 0
    if stop < len(values):
        assumptions.assume("ends-early", "a trace ends with its last number, however many empty cells follow", name)
    return values[:stop]


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableTable(f"{size} bytes are no trace of a song: expected at most {MAX_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableTable(f"cannot be read: {error.strerror}") from None


def _decoded(content: bytes, name: str, assumptions: Assumptions) -> str:
    encoding = next((encoding for mark, encoding in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        assumptions.assume("encoding", "the text is no UTF-8 and is read as Latin-1", name)
        text = content.decode("latin-1")
    if "\0" in text:
        raise UnreadableTable("no text: it holds bytes of value 0")
    return text


def _even(rows: Rows, name: str, assumptions: Assumptions) -> Rows:
    """Rows of the width of the first one."""
    width = len(rows[0])
    for place, row in enumerate(rows):
        if len(row) == width:
            continue
        if len(row) < width:
            assumptions.assume("short-lines", "lines with too few cells lack the last ones: they are missing", name)
            rows[place] = [*row, *[""] * (width - len(row))]
        else:
            if any(row[width:]):
                assumptions.assume("long-lines", "cells beyond the first line's belong to no column: left out", name)
            rows[place] = row[:width]
    return rows


def _with_points(rows: Rows, name: str, assumptions: Assumptions) -> Rows:
    """Rows of numbers with decimal commas, if they have any, with points."""
    if not any("," in cell for row in rows[1:] for cell in row):
        return rows
    assumptions.assume("decimal-comma", "commas inside of cells are taken for decimal points", name)
    return [rows[0], *([cell.replace(",", ".") for cell in row] for row in rows[1:])]
