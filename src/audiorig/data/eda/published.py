"""What published datasets have in common: where their files lie, and what one trace of a listener is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiorig.config import CorpusSection, DatasetConfig, DemoEdaCorpus, ListenersCorpus
from audiorig.data.listing import Listing, Problem, list_entries, list_stored
from audiorig.data.object_store import StoredObject
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

DEMO = "demo"  # the one dataset of a generated corpus
UNKNOWN = "unknown"
AUDIO_FOLDERS = {"pmemo2019": "chorus", "hku956": "audio"}
NO_SAMPLES = np.zeros(0, np.float64)
WHY: dict[Problem, str] = {
    "not_regular": "no regular file",
    "permission": "may not be read",
    "bad_name": "a name that no file can have",
    "outside_root": "a link that leads out of the corpus",
    "link_loop": "a link to itself",
    "unreadable_folder": "a folder that cannot be listed",
}


@dataclass(frozen=True)
class Trace:
    """One listener hearing one song once.

    Attributes:
        dataset: its key in the corpus.
        song, subject: ids within the dataset.
        take: which record of that listener and song: of hku956 the number of the record in the
            participant's session (its song_no), else 0.
        eda_path: the file, below the corpus' root.
        column: header of the column, empty if none.
        source_rate_hz: that of the settings, else as the file says, else as published.
        time_rate_hz: what the file itself says; NaN if it says nothing.
        start_sec: time of the first sample.
        play_duration_sec: how long the song was played; NaN if nobody says.
        samples: (T,); NaN where there is no number.
        note: why it could not be read; empty if it could.
    """

    dataset: str
    song: str
    subject: str
    eda_path: str
    take: int = 0
    column: str = ""
    source_rate_hz: float = np.nan
    time_rate_hz: float = np.nan
    start_sec: float = 0.0
    play_duration_sec: float = np.nan
    samples: NDArray[np.float64] = field(default_factory=lambda: NO_SAMPLES, repr=False)
    note: str = ""


def datasets_of(corpus: CorpusSection) -> dict[str, DatasetConfig]:
    """The datasets of a corpus with listeners, by name."""
    match corpus:
        case ListenersCorpus():
            return corpus.datasets
        case DemoEdaCorpus():
            return {DEMO: DatasetConfig(layout="pmemo2019")}
    raise TypeError(f"corpora of the kind {type(corpus).__name__} have no listeners")


def joined(*parts: str) -> str:
    """Folders and a name as one path below root; empty parts are none."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def audio_folder(settings: DatasetConfig) -> str:
    """The folder of a dataset's audio, below the corpus' root."""
    return settings.audio.strip("/") or joined(settings.folder, AUDIO_FOLDERS[settings.layout])


@dataclass(frozen=True)
class DatasetFiles:
    """The CSV files of one dataset, on a disk or in object storage.

    Attributes:
        name: key of the dataset.
        root: of the corpus.
        listing: paths below root, sorted.
        is_generated: whether this project made it, so that nothing about it need be assumed.
    """

    name: str
    settings: DatasetConfig
    root: AudioRoot
    listing: Listing
    is_generated: bool = False

    def path_of(self, *parts: str) -> str:
        """A path below root of something below the dataset's folder."""
        return joined(self.settings.folder, *parts)

    def below(self, *folders: str) -> list[str]:
        """Files and unreadable folders below a folder of the dataset, sorted."""
        prefix = f"{folder}/" if (folder := self.path_of(*folders)) else ""
        return [path for path in self.listing.paths if path.startswith(prefix)]

    def fetched(self, paths: list[str]) -> Iterator[tuple[str, Path | None, str]]:
        """Each path with the file to read, or with why there is none; stored objects are fetched ahead.

        Raises:
            StorageError: if the store cannot give one.
        """
        problems = self.listing.problems
        wanted = (self._object(path) for path in paths if path not in problems)
        files = self.root.fetch(wanted)
        for path in paths:
            if path in problems:
                yield path, None, WHY[problems[path]]
            else:
                yield path, next(files), ""

    def table(self, name: str) -> Path | None:
        """A table of the dataset, fetched if need be; None if it has none."""
        path = self.path_of(name)
        if path not in self.listing.paths or path in self.listing.problems:
            return None
        return next(self.root.fetch([self._object(path)]))

    def _object(self, path: str) -> StoredObject:
        return self.listing.objects.get(path, StoredObject(path))


def list_files(name: str, settings: DatasetConfig, root: AudioRoot, *, is_generated: bool = False) -> DatasetFiles:
    """Look for the CSV files of a dataset.

    Raises:
        DataError: if its folder is not there.
        StorageError: if a store cannot be listed.
    """
    folder = settings.folder.strip("/")
    if root.url is not None:
        found = list_stored(joined_url(root.url, folder), (".csv",))
    elif (root.folder / folder).is_dir():
        found = list_entries(root.folder / folder, (".csv",))
    else:
        raise DataError(
            f"{root.folder / folder}: there is no such folder, which should hold dataset {name!r}; set the corpus' "
            f"root, or datasets.{name}.folder"
        )
    objects = {joined(folder, path): _moved(each, folder) for path, each in found.objects.items()}
    problems = {joined(folder, path): problem for path, problem in found.problems.items()}
    listing = Listing([joined(folder, path) for path in found.paths], problems, objects, found.is_stored)
    return DatasetFiles(name, settings, root, listing, is_generated)


def joined_url(url: str, folder: str) -> str:
    """The address of a folder below an address."""
    return f"{url}/{folder}" if folder else url


def _moved(each: StoredObject, folder: str) -> StoredObject:
    return StoredObject(joined(folder, each.name), each.size, each.etag, each.modified_sec)
