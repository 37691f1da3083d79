"""Corpora: one module each, from a folder to the rows of a manifest."""

from pathlib import Path

import pandas as pd

from audiorig.config import CorpusSection, DemoCorpus, FolderCorpus
from audiorig.data.corpora import folder


def list_clips(corpus: CorpusSection, root: Path) -> pd.DataFrame:
    """The audio files of a corpus, and what is known of them.

    Returns:
        A row per file: ``wav_path`` (below root), ``participant_id``, ``recording_id``, then
        the corpus' own columns. Nothing has been opened yet.
    """
    match corpus:
        case FolderCorpus():
            return folder.list_clips(corpus, root)
        case DemoCorpus():
            made = FolderCorpus(kind="folder", root=str(root), metadata="metadata.csv")
            return folder.list_clips(made, root)
    raise TypeError(f"no module lists corpora of the kind {type(corpus).__name__}")
