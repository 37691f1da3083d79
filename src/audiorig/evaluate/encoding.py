"""Windows of many files, encoded in batches of like length; what becomes of a window is told in order.

A failure to read is a text and takes nothing else with it. Files are read while the encoder works.
"""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from audiorig.data.audio import Samples, read_window, source_of_row
from audiorig.data.reasons import MEANINGS
from audiorig.errors import DataError
from audiorig.evaluate.embed import ALL_BLOCKS, LAST
from audiorig.evaluate.feature_rows import Encoded, Layers, Wanted
from audiorig.evaluate.windows import Geometry, Window, cut
from audiorig.models.outputs import EncoderOutput
from audiorig.models.trained import TrainedEncoder
from audiorig.randomness import random_state_fence

CHUNK_WINDOWS = 1024  # windows that are sorted by length and written together, ...
CHUNK_FLOATS = 2**25  # ... but fewer if their frames would fill more than 128 MB


def layers_of(model: TrainedEncoder) -> Layers:
    """What it gives, found by giving it a second of silence."""
    rate = model.sample_rate_hz
    with random_state_fence(), torch.no_grad():
        output = model.encode(*(each.to(device_of(model)) for each in (torch.zeros(1, rate), torch.tensor([rate]))))
    return Layers(tuple(output.layer_names), output.features.shape[-1])


def device_of(model: TrainedEncoder) -> torch.device:
    return next(model.parameters()).device


def select_layer(output: EncoderOutput, layer: str) -> torch.Tensor:
    """Frames (B, N, K) of a layer."""
    if layer == LAST:
        return output.features
    if layer == ALL_BLOCKS:
        return torch.cat(list(output.layers), dim=-1)
    return output.layers[output.layer_names.index(layer)]


class Reader:
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


def encode_all(
    model: TrainedEncoder, layers: Layers, reader: Reader, geometry: Geometry, wanted: Wanted
) -> Iterator[tuple[list[Window], list[Encoded]]]:
    """Chunk by chunk: windows in order, and what became of them."""
    total = float(reader.seconds.sum())
    width = layers.width * layers.side_by_side(wanted.layer)
    with (
        random_state_fence(),
        torch.no_grad(),
        tqdm(total=math.ceil(total), desc="embed", unit="s of audio", unit_scale=True, mininterval=1) as bar,
        ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="read") as pool,
    ):
        for chunk in _chunks(reader, geometry, wanted, width):
            encoded: list[Encoded] = [""] * len(chunk)
            batches = list(_batches(chunk, wanted.batch_size, geometry))
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


def _chunks(reader: Reader, geometry: Geometry, wanted: Wanted, width: int) -> Iterator[list[Window]]:
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


def _batches(chunk: list[Window], batch_size: int, geometry: Geometry) -> Iterator[list[int]]:
    """Windows of like length, by their place in the chunk; the longest first, as memory then fails at once."""
    order = sorted(range(len(chunk)), key=lambda index: -chunk[index].expected)
    most = geometry.max_batch_sec * geometry.sample_rate_hz
    batch: list[int] = []
    for index in order:
        longest = chunk[batch[0]].expected if batch else 0
        if batch and (len(batch) >= batch_size or (len(batch) + 1) * longest > most):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _encode(model: TrainedEncoder, read: list[Samples | str], layer: str) -> list[Encoded]:
    """The real frames (n, K) of each waveform."""
    waveforms = [torch.from_numpy(samples) for samples in read if not isinstance(samples, str)]
    if not waveforms:
        return [*read]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    device = device_of(model)
    output = model.encode(padded.to(device), lengths.to(device))
    frames = select_layer(output, layer).float().cpu().numpy()
    counts = iter((~output.is_padding).sum(1).tolist())
    rows = iter(frames)
    return [samples if isinstance(samples, str) else next(rows)[: next(counts)] for samples in read]


def _kept(window: Window, frames: Encoded) -> Encoded:
    if isinstance(frames, str):
        return frames
    return frames[window.skip :] if window.is_last else frames[window.skip : window.skip + window.keep]
