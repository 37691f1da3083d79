"""Songs with the traces of those who heard them: the items of a side of a split.

An item is a song with all of its listeners: without a word about who listens, the best curve under
squared error is the mean of theirs, and the song is encoded once for all of them. What an item holds
is a pure function of (seed, epoch, item) and of the files.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiorig.config import EdaConfig, MfccConfig, SongConfig
from audiorig.data.eda.alignment import align_frames, num_steps
from audiorig.data.eda.batches import SongCollate, SongItem
from audiorig.data.eda.scale import TraceScale
from audiorig.data.eda.trace_store import TraceStore
from audiorig.data.feature_store import FeatureStore
from audiorig.data.shares import read_columns
from audiorig.errors import DataError
from audiorig.randomness import keyed_generator

__all__ = ["SongCollate", "SongDataset", "SongItem"]

Side = Literal["train", "dev", "test"]
Key = tuple[int, int]
COLUMNS = ("trace_id", "dataset", "song_id", "participant_id", "wav_path")
SONGS_ALIKE = 8  # songs that are neighbours by length, among which audio is exchanged


@dataclass(frozen=True)
class Song:
    """A song and some of its traces, S of them."""

    song_id: str
    dataset: str
    wav_path: str
    trace_ids: tuple[str, ...]
    participant_ids: tuple[str, ...]


class SongDataset:
    """The songs of one side of a split.

    Args:
        split: the side's Arrow file, a row for each trace.
        mfcc: shards of the songs' coefficients.
        traces: the three signals of all traces.
        data: longest stretch, grouping, the control with exchanged songs.
        scale: of the traces, fitted to the training side.
        seed: of the run.
        side: train draws a stretch of at most ``max_sec`` for each epoch; dev and test have whole
            songs. Songs are exchanged in train and dev only.

    Raises:
        DataError: if the split has no rows of traces, or a dataset has but one song to exchange.
    """

    def __init__(
        self,
        split: Path,
        mfcc: Sequence[Path],
        traces: Path,
        data: SongConfig,
        audio: MfccConfig,
        eda: EdaConfig,
        scale: TraceScale,
        seed: int,
        *,
        side: Side,
    ) -> None:
        self.split, self.mfcc, self.traces = split, tuple(mfcc), traces
        self.data, self.audio, self.eda, self.scale, self.seed, self.side = data, audio, eda, scale, seed, side
        self.rate_hz = eda.frame_rate_hz(audio)
        self.frames_per_step = max(1, round(audio.frame_rate_hz / self.rate_hz))
        self.max_steps = max(1, num_steps(data.max_sec, self.rate_hz))
        self._open()

    def _open(self) -> None:
        """Files are mapped; only names are read."""
        self._features, self._store = FeatureStore(self.mfcc), TraceStore(self.traces)
        self.songs = list_songs(self.split, is_grouped=self.data.group_songs)
        self._audio = {song.wav_path: song.wav_path for song in self.songs}
        if self.data.permute_songs and self.side != "test":
            self._audio = self._exchanged()

    def __getstate__(self) -> dict[str, object]:
        """Workers map the files themselves."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_") and key != "songs"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self.songs)

    def num_steps(self, item: int) -> int:
        """M of the whole song: until its last listener left, as far as there is audio."""
        song = self.songs[item]
        heard = max(len(self._store.signal(trace_id, self.eda.target)) for trace_id in song.trace_ids)
        return heard if self._audio[song.wav_path] == song.wav_path else min(heard, self._audio_steps(song))

    def item_sec(self) -> float:
        """Mean seconds of an item."""
        longest = self.max_steps if self.side == "train" else None
        lengths = [self.num_steps(item) for item in range(len(self))]
        return float(np.minimum(lengths, longest or max(lengths)).mean() / self.rate_hz)

    def digest(self) -> str:
        """SHA-256 of all that items are made of: coefficients as stored, and the traces before they are scaled."""
        digest = hashlib.sha256()
        for song in self.songs:
            digest.update("\x1f".join((song.song_id, song.wav_path, *song.trace_ids)).encode())
            for trace_id in song.trace_ids:
                digest.update(self._store.signal(trace_id, self.eda.target).tobytes())
        for wav_path in dict.fromkeys(song.wav_path for song in self.songs):
            digest.update(self._features[wav_path]["mfcc"].tobytes())
        return digest.hexdigest()

    def __getitem__(self, key: Key) -> SongItem:
        """The stretch of a song that belongs to (epoch, item).

        Raises:
            DataError: if no trace of the song has a step, or a file does not know the song.
        """
        epoch, item = (int(part) for part in key)
        song, steps = self.songs[item], self.num_steps(item)
        whole = np.full((len(song.trace_ids), steps), np.nan, np.float32)
        for line, trace_id, participant in zip(whole, song.trace_ids, song.participant_ids, strict=True):
            signal = self.scale.apply(self._store.signal(trace_id, self.eda.target), participant)[:steps]
            line[: len(signal)] = signal
        is_heard = np.isfinite(whole)
        if not is_heard.any():
            raise DataError(
                f"{self.traces}: none of the {len(song.trace_ids)} traces of {song.song_id} has a value in {steps} "
                "steps: expected skin conductance; leave them out of the split (checks.exclude of the corpus)"
            )
        start, length = self._stretch(is_heard, epoch, item)
        stop = start + length
        coefficients = self._coefficients(song, steps)[start * self.frames_per_step : stop * self.frames_per_step]
        return SongItem(
            song_id=song.song_id,
            start=start,
            mfcc=np.ascontiguousarray(coefficients, np.float32),
            traces=np.where(is_heard, whole, np.float32(0))[:, start:stop],
            is_heard=is_heard[:, start:stop],
            trace_ids=song.trace_ids,
        )

    def _coefficients(self, song: Song, steps: int) -> NDArray[np.float32]:
        """Of the song that is heard: (M*R, C)."""
        wav_path = self._audio[song.wav_path]
        frames: Any = self._features[wav_path]["mfcc"]
        try:
            return align_frames(frames, self.audio.frame_rate_hz, self.rate_hz, self.frames_per_step, steps)
        except DataError as error:
            raise DataError(f"{wav_path}: {error}") from None

    def _stretch(self, is_heard: NDArray[np.bool_], epoch: int, item: int) -> tuple[int, int]:
        """First step and number of steps; somebody heard some of them."""
        steps = is_heard.shape[1]
        if self.side != "train" or steps <= self.max_steps:
            return 0, steps
        start = int(keyed_generator("stretch", self.seed, epoch, item).integers(steps - self.max_steps + 1))
        if not is_heard[:, start : start + self.max_steps].any():  # a gap of everybody's: as near as can be
            heard = np.flatnonzero(is_heard.any(axis=0))
            nearest = int(heard[np.abs(heard - start).argmin()])
            start = min(nearest, steps - self.max_steps)
        return start, self.max_steps

    # ---------------------------------------------------------- the control

    def _exchanged(self) -> dict[str, str]:
        """The audio that the traces of each song's are told of: another one of about the same length.

        Neighbours by length, a few at a time and of one dataset, pass theirs on in a circle of a
        drawn order: none keeps its own.
        """
        steps: dict[str, dict[str, int]] = {}  # by dataset and file
        for item, song in enumerate(self.songs):
            of_dataset = steps.setdefault(song.dataset, {})
            of_dataset[song.wav_path] = max(of_dataset.get(song.wav_path, 0), self.num_steps(item))
        heard: dict[str, str] = {}
        for dataset, lengths in steps.items():
            if len(lengths) < 2:
                raise DataError(
                    f"{self.split}: data.permute_songs exchanges songs of a dataset, and {dataset!r} has one alone "
                    "there: expected two or more; take a split with more songs on each side"
                )
            for circle in circles(lengths, ("permuted songs", self.seed, self.side, dataset)):
                heard |= dict(zip(circle, [*circle[1:], circle[0]], strict=True))
        return heard

    def _audio_steps(self, song: Song) -> int:
        """Steps that the audio which this song's traces are told of has."""
        frames = len(self._features[self._audio[song.wav_path]]["mfcc"])
        # Frames are centred on multiples of the hop, the last one at the end.
        return max(1, num_steps(max(1, frames - 1) / self.audio.frame_rate_hz, self.rate_hz))


def circles(lengths: Mapping[str, int], key: tuple[str | int, ...]) -> list[list[str]]:
    """Groups of names that are neighbours by length, each in an order that the key decides; none has one member.

    Args:
        lengths: of two names or more.
    """
    by_length = sorted(lengths, key=lambda name: (lengths[name], name))
    groups = np.array_split(np.arange(len(by_length)), max(1, len(by_length) // SONGS_ALIKE))
    generator = keyed_generator(*key)
    return [[by_length[index] for index in generator.permutation(group)] for group in groups]


def list_songs(split: Path, *, is_grouped: bool) -> tuple[Song, ...]:
    """Songs of a side with their traces, in the order of the rows; not grouped, one for each trace.

    Raises:
        DataError: if the side has no rows, or they are not of traces.
    """
    found = read_columns(split, COLUMNS)
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise DataError(
            f"{split}: has no column {', '.join(missing)}: expected a split of listeners' traces; take a corpus of "
            "kind listeners or demo-eda"
        )
    rows = pa.table(found).to_pandas().astype(str)
    if rows.empty:
        raise DataError(f"{split}: holds no trace: expected some on each side; see the excluded traces of the corpus")
    groups: dict[str, list[tuple[str, ...]]] = {}
    for row in rows[list(COLUMNS)].itertuples(index=False, name=None):
        groups.setdefault(row[COLUMNS.index("song_id" if is_grouped else "trace_id")], []).append(row)
    songs = []
    for members in groups.values():
        trace_ids, datasets, song_ids, participants, paths = zip(*members, strict=True)
        songs.append(Song(song_ids[0], datasets[0], paths[0], trace_ids, participants))
    return tuple(songs)
