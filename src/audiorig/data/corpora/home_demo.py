"""The generated homes: long recordings of three voices, near and far, among pauses and noise.

What is said where is known to the millisecond, so that a model which was adapted to such
recordings can be asked who speaks, whether anybody does, and in which language. The same settings
give the same files, byte for byte.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import soundfile
from tqdm import tqdm

from audiorig.data.corpora.demo import Side
from audiorig.data.corpora.generated import in_processes, remove_others
from audiorig.data.corpora.home_scene import Stretch, record_scene
from audiorig.data.corpora.home_voices import Home
from audiorig.files import written_aside

if TYPE_CHECKING:
    from audiorig.config import HomeDemoCorpus

LANGUAGES = ("en", "de", "fr")
# Extra recordings of training homes, as every corpus has some: too loud (kept, with a warning), too
# quiet and cut short (both left out).
Defect = Literal["", "clipped", "near-silent", "truncated"]
DEFECTS: tuple[Defect, ...] = ("clipped", "near-silent", "truncated")
DEFECT_GAIN: dict[Defect, float] = {"clipped": 40.0, "near-silent": 0.01}
DEFECT_MINUTES = 1.0
HELD_SHARE = 0.6  # what is left of the file that was cut
METADATA, ANNOTATIONS = "metadata.csv", "annotations.csv"


@dataclass(frozen=True)
class Recording:
    """All there is to say about one file before it is made."""

    path: str
    home: Home
    minutes: float
    defect: Defect = ""

    @property
    def num_values(self) -> int:
        """What it costs, in values of all channels."""
        return round(60 * self.minutes * self.home.sample_rate_hz) * self.home.channels


@dataclass(frozen=True)
class Metadata:
    """A row of ``metadata.csv``."""

    path: str
    participant_id: str
    side: Side
    language: str
    device: str
    defect: Defect


@dataclass(frozen=True)
class Annotation:
    """A row of ``annotations.csv``, by the names of ChildProject; onset and offset in milliseconds."""

    recording_filename: str
    segment_onset: int
    segment_offset: int
    speaker_type: str
    activity: str
    language: str
    distance: str


def plan_homes(num_participants: int) -> list[Home]:
    """Half of the homes for training, a quarter each for dev and test.

    A third of each side's homes has a 44.1 kHz stereo recorder that writes FLAC, the others 16 kHz
    mono ones, WAV and FLAC in turns. Neither recorder nor format gives away language or side.
    """
    num_held_out = num_participants // 4
    sides: list[tuple[Side, int]] = [
        ("train", num_participants - 2 * num_held_out), ("dev", num_held_out), ("test", num_held_out),
    ]  # fmt: skip
    homes: list[Home] = []
    for turn, (side, num_homes) in enumerate(sides):
        for index in range(num_homes):
            is_stereo = (index + index // 3 + turn) % 3 == 0
            is_flac = is_stereo or (index // 2 + turn) % 2 == 0
            homes.append(
                Home(
                    name=f"home-{len(homes) + 1:02d}",
                    index=index,
                    side=side,
                    language=LANGUAGES[index % len(LANGUAGES)],
                    sample_rate_hz=44_100 if is_stereo else 16_000,
                    channels=2 if is_stereo else 1,
                    extension=".flac" if is_flac else ".wav",
                )
            )
    return homes


def plan_recordings(settings: "HomeDemoCorpus") -> list[Recording]:
    """Every recording of the corpus, sorted by path."""
    homes = plan_homes(settings.num_participants)
    recordings = [
        Recording(f"{home.name}/recording-{number}{home.extension}", home, settings.minutes)
        for home in homes
        for number in range(1, settings.recordings_per_participant + 1)
    ]
    # One home with each recorder, and one more.
    odd = sorted((home for home in homes[:3] if home.side == "train"), key=lambda home: -home.channels)
    for home, defect in zip(odd, DEFECTS, strict=True):
        # WAV: of a cut one the first part can be read, and a decoder says nothing.
        recordings.append(Recording(f"{home.name}/{defect}.wav", home, min(DEFECT_MINUTES, settings.minutes), defect))
    return sorted(recordings, key=lambda recording: recording.path)


def render_recording(recording: Recording, seed: int) -> tuple[npt.NDArray[np.int16], list[Stretch]]:
    """What the recorder writes, and what is to be heard: a function of recording and seed only.

    Returns:
        int16 (T, C), and the stretches in order of time.
    """
    scene, stretches = record_scene(seed, recording.home, recording.path, recording.minutes)
    scene *= DEFECT_GAIN.get(recording.defect, 1.0) * 32768
    np.rint(scene, out=scene)
    return np.clip(scene, -32768, 32767, out=scene).T.astype(np.int16, order="C"), stretches


def synthesize(settings: "HomeDemoCorpus", root: Path, num_workers: int) -> None:
    """Write all recordings below `root`, then ``annotations.csv``, then ``metadata.csv``.

    That table comes last and in one step: where it exists, so does every file that it names.

    Args:
        settings: seed, number of homes, minutes.
        root: folder of the corpus; recordings go to {participant_id}/.
        num_workers: processes that work; one means this process.

    Raises:
        RuntimeError: naming the recording that could not be made.
    """
    recordings = plan_recordings(settings)
    (root / METADATA).unlink(missing_ok=True)
    audio = [path for path in root.glob("home-*/*.*") if path.suffix in (".wav", ".flac")]
    remove_others(root, audio, {recording.path for recording in recordings})
    for recording in recordings:
        (root / recording.path).parent.mkdir(parents=True, exist_ok=True)
    annotations: dict[str, list[Annotation]] = {}
    longest_first = sorted(recordings, key=lambda recording: recording.num_values, reverse=True)
    write = partial(_write_recording, root=root, seed=settings.seed)
    done = in_processes(write, longest_first, num_workers, chunksize=1)
    for path, rows in tqdm(done, total=len(recordings), desc="synthesize", unit="recording"):
        annotations[path] = rows
    _write_table([row for recording in recordings for row in annotations[recording.path]], root / ANNOTATIONS)
    _write_table([describe(recording) for recording in recordings], root / METADATA)


def describe(recording: Recording) -> Metadata:
    """What is known of a recording as a whole."""
    home = recording.home
    device = f"{home.sample_rate_hz}-Hz-{'stereo' if home.channels == 2 else 'mono'}"
    return Metadata(recording.path, home.name, home.side, home.language, device, recording.defect)


def _write_recording(recording: Recording, root: Path, seed: int) -> tuple[str, list[Annotation]]:
    path, rate_hz = root / recording.path, recording.home.sample_rate_hz
    try:
        samples, stretches = render_recording(recording, seed)
        soundfile.write(path, samples, rate_hz, subtype="PCM_16")
        held_ms = 1000 * len(samples) / rate_hz
        if recording.defect == "truncated":
            os.truncate(path, round(HELD_SHARE * path.stat().st_size))
            held_ms *= HELD_SHARE
    except Exception as error:
        raise RuntimeError(f"{recording.path}: {error}") from error
    return recording.path, [
        Annotation(recording.path, *astuple(stretch)) for stretch in stretches if stretch.offset_ms < held_ms - 1
    ]


def _write_table(rows: Sequence[Metadata] | Sequence[Annotation], path: Path) -> None:
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(rows[0])], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
