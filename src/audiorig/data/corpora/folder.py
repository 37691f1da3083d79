"""Any tree of audio files, with an optional CSV of what is known about them."""

import warnings
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from audiorig.config import FolderCorpus
from audiorig.errors import DataError

UNKNOWN = "unknown"
RESERVED = ("group_id", "start", "split_side", "end_sec", "copy", "object_etag")
EXTENSION = r"([^/])\.[^./]+$"
KEY = "\0key"  # what files and rows are joined by; no CSV has such a column


def describe_clips(corpus: FolderCorpus, root: Path, scan: pa.Table) -> pd.DataFrame:
    """Every entry of a scan, joined with the metadata.

    Entries that are no files, and files that the metadata names but the folder lacks, are rows
    too: validation reports them.

    Returns:
        Columns ``wav_path`` (text, below root), ``participant_id``, ``recording_id``, then the
        metadata's columns as text (a missing value is an empty text).

    Raises:
        DataError: if the metadata is unreadable, lacks the key column or names a file twice.
    """
    found = pd.DataFrame({"wav_path": scan["wav_path"].to_pandas()})
    if corpus.metadata is None:
        return identify(found)
    path = root / corpus.metadata
    table = read_metadata(path, corpus)
    found[KEY] = found["wav_path"] if corpus.join == "path" else stems(found["wav_path"]).str.rsplit("/", n=1).str[-1]
    twice = found.loc[found[KEY].duplicated(), KEY]
    if len(twice := twice[twice.isin(table[KEY])]):
        raise DataError(f"{path}: {corpus.key} {twice.iloc[0]!r} is the name of several files; join by path instead")
    joined = found.merge(table, on=KEY, how="outer")
    joined["wav_path"] = joined["wav_path"].fillna(joined[KEY])
    return identify(joined.drop(columns=KEY).fillna(""))


def stems(paths: pd.Series) -> pd.Series:
    """Paths without the extension."""
    return paths.str.replace(EXTENSION, r"\1", regex=True)


def read_metadata(path: Path, corpus: FolderCorpus) -> pd.DataFrame:
    """The corpus' CSV, all columns as text, renamed as the corpus asks; its key column is ``KEY``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with too many fields
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise DataError(f"{path}: cannot read the metadata: {error}") from None
    for column in (corpus.key, *corpus.columns):
        if column not in table:
            setting = "key" if column == corpus.key else "columns"
            known = ", ".join(table.columns)
            raise DataError(f"{path}: no column {column!r} among {known}; set the corpus' `{setting}`")
    table[KEY] = table[corpus.key]
    if corpus.join == "path":
        table = table.drop(columns=corpus.key)
    table = table.rename(columns=corpus.columns).drop(columns="wav_path", errors="ignore")
    if len(twice := table.columns[table.columns.duplicated()]):
        raise DataError(f"{path}: two columns would be called {twice[0]!r}; change the corpus' `columns`")
    if taken := [column for column in RESERVED if column in table]:
        raise DataError(f"{path}: {taken[0]!r} is a name that the project uses; rename the column with `columns`")
    if (table[KEY] == "").any():
        raise DataError(f"{path}: row {int((table[KEY] == '').argmax()) + 2} has no {corpus.key}")
    if corpus.join == "path":
        table[KEY] = [_inside_root(name, path) for name in table[KEY]]
    if (again := table[KEY].duplicated()).any():
        raise DataError(f"{path}: {corpus.key} {table[KEY][again].iloc[0]!r} stands in more than one row")
    return table


def _inside_root(name: str, metadata: Path) -> str:
    """A path as the manifest writes it: two spellings of one file must not become two rows."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise DataError(f"{metadata}: {name!r} leads out of the corpus; paths must lie below its root")
    return str(pure)


def identify(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in participant and recording where the corpus does not say."""
    table = table.copy()
    participant = table.get("participant_id", "")
    table["participant_id"] = pd.Series(participant, index=table.index, dtype="str").replace("", UNKNOWN)
    if "recording_id" not in table:
        table["recording_id"] = stems(table["wav_path"])
    elif len(unnamed := table.index[table["recording_id"] == ""]):
        table.loc[unnamed, "recording_id"] = stems(table.loc[unnamed, "wav_path"])
    first = ["wav_path", "participant_id", "recording_id"]
    return table[[*first, *(column for column in table if column not in first)]]
