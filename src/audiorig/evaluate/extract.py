"""From a folder of audio and a trained encoder to a parquet of features, for use elsewhere.

Nothing here depends on how files are batched: a file's features are those that it would get alone,
and the rows stand in the order of the files. Memory is bounded however long a recording is: long
ones are cut (see ``windows``), and rows are written as they come.
"""

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import torch

from audiorig.config import FolderCorpus
from audiorig.data.listing import Listing
from audiorig.data.manifest import assemble_manifest, build_manifest, read_table, scan_corpus
from audiorig.errors import DataError
from audiorig.evaluate.encoding import Reader, encode_all, layers_of
from audiorig.evaluate.feature_rows import ClipRows, Failure, FrameRows, Wanted
from audiorig.evaluate.windows import Geometry
from audiorig.files import written_aside
from audiorig.models.trained import TrainedEncoder, config_digest, weights_digest

EXTENSIONS = (*FolderCorpus.model_fields["extensions"].default, ".aif", ".aiff", ".au", ".caf", ".tar")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extracted:
    """What was done: files and rows written, width of the vectors, files that failed."""

    num_files: int
    num_rows: int
    width: int
    failures: list[Failure]


def find_clips(audio: Path, root: Path | None = None, num_workers: int = 2) -> tuple[pd.DataFrame, Path]:
    """The files to read, with what their headers say, and the folder that their paths are below.

    Args:
        audio: a folder, an audio file, or a manifest or a split's side (parquet).
        root: folder of a parquet's audio; for the others it follows.

    Raises:
        DataError: if there is no audio.
    """
    if audio.suffix == ".parquet":
        if root is None:
            raise DataError(f"{audio}: a table of paths; say with --root which folder they are below")
        table = read_table(audio)
        if missing := [name for name in ("wav_path", "duration_sec") if name not in table]:
            raise DataError(
                f"{audio}: no column {missing[0]!r}; expected a manifest.parquet or a split's train.parquet"
            )
        if table.empty:
            raise DataError(f"{audio}: no rows, so no audio")
        return table.reset_index(drop=True), root
    if not audio.exists():
        raise DataError(f"{audio}: no such file or folder; expected audio, a folder of it, or a manifest")
    if audio.is_dir():
        corpus = FolderCorpus(kind="folder", root=str(audio), extensions=EXTENSIONS)
        try:
            return build_manifest(corpus, audio, num_workers), audio
        except DataError as error:
            raise DataError(f"{error}" if "no audio" not in str(error) else _no_audio(audio)) from None
    corpus = FolderCorpus(kind="folder", root=str(audio.parent), extensions=EXTENSIONS)
    scan = scan_corpus(corpus, audio.parent, Listing([audio.name], {}), 1)
    return assemble_manifest(corpus, audio.parent, [scan]), audio.parent


def _no_audio(folder: Path) -> str:
    return f"{folder}: no audio found; looked for names that end in {', '.join(EXTENSIONS)}"


def extract(model: TrainedEncoder, clips: pd.DataFrame, root: Path, output: Path, wanted: Wanted) -> Extracted:
    """Write the features of all clips that can be read.

    ``output`` gets the columns ``wav_path, duration_sec, embedding`` (clip) or ``wav_path, frame,
    time_sec, embedding`` (frame; ``time_sec`` is the latent's centre). Its schema's metadata say
    what they are. Files that cannot be read are listed beside it in ``*.failed.csv``.

    Raises:
        DataError: if the layer does not exist, or no file can be read.
    """
    geometry, layers = Geometry.of(model), layers_of(model)
    if wanted.layer not in layers.names:
        raise DataError(f"--layer {wanted.layer}: this model has {', '.join(layers.names)}")
    if wanted.max_sec * geometry.latent_hz < 4 * geometry.reach:
        least = 4 * geometry.reach / geometry.latent_hz
        raise DataError(f"--window-sec {wanted.max_sec:g}: windows overlap by what a latent sees; at least {least:.1f}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.nn.Module.to(model, device).eval()
    rows = (ClipRows if wanted.level == "clip" else FrameRows)(layers, geometry, clips, wanted)
    reader = Reader(clips, root, geometry)
    with written_aside(output) as aside:
        with pq.ParquetWriter(aside, rows.schema(_metadata(model, geometry, wanted)), compression="zstd") as writer:
            for windows, encoded in encode_all(model, layers, reader, geometry, wanted):
                for window, result in zip(windows, encoded, strict=True):
                    rows.add(window, result)
                if table := rows.take():
                    writer.write_table(table)
        failures = rows.failures()
        _list_failures(output.with_name(f"{output.stem}.failed.csv"), failures)
        if not rows.num_rows:
            raise DataError(f"none of {len(clips)} files could be read; {failures[0].wav_path}: {failures[0].reason}")
    num_whole = sum(failure.frames_written == 0 for failure in failures)
    return Extracted(len(clips) - num_whole, rows.num_rows, rows.width, failures)


def _metadata(model: TrainedEncoder, geometry: Geometry, wanted: Wanted) -> dict[str, str]:
    facts = {
        "config_digest": config_digest(model),
        "weights_digest": weights_digest(model),
        "level": wanted.level,
        "layer": wanted.layer,
        "pool": wanted.pool if wanted.level == "clip" else "",
        "sample_rate_hz": geometry.sample_rate_hz,
        "frame_hz": geometry.latent_hz,
        "window_sec": wanted.max_sec,
    }
    return {f"audiorig.{name}": str(value) for name, value in facts.items()}


def _list_failures(path: Path, failures: list[Failure]) -> None:
    if not failures:
        path.unlink(missing_ok=True)  # of an earlier call
        return
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["wav_path", "reason", "frames_written"])
        lines.writerows([failure.wav_path, failure.reason, failure.frames_written] for failure in failures)
    log.warning("%d files could not be read, or not to their end: %s", len(failures), path)
