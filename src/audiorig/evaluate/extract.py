"""From a folder of audio and a trained encoder to a parquet of features, for use elsewhere.

Nothing here depends on how files are batched: a file's features are those that it would get alone,
and the rows stand in the order of the files. Memory is bounded however long a recording is: long
ones are cut (see ``windows``), and rows are written as they come.
"""

import csv
import logging
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from audiorig.config import FolderCorpus
from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.listing import Listing
from audiorig.data.manifest import assemble_manifest, build_manifest, read_table, scan_corpus
from audiorig.data.reasons import MEANINGS
from audiorig.errors import DataError
from audiorig.evaluate.embed import ALL_BLOCKS, LAST
from audiorig.evaluate.feature_rows import ClipRows, Encoded, Failure, FrameRows, Wanted, latent_width
from audiorig.evaluate.windows import Geometry, Window, cut
from audiorig.files import written_aside
from audiorig.models.encoder import PatchEncoder
from audiorig.models.outputs import EncoderOutput
from audiorig.models.trained import config_digest, weights_digest
from audiorig.randomness import random_state_fence

EXTENSIONS = (*FolderCorpus.model_fields["extensions"].default, ".aif", ".aiff", ".au", ".caf", ".tar")
MAX_BATCH_SEC = 120.0  # audio that is encoded at once: with base, a gigabyte
CHUNK_WINDOWS = 1024  # windows that are sorted by length and written together, ...
CHUNK_FLOATS = 2**25  # ... but fewer if their frames would fill more than 128 MB

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


def layer_names(model: PatchEncoder) -> list[str]:
    """What can be asked for."""
    return [LAST, ALL_BLOCKS, *(f"block-{number}" for number in range(1, len(model.blocks) + 1))]


def extract(model: PatchEncoder, clips: pd.DataFrame, root: Path, output: Path, wanted: Wanted) -> Extracted:
    """Write the features of all clips that can be read.

    ``output`` gets the columns ``wav_path, duration_sec, embedding`` (clip) or ``wav_path, frame,
    time_sec, embedding`` (frame; ``time_sec`` is the latent's centre). Its schema's metadata say
    what they are. Files that cannot be read are listed beside it in ``*.failed.csv``.

    Raises:
        DataError: if the layer does not exist, or no file can be read.
    """
    geometry = Geometry.of(model)
    if wanted.layer not in (names := layer_names(model)):
        raise DataError(f"--layer {wanted.layer}: this model has {', '.join(names)}")
    if wanted.max_sec * geometry.latent_hz < 4 * geometry.reach:
        least = 4 * geometry.reach / geometry.latent_hz
        raise DataError(f"--window-sec {wanted.max_sec:g}: windows overlap by what a latent sees; at least {least:.1f}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.nn.Module.to(model, device).eval()
    rows = ClipRows(model, clips, wanted) if wanted.level == "clip" else FrameRows(model, clips, wanted)
    reader = _Reader(clips, root, geometry)
    with written_aside(output) as aside:
        with pq.ParquetWriter(aside, rows.schema(_metadata(model, geometry, wanted)), compression="zstd") as writer:
            for windows, encoded in _encode_all(model, reader, geometry, wanted):
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


def _metadata(model: PatchEncoder, geometry: Geometry, wanted: Wanted) -> dict[str, str]:
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


# ------------------------------------------------------------------------------ encoding


def _encode_all(
    model: PatchEncoder, reader: "_Reader", geometry: Geometry, wanted: Wanted
) -> Iterator[tuple[list[Window], list[Encoded]]]:
    """Chunk by chunk: windows in order, and what became of them."""
    total = float(reader.seconds.sum())
    with (
        random_state_fence(),
        torch.no_grad(),
        tqdm(total=math.ceil(total), desc="embed", unit="s of audio", unit_scale=True, mininterval=1) as bar,
        ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="read") as pool,
    ):
        for chunk in _chunks(reader, geometry, wanted, latent_width(model, wanted)):
            encoded: list[Encoded] = [""] * len(chunk)
            batches = list(_batches(chunk, wanted.batch_size, geometry.sample_rate_hz))
            coming: list[list[Future[Samples | str]]] = []
            for number, batch in enumerate(batches):
                # One batch is read ahead while the encoder works.
                for other in batches[len(coming) : number + 2]:
                    coming.append([pool.submit(reader.read, chunk[index]) for index in other])
                read = [future.result() for future in coming[number]]
                coming[number] = []
                for index, result in zip(batch, _encode(model, read, wanted.layer), strict=True):
                    encoded[index] = _kept(chunk[index], result)
                bar.update(sum(geometry.new_sec(chunk[index]) for index in batch))
            yield chunk, encoded


def _chunks(reader: "_Reader", geometry: Geometry, wanted: Wanted, width: int) -> Iterator[list[Window]]:
    chunk: list[Window] = []
    floats = 0
    for file, num_samples in enumerate(reader.num_samples):
        for window in cut(file, int(num_samples), geometry, wanted.max_sec):
            chunk.append(window)
            floats += geometry.num_latents(window.expected) * width
            if len(chunk) >= CHUNK_WINDOWS or floats >= CHUNK_FLOATS:
                yield chunk
                chunk, floats = [], 0
    if chunk:
        yield chunk


def _batches(chunk: list[Window], batch_size: int, rate_hz: int) -> Iterator[list[int]]:
    """Windows of like length, by their place in the chunk; the longest first, as memory then fails at once."""
    order = sorted(range(len(chunk)), key=lambda index: -chunk[index].expected)
    batch: list[int] = []
    for index in order:
        longest = chunk[batch[0]].expected if batch else 0
        if batch and (len(batch) >= batch_size or (len(batch) + 1) * longest > MAX_BATCH_SEC * rate_hz):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _encode(model: PatchEncoder, read: list[Samples | str], layer: str) -> list[Encoded]:
    """The real frames (n, K) of each waveform."""
    waveforms = [torch.from_numpy(samples) for samples in read if not isinstance(samples, str)]
    if not waveforms:
        return [*read]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    output = model.encode(padded.to(model.device), lengths.to(model.device))
    frames = select_layer(output, layer).float().cpu().numpy()
    counts = iter((~output.is_padding).sum(1).tolist())
    rows = iter(frames)
    return [samples if isinstance(samples, str) else next(rows)[: next(counts)] for samples in read]


def select_layer(output: EncoderOutput, layer: str) -> torch.Tensor:
    """Frames (B, N, K) of a layer."""
    if layer == LAST:
        return output.features
    if layer == ALL_BLOCKS:
        return torch.cat(list(output.layers), dim=-1)
    return output.layers[int(layer.removeprefix("block-")) - 1]


def _kept(window: Window, frames: Encoded) -> Encoded:
    if isinstance(frames, str):
        return frames
    return frames[window.skip :] if window.is_last else frames[window.skip : window.skip + window.keep]


class _Reader:
    """Reads windows of the clips, in any thread; a failure is a text."""

    def __init__(self, clips: pd.DataFrame, root: Path, geometry: Geometry) -> None:
        self.root, self.geometry = root, geometry
        self.rows: list[dict[str, Any]] = clips.to_dict("records")  # type: ignore[assignment]
        self.seconds = pd.to_numeric(clips["duration_sec"]).fillna(0).to_numpy(np.float64)
        self.num_samples = np.floor(self.seconds * geometry.sample_rate_hz + 1e-6).astype(np.int64)

    def read(self, window: Window) -> Samples | str:
        row, rate = self.rows[window.file], self.geometry.sample_rate_hz
        problem = row.get("problem")
        if isinstance(problem, str) and problem:
            return MEANINGS[problem].when if problem in MEANINGS else problem
        try:
            source = source_of_row(self.root, row)
            samples = read_window(source, window.start, window.num_samples, rate)
        except DataError as error:
            return str(error).removeprefix(f"{source}: ")
        if not np.isfinite(samples).all():
            return MEANINGS["non_finite"].when
        least = self.geometry.num_latents(len(samples)) - window.skip
        if least < 1 or (not window.is_last and len(samples) < window.expected):
            if window.start or not window.is_last:
                return f"ends before {(window.start + window.expected) / rate:.2f} s, where its header says it goes on"
            return f"too short: {len(samples) / rate:.4f} s hold no frame of the encoder"
        return samples
