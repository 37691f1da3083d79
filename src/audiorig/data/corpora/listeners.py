"""Songs of published datasets with listeners: which song of which dataset an audio file is."""

import logging
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from audiorig.config import CorpusSection
from audiorig.config_stages import corpus_url
from audiorig.data.corpora.folder import UNKNOWN, identify
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.layouts import song_names
from audiorig.data.eda.published import audio_folder, datasets_of, joined, list_files
from audiorig.data.storage import ETAG, AudioRoot
from audiorig.errors import DataError

log = logging.getLogger(__name__)


def folders(corpus: CorpusSection) -> tuple[str, ...]:
    """Where the datasets' audio lies below the root; nothing else there is listed."""
    return tuple(sorted({audio_folder(settings) for settings in datasets_of(corpus).values()}))


def describe_clips(corpus: CorpusSection, root: Path, scan: pa.Table) -> pd.DataFrame:
    """The song that each file of a scan is.

    A file outside of the datasets' folders of audio, or one that is no song of its dataset, keeps its
    row, with an empty ``song_id``; how many there are is logged.

    Returns:
        ``wav_path``, ``participant_id`` (unknown: it is of those who hear a song), ``recording_id``,
        ``dataset`` (its name), ``song_id`` (``{dataset}/{id}``).

    Raises:
        DataError: if there is no audio at all, or a dataset's table of songs cannot be read.
        StorageError: if it cannot be fetched.
    """
    datasets = datasets_of(corpus)
    # A scan of stored objects has their states: then the tables lie in the store too.
    where = AudioRoot(root, corpus_url("", corpus) if ETAG in scan.column_names else None)
    folders = {audio_folder(settings): name for name, settings in datasets.items()}
    assumptions = Assumptions()
    song_of = {name: song_names(list_files(name, settings, where), assumptions) for name, settings in datasets.items()}
    paths = [path for path in scan["wav_path"].to_pylist() if path]
    if not paths:
        raise DataError(
            f"{where}: no audio below {' or '.join(sorted(folders))}; expected a file for each song there, e.g. "
            "{song}.mp3 (HKU956 itself has links alone, in 2. original_song_audio.csv)"
        )
    rows = []
    for path in paths:
        name = _dataset_of(path, folders)
        song = song_of[name](path) if name else ""
        rows.append((path, UNKNOWN, name, joined(name, song) if song else ""))
    table = pd.DataFrame(rows, columns=["wav_path", "participant_id", "dataset", "song_id"], dtype="str")
    outside = table.loc[table["song_id"] == "", "wav_path"]
    if len(outside):
        log.warning(
            "%d of %d audio files are no song of a dataset, e.g. %s: expected them below %s",
            len(outside), len(table), outside.iloc[0], " or ".join(sorted(folders)),
        )  # fmt: skip
    return identify(table)


def _dataset_of(path: str, folders: dict[str, str]) -> str:
    """The dataset whose folder of audio a file lies in, the innermost one if several; empty if none."""
    for parent in PurePosixPath(path).parents:
        name = folders.get("" if str(parent) == "." else str(parent))
        if name is not None:
            return name
    return ""
