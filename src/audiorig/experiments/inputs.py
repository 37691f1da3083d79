"""The files that a training reads, whatever its experiment."""

from dataclasses import dataclass
from pathlib import Path

from audiorig.config import TrainConfig
from audiorig.data.storage import AudioRoot
from audiorig.files import file_digest


@dataclass(frozen=True)
class Inputs:
    """What a run is trained from. What its experiment does not ask for is left empty.

    Attributes:
        split: folder of the split (train.arrow, dev.arrow).
        root: folder of the corpus' audio, or of the copies of it.
        folder: the run's folder, for logs.
        statistics: per-bin statistics of the training side.
        pitch: shards of measured pitch.
        teacher: shards of a teacher's features.
        reduction: scale and axes of the teacher's features.
        pretrained: folder of a network: the one to go on from or to tune, or a teacher that is asked live.
        checkpoint: a bare file of weights that takes the place of the network's own.
        audio: where the corpus' audio lies, for experiments that read it from object storage too.
        mfcc: shards of the songs' coefficients.
        traces: listeners' traces at the predicted rate.
        is_private: no audio, name or path of the corpus may leave the project.
    """

    split: Path
    root: Path
    folder: Path
    statistics: Path | None = None
    pitch: tuple[Path, ...] = ()
    teacher: tuple[Path, ...] = ()
    reduction: Path | None = None
    pretrained: Path | None = None
    checkpoint: Path | None = None
    audio: AudioRoot | None = None
    mfcc: tuple[Path, ...] = ()
    traces: Path | None = None
    is_private: bool = False

    def split_digests(self, settings: TrainConfig) -> dict[str, str]:
        """For a run's fingerprint: of the side that is learnt from, and of dev where the result follows it."""
        digests = {"split_sha256": file_digest(self.split / "train.parquet")}
        return digests | ({"dev_sha256": file_digest(self.split / "dev.parquet")} if settings.follows_dev else {})
