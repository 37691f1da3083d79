"""Corpora: one module each, from what lies in a folder to the rows of a manifest."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from audiorig.config import (
    CorpusSection,
    CriesCorpus,
    DemoCorpus,
    DemoCriesCorpus,
    DemoEdaCorpus,
    DemoRatingsCorpus,
    EmiliaCorpus,
    FolderCorpus,
    HomeCorpus,
    HomeDemoCorpus,
    ListenersCorpus,
)
from audiorig.data.corpora.cries import describe_clips as describe_cries
from audiorig.data.corpora.emilia import describe_clips as describe_emilia
from audiorig.data.corpora.folder import describe_clips as describe_folder
from audiorig.data.corpora.home import describe_clips as describe_home
from audiorig.data.corpora.listeners import describe_clips as describe_songs
from audiorig.data.corpora.listeners import folders as song_folders


def audio_extensions(corpus: CorpusSection) -> tuple[str, ...]:
    """What the names of a corpus' audio end with; ``.tar`` are archives of such files."""
    match corpus:
        case FolderCorpus() | EmiliaCorpus() | HomeCorpus() | CriesCorpus() | ListenersCorpus():
            return corpus.extensions
        case DemoCorpus() | DemoRatingsCorpus() | DemoCriesCorpus() | DemoEdaCorpus():
            return (".wav",)
        case HomeDemoCorpus():
            return (".wav", ".flac")
    raise _unknown(corpus)


def audio_folders(corpus: CorpusSection) -> tuple[str, ...] | None:
    """Folders below the root that alone hold the corpus' audio; None for all of it."""
    return song_folders(corpus) if isinstance(corpus, ListenersCorpus) else None


def has_sidecars(corpus: CorpusSection) -> bool:
    """Whether a JSON file of the same stem says something about a clip."""
    return isinstance(corpus, EmiliaCorpus)


def describe_clips(corpus: CorpusSection, root: Path, scan: pa.Table) -> pd.DataFrame:
    """What is known of the files of a scan.

    Returns:
        A row per file, also of files that are known and absent: ``wav_path`` (below root),
        ``participant_id``, ``recording_id``, then the corpus' own columns.
    """
    match corpus:
        case FolderCorpus():
            return describe_folder(corpus, root, scan)
        case EmiliaCorpus():
            return describe_emilia(corpus, root, scan)
        case HomeCorpus():
            return describe_home(corpus, root, scan)
        case CriesCorpus():
            return describe_cries(corpus, scan)
        case ListenersCorpus() | DemoEdaCorpus():
            return describe_songs(corpus, root, scan)
        case DemoCorpus() | HomeDemoCorpus() | DemoRatingsCorpus() | DemoCriesCorpus():
            made = FolderCorpus(kind="folder", root=str(root), metadata="metadata.csv")
            return describe_folder(made, root, scan)
    raise _unknown(corpus)


def _unknown(corpus: CorpusSection) -> TypeError:
    return TypeError(f"no module lists corpora of the kind {type(corpus).__name__}")
