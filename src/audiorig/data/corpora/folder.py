"""Any tree of audio files, with an optional CSV of what is known about them."""

import os
from pathlib import Path

import pandas as pd

from audiorig.config import FolderCorpus
from audiorig.errors import DataError

UNKNOWN = "unknown"


def list_clips(corpus: FolderCorpus, root: Path) -> pd.DataFrame:
    """Every entry below root whose name ends like audio, joined with the metadata.

    Entries that are no files, and files that the metadata names but the folder lacks, are rows
    too: validation reports them.

    Returns:
        Columns ``wav_path`` (text, below root), ``participant_id``, ``recording_id``, then the
        metadata's columns as text (a missing value is an empty text).

    Raises:
        DataError: if the metadata is unreadable, lacks the key column or names a file twice.
    """
    paths = find_audio(root, corpus.extensions)
    if corpus.metadata is None:
        return _identify(pd.DataFrame({"wav_path": paths}))
    table = read_metadata(root / corpus.metadata, corpus)
    keys = paths if corpus.join == "path" else [Path(path).stem for path in paths]
    listed = pd.DataFrame({"wav_path": paths, corpus.key: keys})
    joined = listed.merge(table, on=corpus.key, how="outer" if corpus.join == "path" else "left")
    if corpus.join == "path":
        joined["wav_path"] = joined[corpus.key]
    joined = joined.drop(columns=corpus.key).rename(columns=corpus.columns).fillna("")
    return _identify(joined)


def find_audio(root: Path, extensions: tuple[str, ...]) -> list[str]:
    """Sorted paths below root, with ``/`` between folders; links to folders are not followed."""
    wanted = tuple(extension.lower() for extension in extensions)
    found = []
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            if name.lower().endswith(wanted) and not name.startswith("."):
                path = Path(folder, name).relative_to(root).as_posix()
                # Names that are no UTF-8 cannot stand in a table: show the odd bytes.
                found.append(os.fsencode(path).decode("utf-8", "backslashreplace"))
    return sorted(found)


def read_metadata(path: Path, corpus: FolderCorpus) -> pd.DataFrame:
    """The corpus' CSV, all columns as text."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the metadata: {error}") from None
    if corpus.key not in table:
        raise DataError(
            f"{path}: no column {corpus.key!r} among {', '.join(table.columns)}; set the corpus' `key` to one of them"
        )
    if "wav_path" in table and corpus.key != "wav_path":
        table = table.drop(columns="wav_path")
    if (twice := table[corpus.key].duplicated()).any():
        raise DataError(f"{path}: {corpus.key} {table[corpus.key][twice].iloc[0]!r} stands in more than one row")
    return table


def _identify(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in participant and recording where the corpus does not say."""
    table = table.copy()
    if "participant_id" not in table:
        table["participant_id"] = UNKNOWN
    table["participant_id"] = table["participant_id"].replace("", UNKNOWN)
    if "recording_id" not in table:
        table["recording_id"] = ""
    own_path = table["wav_path"].map(lambda path: str(Path(path).with_suffix("")))
    table["recording_id"] = table["recording_id"].where(table["recording_id"] != "", own_path)
    first = ["wav_path", "participant_id", "recording_id"]
    return table[[*first, *(column for column in table if column not in first)]]
