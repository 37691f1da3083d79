"""Tables of text that come with a dataset: songs, ratings, links. Ids stay as they are written."""

import csv
import io
from pathlib import Path

from audiorig.errors import DataError

Table = dict[str, list[str]]  # columns by header


def read_text_table(path: Path | None, name: str) -> Table | None:
    """A CSV with a header; cells that a row lacks are empty, and those without a header are left out.

    Titles are in many languages and not always in UTF-8: what is not, is read with replacements.

    Args:
        path: None if there is no such table.
        name: of the table, for people.

    Returns:
        None if there is no table.

    Raises:
        DataError: if it cannot be read.
    """
    if path is None:
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except (OSError, csv.Error) as error:
        raise DataError(f"{name}: cannot be read as a table: {error}") from None
    rows = [row for row in lines if any(cell.strip() for cell in row)]
    if not rows:
        return {}
    header = [cell.strip() for cell in rows[0]]
    return {
        title: [row[place].strip() if place < len(row) else "" for row in rows[1:]]
        for place, title in enumerate(header)
        if title
    }


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max((",", ";", "\t"), key=first.count)
