"""Splits of traces: no song, or no subject, or neither, on two sides; and, said aloud, the one that leaks.

A song is heard by several subjects, and a subject hears several songs: whoever divides traces at
random finds both on every side. Songs with the same audio are one song, whatever their ids are.
"""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from audiorig.config import SIDES, SplitConfig
from audiorig.config_checks import near
from audiorig.data.split import check_sides, drawn_sides, require_columns
from audiorig.errors import ConfigError, DataError

GROUPS = ("song", "subject", "both", "ordered")
# Traces of a dataset that may hang together by songs and subjects before both are divided crosswise.
LARGEST_PART = 0.5
# Why a kept trace is on no side.
CROSS, NO_DATASET = "cross", "dataset"


class TraceSplit(NamedTuple):
    """A division of traces.

    Attributes:
        sides: the traces of train, dev and test, by trace_id.
        dropped: kept traces of no side, with a column ``reason``: ``cross``, song and subject are on
            different sides; ``dataset``, the side takes none of its dataset.
        method: whole groups; parts, which share no song or subject; crossed; or ordered.
        num_excluded: traces that their quality leaves out.
        num_same_audio: songs whose audio is that of another id.
    """

    sides: dict[str, pd.DataFrame]
    dropped: pd.DataFrame
    method: Literal["groups", "parts", "crossed", "ordered"]
    num_excluded: int
    num_same_audio: int


def split_traces(
    index: pd.DataFrame,
    quality: pd.DataFrame,
    settings: SplitConfig,
    name: str,
    manifest: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """The sides of ``divide_traces``."""
    return divide_traces(index, quality, settings, name, manifest).sides


def divide_traces(
    index: pd.DataFrame,
    quality: pd.DataFrame,
    settings: SplitConfig,
    name: str,
    manifest: pd.DataFrame | None = None,
) -> TraceSplit:
    """Divide the traces that are kept.

    Args:
        index: a row per trace.
        quality: ``trace_id`` and ``is_kept`` of the same traces.
        manifest: of the songs' audio; where it has digests, equal ones are one song.

    Returns:
        For each side the index' rows with ``group_id`` and ``duration_sec``, of the trace.

    Raises:
        ConfigError: if the settings ask for what only files have.
        DataError: if no trace is kept, or a side has too few groups.
    """
    _check_settings(index, settings, name)
    rows = _kept(index, quality, name)
    require_columns(rows, settings, f"split {name!r}: the index of traces")
    song = same_audio(rows, manifest)
    settings = settings.model_copy(update={"stratify": settings.stratify or "dataset"})
    method: Literal["groups", "parts", "crossed", "ordered"] = "groups"
    match settings.group:
        case "song":
            rows["group_id"] = song
            side = _dealt(rows, settings)
        case "subject":
            rows["group_id"] = rows["participant_id"]
            side = _dealt(rows, settings)
        case "both":
            method, rows["group_id"], side = _both(rows, song, settings)
        case _:
            method, rows["group_id"] = "ordered", rows["trace_id"]
            side = _in_order(rows, settings)
    allowed = rows["dataset"].map(lambda dataset: _sides_of(dataset, settings))
    taken = np.array([which in sides for which, sides in zip(side, allowed, strict=True)], dtype=bool)
    reason = side.where(side == CROSS, NO_DATASET)
    sides = {which: rows[taken & (side == which)].reset_index(drop=True) for which in SIDES}
    dropped = rows[~taken].assign(reason=reason[~taken]).reset_index(drop=True)
    _check(sides, settings, name, method)
    num_same = int(rows["song_id"].nunique() - song.nunique())
    return TraceSplit(sides, dropped, method, len(index) - len(rows), num_same)


def same_audio(rows: pd.DataFrame, manifest: pd.DataFrame | None = None) -> pd.Series:
    """The song of each trace: of songs with the same file or the same digest, the id that comes first."""
    audio = rows["wav_path"].fillna("").astype(str)
    keys = [("file:" + audio).where(audio != "")]
    if manifest is not None and "sha1" in manifest:
        digests = manifest.drop_duplicates("wav_path").set_index("wav_path")["sha1"].dropna()
        keys.append("sha1:" + audio.map(digests).astype("object"))
    pairs = pd.concat([pd.DataFrame({"song": rows["song_id"], "key": key}) for key in keys]).dropna().drop_duplicates()
    part = _parts(pairs["song"], pairs["key"])
    first = pairs["song"].groupby(part.to_numpy()).min()
    owner = dict(zip(pairs["song"], first[part.to_numpy()], strict=True))
    return rows["song_id"].map(lambda song: owner.get(song, song)).astype(rows["song_id"].dtype)


def _parts(left: pd.Series, right: pd.Series) -> pd.Series:
    """For each pair a number that it has in common with the pairs it hangs together with."""
    (lefts, left_ids), (rights, right_ids) = pd.factorize(left), pd.factorize(right)
    size = len(left_ids) + len(right_ids)
    graph = scipy.sparse.coo_array((np.ones(len(lefts)), (lefts, rights + len(left_ids))), shape=(size, size))
    _, numbers = connected_components(graph, directed=False)
    return pd.Series(numbers[lefts], index=left.index)


def _both(
    rows: pd.DataFrame, song: pd.Series, settings: SplitConfig
) -> tuple[Literal["parts", "crossed"], pd.Series, pd.Series]:
    """Parts that share neither songs nor subjects, if there are such; else songs and subjects each for themselves."""
    part = _parts(song, rows["participant_id"])
    largest = part.groupby(rows["dataset"]).agg(lambda numbers: numbers.value_counts().iloc[0] / len(numbers))
    if largest.max() <= LARGEST_PART and part.nunique() >= len(SIDES) * settings.min_groups:
        group = song.groupby(part).transform("min")
        return "parts", group, _dealt(rows.assign(group_id=group), settings)
    of_song = _dealt(rows.assign(group_id=song), settings)
    of_subject = _dealt(rows.assign(group_id=rows["participant_id"]), settings)
    return "crossed", song, of_song.where(of_song == of_subject, CROSS)


def _dealt(rows: pd.DataFrame, settings: SplitConfig) -> pd.Series:
    """The side of each trace, by groups; groups are dealt to those sides that take all of their datasets."""
    found = rows["dataset"].map(lambda dataset: _sides_of(dataset, settings))
    choices = found.groupby(rows["group_id"]).agg(_common)
    choice = rows["group_id"].map(choices)
    side = pd.Series("", index=rows.index)
    for sides in sorted(set(choice)):
        part = rows[choice == sides]
        side[part.index] = drawn_sides(part, settings.model_copy(update={"shares": _shares(sides, settings)}))
    return side


def _sides_of(dataset: str, settings: SplitConfig) -> tuple[str, ...]:
    """Sides that take traces of a dataset."""
    named = {str(side): names for side, names in settings.datasets.items()}
    return tuple(side for side in SIDES if side not in named or dataset in named[side])


def _common(found: pd.Series) -> tuple[str, ...]:
    """Sides that take all datasets of a group; if there are none, the last that takes one: what is tested is kept."""
    choices = set(found)
    everywhere = tuple(side for side in SIDES if all(side in sides for sides in choices))
    return everywhere or tuple(side for side in SIDES if any(side in sides for sides in choices))[-1:]


def _shares(sides: tuple[str, ...], settings: SplitConfig) -> tuple[float, ...]:
    """Shares of the three sides if only some of them take anything: the others' go to these."""
    shares = [share * (side in sides) for side, share in zip(SIDES, settings.shares, strict=True)]
    if sum(shares) == 0:
        shares = [float(side in sides) for side in SIDES]
    return tuple(share / sum(shares) for share in shares) if sum(shares) else settings.shares


def _in_order(rows: pd.DataFrame, settings: SplitConfig) -> pd.Series:
    """Of each dataset's traces, by subject and then by file, the first are for training, the last for the test."""
    side = pd.Series("", index=rows.index)
    for dataset, part in rows.sort_values(["participant_id", "eda_path", "trace_id"]).groupby("dataset", sort=True):
        ends = np.cumsum(_shares(_sides_of(str(dataset), settings), settings))
        place = (np.arange(len(part)) + 0.5) / len(part)
        side[part.index] = np.array(SIDES)[np.minimum(np.searchsorted(ends, place), len(SIDES) - 1)]
    return side


def _kept(index: pd.DataFrame, quality: pd.DataFrame, name: str) -> pd.DataFrame:
    """Traces that quality keeps, by trace_id."""
    if len(index) != len(quality) or set(index["trace_id"]) != set(quality["trace_id"]):
        raise DataError(
            f"split {name!r}: the index has {len(index)} traces and their quality {len(quality)}, and they are not "
            "the same: make quality.parquet again"
        )
    is_kept = index["trace_id"].map(quality.set_index("trace_id")["is_kept"]).astype(bool)
    if not is_kept.any():
        raise DataError(
            f"split {name!r}: none of {len(index)} traces is kept; traces/excluded.csv says why, and the corpus' "
            "checks.exclude what leaves a trace out"
        )
    rows = index[is_kept].sort_values("trace_id").reset_index(drop=True)
    return rows.assign(duration_sec=rows["num_samples"] / rows["source_rate_hz"])


def _check_settings(index: pd.DataFrame, settings: SplitConfig, name: str) -> None:
    if settings.group not in GROUPS:
        raise ConfigError(
            f"split {name!r}: group is {settings.group!r}, which only files have; expected {' or '.join(GROUPS)} for a "
            "corpus with listeners"
        )
    given = {"column": settings.column, "copies": settings.copies, "exclude_reasons": settings.exclude_reasons}
    if of_files := [key for key, value in given.items() if value]:
        raise ConfigError(
            f"split {name!r}: {of_files[0]} is for files, not for traces: take it away (which traces are left out is "
            "said by the corpus' checks.exclude)"
        )
    known = set(index["dataset"])
    for side, datasets in settings.datasets.items():
        for dataset in datasets:
            if dataset not in known:
                raise ConfigError(
                    f"split {name!r}: datasets.{side} names {dataset!r}, of which the corpus has no traces"
                    f"{near(dataset, known)}"
                )


def _check(sides: dict[str, pd.DataFrame], settings: SplitConfig, name: str, method: str) -> None:
    """What the split promises, and that no side is too small."""
    check_sides(sides, settings, name)
    if settings.group in ("song", "both"):
        assert not num_shared(sides, "song_id"), f"split {name!r}: a song is on two sides"
    if settings.group in ("subject", "both"):
        assert not num_shared(sides, "participant_id"), f"split {name!r}: a subject is on two sides"
    for side, rows in sides.items():
        if method == "crossed" and (found := rows["participant_id"].nunique()) < settings.min_groups:
            raise DataError(
                f"split {name!r}: {side} has traces of {found} subjects, expected at least {settings.min_groups}; "
                f"give it a larger share, or set splits.{name}.min_groups if that is meant"
            )


def num_shared(sides: dict[str, pd.DataFrame], column: str) -> int:
    """Values that are on more than one side."""
    values = pd.concat([rows[column].drop_duplicates() for rows in sides.values()])
    return int((values.value_counts() > 1).sum())
