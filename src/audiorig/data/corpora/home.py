"""Long recordings of homes: who is heard comes from ChildProject's table, or from names.

ChildProject (Gautheron et al., "Managing, storing, and sharing long-form recordings and their
annotations", 2022) keeps audio below ``recordings/raw``, tables below ``metadata``, and often a
second copy of everything, at another rate, below ``recordings/converted``.
"""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from audiorig.config import HomeCorpus
from audiorig.config_stages import participant_regex
from audiorig.data.corpora.folder import RESERVED, UNKNOWN, identify
from audiorig.errors import DataError

RAW, CONVERTED = "recordings/raw/", "recordings/converted/"
FILE, CHILD = "recording_filename", "child_id"
NONE = "NA"  # what ChildProject writes where there is nothing
HIDDEN = r"(?:^|/)\."  # .git of a DataLad data set holds every recording a second time

log = logging.getLogger(__name__)


def describe_clips(corpus: HomeCorpus, root: Path, scan: pa.Table) -> pd.DataFrame:
    """The recordings of a scan, and who is heard in them.

    The participant is the ``child_id`` of ChildProject's table; where that says nothing, the group
    ``participant`` of the corpus' pattern; else unknown. Recordings that only the table knows are
    rows too: validation reports them. Files in hidden folders are none, and of a recording that
    lies in ``recordings/raw`` and in ``recordings/converted`` only one is: the raw one if it can be read.

    Returns:
        Columns ``wav_path``, ``participant_id``, ``recording_id``, then the table's others as text.

    Raises:
        ConfigError: if the pattern is no regular expression with that group.
        DataError: if the table is damaged, or does not say which of several files it means.
    """
    paths = pd.Series(scan["wav_path"].to_pylist(), dtype="str")
    is_readable = pd.Series(scan["num_frames"].is_valid().to_numpy())
    is_shown = ~paths.str.contains(HIDDEN, regex=True)
    found = pd.DataFrame({"wav_path": paths[is_shown]})
    table_path = root / corpus.recordings if corpus.recordings else None
    if table_path is not None and table_path.is_file():
        found = _join(found, set(paths[is_shown & is_readable]), _read_recordings(table_path), table_path)
    named = _named_by_pattern(found["wav_path"], corpus.participant_pattern)
    if CHILD in found:  # participant and path say the same, under the project's names
        child, named_by_path = found[CHILD], named
        named = child.where(child != "", named_by_path)
        found = found.drop(columns=[CHILD, FILE])
        if num_other := int(((named_by_path != "") & (named != named_by_path)).sum()):
            log.warning("%d recordings have another child_id in %s than in their path", num_other, table_path)
    if num_unknown := int((named == "").sum()):
        log.warning(
            "%d of %d recordings are of an %s participant: each is a group of its own; set participant_pattern "
            "or give ChildProject's table",
            num_unknown, len(found), UNKNOWN,
        )  # fmt: skip
    return identify(found.assign(participant_id=named).reset_index(drop=True))


def read_texts(path: Path, needed: Iterable[str]) -> pd.DataFrame:
    """A CSV, all columns as text; what is missing is an empty text.

    Raises:
        DataError: if it cannot be read or lacks a column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with too many fields
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    for column in needed:
        if column not in table:
            raise DataError(f"{path}: no column {column!r} among {', '.join(map(str, table))}")
    return table.replace(NONE, "")


def find_recordings(names: pd.Series, paths: Iterable[str], table: Path) -> pd.Series:
    """The files that a table means by its names, which are ends of their paths.

    ChildProject writes names from ``recordings/raw`` on; others write them from root on, or only
    the file's own name.

    Returns:
        A path for each name, missing (NaN) where there is none.

    Raises:
        DataError: if a name is the end of several paths and none of them lies in
            ``recordings/raw``, or if it leads out of the corpus.
    """
    known = set(paths)
    wanted = {name for name in names.unique() if name}
    ends: dict[str, list[str]] = {name: [] for name in wanted}
    for path in sorted(known):
        place = -1
        while True:
            if (end := path[place + 1 :]) in ends:
                ends[end].append(path)
            if (place := path.find("/", place + 1)) < 0:
                break
    meant: dict[str, str] = {}
    for name, found in ends.items():
        if name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{table}: {name!r} leads out of the corpus; expected the end of a path below its root")
        exact = next((path for path in (RAW + name, name) if path in known), None)
        if exact is None and len(found) > 1:
            raise DataError(
                f"{table}: {name!r} may be {found[0]} or {found[1]}; write more of its path into {FILE}, "
                "or set the corpus' root to the folder that is meant"
            )
        if exact or found:
            meant[name] = exact or found[0]
    return pd.Series([meant.get(name) for name in names], index=names.index, dtype="str")


def _read_recordings(path: Path) -> pd.DataFrame:
    table = read_texts(path, (FILE, CHILD))
    if taken := [column for column in (*RESERVED, "wav_path") if column in table]:
        raise DataError(f"{path}: {taken[0]!r} is a name that the project uses; rename the column")
    table = table[table[FILE] != ""]
    if (again := table[FILE].duplicated()).any():
        raise DataError(f"{path}: {FILE} {table[FILE][again].iloc[0]!r} stands in more than one row")
    return table


def _join(found: pd.DataFrame, readable: set[str], table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Files and rows; a row without a file stands for the one that is missing in ``recordings/raw``."""
    meant = find_recordings(table[FILE], readable, path)
    meant = meant.where(meant.notna(), find_recordings(table[FILE], found["wav_path"], path))
    if len(table) and len(found) and meant.isna().all():
        raise DataError(
            f"{path}: none of its {len(table)} recordings is here, e.g. {table[FILE].iloc[0]!r}; expected {FILE} to "
            f"be the end of a path such as {found['wav_path'].iloc[0]!r}"
        )
    table = table.assign(wav_path=meant.where(meant.notna(), RAW + table[FILE]))
    if (again := table["wav_path"].duplicated()).any():
        raise DataError(f"{path}: two of its rows mean {table['wav_path'][again].iloc[0]}")
    recordings = _recordings(found["wav_path"])
    is_other = recordings.isin(set(_recordings(meant.dropna()).dropna())) & ~found["wav_path"].isin(set(meant))
    if is_other.any():
        log.info("%d files are the raw or the converted copy of a recording that is listed already", is_other.sum())
    return found[~is_other].merge(table, on="wav_path", how="outer").fillna("")


def _recordings(paths: pd.Series) -> pd.Series:
    """Which recording a file is of, where ChildProject's folders say it."""
    return paths.str.extract(rf"^(?:{RAW}|{CONVERTED}[^/]+/)(.+)\.[^./]+$")[0]


def _named_by_pattern(paths: pd.Series, pattern: str | None) -> pd.Series:
    """The participant that each path names; an empty text where it names none."""
    if pattern is None:
        return pd.Series("", index=paths.index, dtype="str")
    regex = participant_regex(pattern, "participant_pattern")
    matches = (regex.search(path) for path in paths)
    named = [(match["participant"] or "") if match else "" for match in matches]
    return pd.Series(named, index=paths.index, dtype="str")
