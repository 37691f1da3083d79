"""What each published layout has to say; a further layout is a module and a case in each function here."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from audiorig.data.eda import hku956, pmemo
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.published import DatasetFiles, Trace

SongOf = Callable[[str], str]


def read_traces(files: DatasetFiles, assumptions: Assumptions) -> Iterator[Trace]:
    """The traces of one dataset, with one file in memory at a time.

    Raises:
        DataError: if there is none.
        StorageError: if a file cannot be fetched.
    """
    match files.settings.layout:
        case "pmemo2019":
            return pmemo.read_traces(files, assumptions)
        case "hku956":
            return hku956.read_traces(files, assumptions)


def song_names(files: DatasetFiles, assumptions: Assumptions) -> SongOf:
    """The rule by which an audio file, by its path, is a song of a dataset; an empty text where it is none.

    Raises:
        DataError: if the dataset's table of songs cannot be read.
        StorageError: if it cannot be fetched.
    """
    match files.settings.layout:
        case "pmemo2019":
            return pmemo.SongNames(files, assumptions).song_of
        case "hku956":
            return lambda path: PurePosixPath(path).stem


def audio_links(files: DatasetFiles) -> dict[str, str]:
    """Where the audio of songs can be had, by song, if the dataset says so."""
    match files.settings.layout:
        case "pmemo2019":
            return {}
        case "hku956":
            return hku956.read_links(files)
