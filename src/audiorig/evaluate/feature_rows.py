"""What becomes of encoded windows: a row per clip, or a row per frame, and the list of what failed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from audiorig.evaluate.embed import ALL_BLOCKS, LAST
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.windows import Geometry, Window

Encoded = np.ndarray | str  # frames that are kept (n, K), or why there are none


@dataclass(frozen=True)
class Wanted:
    """Which features.

    Attributes:
        level: clip, a row per file; frame, a row per latent.
        layer: final (after the last norm), block-1 ..., or all, the blocks side by side.
        pool: how a clip's frames become one vector.
        max_sec: longer files are encoded in windows.
    """

    level: Literal["clip", "frame"] = "clip"
    layer: str = LAST
    pool: Literal["mean", "mean+std"] = "mean"
    batch_size: int = 16
    max_sec: float = 60.0


@dataclass(frozen=True)
class Failure:
    """A file that could not be read, or not to its end; what came before is in the features."""

    wav_path: str
    reason: str
    frames_written: int


@dataclass(frozen=True)
class Layers:
    """What an encoder gives: its blocks by name, and floats of a latent in each."""

    blocks: tuple[str, ...]
    width: int

    @property
    def names(self) -> list[str]:
        """What can be asked for."""
        return [LAST, ALL_BLOCKS, *self.blocks]

    def side_by_side(self, layer: str) -> int:
        """Blocks that a layer consists of."""
        return len(self.blocks) if layer == ALL_BLOCKS else 1


class _Rows(ABC):
    """Collects what becomes a row group; a file is given up at its first window that fails."""

    def __init__(self, layers: Layers, geometry: Geometry, clips: pd.DataFrame, wanted: Wanted) -> None:
        self.geometry, self.wanted = geometry, wanted
        self.paths = clips["wav_path"].astype(str).tolist()
        self.seconds = pd.to_numeric(clips["duration_sec"]).to_numpy(np.float64, na_value=np.nan)
        self.num_rows = 0
        self.width = layers.width * layers.side_by_side(wanted.layer)
        self._reasons: dict[int, str] = {}
        self._written: dict[int, int] = {}

    def add(self, window: Window, result: Encoded) -> None:
        if window.file in self._reasons:
            return
        if isinstance(result, str):
            self._reasons[window.file] = result
            self.drop(window.file)
        else:
            self.add_frames(window, result)

    def failures(self) -> list[Failure]:
        return [Failure(self.paths[file], reason, self._written.get(file, 0)) for file, reason in self._reasons.items()]

    @abstractmethod
    def drop(self, file: int) -> None:
        """Forget what is not yet written of a file."""

    @abstractmethod
    def add_frames(self, window: Window, frames: np.ndarray) -> None:
        """Take in the frames (N, K) of a window."""


class ClipRows(_Rows):
    """A row per file: its frames are summed up window by window."""

    def __init__(self, layers: Layers, geometry: Geometry, clips: pd.DataFrame, wanted: Wanted) -> None:
        super().__init__(layers, geometry, clips, wanted)
        self.width *= 2 if wanted.pool == "mean+std" else 1
        self._num_layers = layers.side_by_side(wanted.layer)
        self._sums: tuple[int, Floats, Floats] | None = None
        self._done: list[tuple[int, np.ndarray]] = []

    def schema(self, metadata: dict[str, str]) -> pa.Schema:
        embedding = pa.list_(pa.float32(), self.width)
        self._schema = pa.schema(
            [("wav_path", pa.string()), ("duration_sec", pa.float64()), ("embedding", embedding)], metadata
        )
        return self._schema

    def drop(self, file: int) -> None:
        self._sums = None

    def add_frames(self, window: Window, frames: np.ndarray) -> None:
        exact = frames.astype(np.float64)
        count, total, squares = self._sums or (0, 0.0, 0.0)
        self._sums = (count + len(exact), total + exact.sum(0), squares + (exact**2).sum(0))
        if window.is_last:
            self._done.append((window.file, self._pool(*self._sums)))
            self._sums = None

    def _pool(self, count: int, total: Floats, squares: Floats) -> np.ndarray:
        mean = total / count
        if self.wanted.pool == "mean":
            return mean.astype(np.float32)
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        # Layer by layer, as the probes have it: mean and deviation of the first block, of the second, ...
        return np.stack([mean, deviation]).reshape(2, self._num_layers, -1).swapaxes(0, 1).ravel().astype(np.float32)

    def take(self) -> pa.Table | None:
        if not self._done:
            return None
        files, vectors = zip(*self._done, strict=True)
        self._done = []
        self.num_rows += len(files)
        columns = [
            pa.array([self.paths[file] for file in files]),
            pa.array(self.seconds[list(files)], pa.float64(), from_pandas=True),
            pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(vectors)), self.width),
        ]
        return pa.table(columns, schema=self._schema)


class FrameRows(_Rows):
    """A row per latent: what a window gives is written, and forgotten."""

    def __init__(self, layers: Layers, geometry: Geometry, clips: pd.DataFrame, wanted: Wanted) -> None:
        super().__init__(layers, geometry, clips, wanted)
        self._parts: list[tuple[int, int, np.ndarray]] = []

    def schema(self, metadata: dict[str, str]) -> pa.Schema:
        self._schema = pa.schema(
            [
                ("wav_path", pa.dictionary(pa.int32(), pa.string())),
                ("frame", pa.int64()),
                ("time_sec", pa.float64()),
                ("embedding", pa.list_(pa.float32(), self.width)),
            ],
            metadata,
        )
        return self._schema

    def drop(self, file: int) -> None:
        """What came before the trouble stays; the list of failures says how much that is."""

    def add_frames(self, window: Window, frames: np.ndarray) -> None:
        self._parts.append((window.file, window.first, frames))
        self._written[window.file] = self._written.get(window.file, 0) + len(frames)

    def take(self) -> pa.Table | None:
        if not self._parts:
            return None
        numbers = np.concatenate([first + np.arange(len(frames)) for _, first, frames in self._parts])
        files = np.concatenate([np.full(len(frames), file) for file, _, frames in self._parts])
        names, index = np.unique(files, return_inverse=True)
        vectors = np.concatenate([frames for _, _, frames in self._parts])
        self._parts = []
        self.num_rows += len(numbers)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), [self.paths[file] for file in names]),
            pa.array(numbers, pa.int64()),
            pa.array(self.geometry.centres_sec(numbers)),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.width),
        ]
        return pa.table(columns, schema=self._schema)
