"""Whole sides of a split heard once: what the tuned model says, and what its controls go by."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from audiorig.data.clips import Item
from audiorig.data.split import group_ids
from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import Side
from audiorig.evaluate.baselines import LogMel
from audiorig.evaluate.intervals import Floats
from audiorig.models.contract import AudioEncoder
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import random_state_fence

VECTORS = "vectors"

log = logging.getLogger(__name__)

# A padded batch, waveform (B, T) and lengths (B,), to named arrays (B, ...).
Listener = Callable[[Tensor, Tensor], dict[str, NDArray[Any]]]


class Clips(Protocol):
    """Clips of a side that are asked for by (epoch, item): ``data.clips.ClipDataset``."""

    @property
    def values(self) -> NDArray[np.float32]: ...

    def __len__(self) -> int: ...

    def name(self, row: int) -> str: ...

    def try_item(self, key: tuple[int, int]) -> Item | DataError: ...


@dataclass(frozen=True)
class HeardSide(Side):
    """A side whose clips were read.

    Attributes:
        numbers: (n,) of the clips: rows of the split.
        found: listener -> name -> (n, ...), what it made of each clip.
        unreadable: clips that are left out, because they could not be read.
    """

    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    found: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    unreadable: Sequence[str] = ()


def clip_groups(table: pd.DataFrame, column: str, where: str) -> pd.Series:
    """What the bootstrap resamples; files of an unknown participant go by their recording.

    Raises:
        DataError: if there is no such column.
    """
    if column not in table:
        raise DataError(f"{where}: no column {column!r} (score.group); there are: {', '.join(map(str, table))}")
    return (group_ids(table, "participant") if column == "participant_id" else table[column]).astype(str)


def hear(
    name: str,
    clips: Clips,
    table: pd.DataFrame,
    group: str,
    listeners: Mapping[str, Listener],
    batch_size: int,
    items: Sequence[int] | None = None,
) -> HeardSide:
    """Read the clips of a side, each once, and let everybody listen.

    Batches are of clips of similar length. Whoever listens must give a clip the same alone as in
    any batch; then neither the order nor the size of the batches matters.

    Args:
        name: of the side.
        table: the split's rows.
        group: column that the bootstrap resamples.
        listeners: by name; none if only the labels are asked for.
        items: which clips, in this order; all if None.

    Raises:
        DataError: if no clip can be read.
    """
    groups = clip_groups(table, group, f"the split's {name} side").tolist()
    asked = np.arange(len(clips)) if items is None else np.asarray(items)
    seconds = table["duration_sec"].to_numpy(np.float64, na_value=0.0)[asked]
    found: dict[str, dict[str, list[NDArray[Any]]]] = {who: {} for who in listeners}
    numbers: list[int] = []
    values: list[NDArray[np.float32]] = []
    unreadable: list[str] = []
    order = asked[np.argsort(seconds, kind="stable")]
    with (
        random_state_fence(),
        torch.inference_mode(),
        tqdm(total=len(order), desc=f"hear {name}", unit="clip", mininterval=1) as bar,
    ):
        for first in range(0, len(order), batch_size):
            waveforms: list[Tensor] = []
            for item in order[first : first + batch_size].tolist():
                heard = clips.try_item((0, item))
                if isinstance(heard, DataError) or heard[0].read_row != item:  # no other clip stands in for one here
                    unreadable.append(clips.name(item))
                    continue
                waveforms.append(torch.from_numpy(heard[1]))
                numbers.append(item)
                values.append(heard[2])
            bar.update(len(order[first : first + batch_size]))
            if not waveforms:
                continue
            lengths = torch.tensor([len(waveform) for waveform in waveforms])
            padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
            for who, listener in listeners.items():
                for what, array in listener(padded, lengths).items():
                    found[who].setdefault(what, []).append(array)
    if not numbers:
        raise DataError(f"the split's {name} side: none of its {len(order)} clips can be read")
    if unreadable:
        log.warning("%s: %d clips cannot be read and are left out", name, len(unreadable))
    place = np.argsort(numbers, kind="stable")
    return HeardSide(
        name,
        [clips.name(numbers[each]) for each in place],
        [groups[numbers[each]] for each in place],
        np.stack(values)[place].astype(np.float64),
        np.asarray(numbers, dtype=np.int64)[place],
        {who: {what: np.concatenate(each)[place] for what, each in made.items()} for who, made in found.items()},
        tuple(sorted(unreadable)),
    )


# ------------------------------------------------------------------- listeners


def listen_as_tuner(model: SpeechTuner) -> Listener:
    """Vectors of the clips, and under each target's name its logits."""

    def listen(waveform: Tensor, lengths: Tensor) -> dict[str, NDArray[Any]]:
        output = model.predict(waveform.to(model.device), lengths.to(model.device))
        assert output.logits is not None and output.vectors is not None
        made = {f"logits/{name}": each for name, each in output.logits.items()} | {VECTORS: output.vectors}
        return {name: each.float().cpu().numpy() for name, each in made.items()}

    return listen


def listen_as_encoder(encoder: AudioEncoder) -> Listener:
    """Means of the encoder's output over the frames of a clip, padding apart."""
    device = next(encoder.parameters()).device if isinstance(encoder, torch.nn.Module) else torch.device("cpu")

    def listen(waveform: Tensor, lengths: Tensor) -> dict[str, NDArray[Any]]:
        output = encoder.encode(waveform.to(device), lengths.to(device))
        is_real = ~output.is_padding[..., None]
        frames = output.features.float().masked_fill(~is_real, 0)
        mean = frames.sum(1) / is_real.sum(1).clamp_min(1)
        return {VECTORS: mean.cpu().numpy()}

    return listen


def listen_as_log_mel(sample_rate_hz: int) -> Listener:
    """Means and deviations of log-mel frames."""
    log_mel = LogMel(sample_rate_hz)

    def listen(waveform: Tensor, lengths: Tensor) -> dict[str, NDArray[Any]]:
        clips = [waveform[index, :length] for index, length in enumerate(lengths.tolist())]
        return {VECTORS: torch.stack([log_mel.statistics(clip) for clip in clips]).numpy()}

    return listen


def logits_of(side: HeardSide, system: str, targets: Sequence[Target]) -> dict[str, Floats]:
    """What the model said of each target, (n, O)."""
    return {target.name: side.found[system][f"logits/{target.name}"].astype(np.float64) for target in targets}
