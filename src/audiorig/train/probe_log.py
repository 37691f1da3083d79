"""A linear probe while the model trains: is what it learns of use, and does it collapse?

A fixed, small set of labelled clips is kept in memory. At step 0, every few steps and at the end
they are encoded, a probe learns the label from clips of the training side and is scored on clips
of dev. The test side is never looked at. Nothing that training depends on is touched.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import ProbeTask, TrainingProbeConfig
from audiorig.data.audio import read_window, source_of_row
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.embed import pool
from audiorig.evaluate.folds import Fold, task_rows
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.probe import Classes, linear_probe, majority_probe
from audiorig.models.encoder import PatchEncoder
from audiorig.randomness import keyed_generator, random_state_fence
from audiorig.train.compilation import uncompiled

CLIP_SEC = 4.0  # of each clip, from its middle: a few hours-long recordings must not fill the memory
BATCH_SIZE = 16
# One C for all steps. Chosen anew at each, it would need clips of its own, and the curve would jump with it.
INVERSE_PENALTY = 0.1
DRAWS = 1000
NAME = "eval_linear_probe"


@dataclass(frozen=True)
class ProbeClips:
    """What the probe listens to.

    Attributes:
        table: rows of the clips that are learnt from, then of those that are scored.
        labels: (n,) classes 0 to C - 1.
        groups: (n,) what the bootstrap resamples.
        num_train: how many are learnt from.
    """

    table: pd.DataFrame
    labels: Classes
    groups: list[str]
    num_train: int

    @property
    def fold(self) -> Fold:
        train, dev = np.split(np.arange(len(self.table)), [self.num_train])
        return Fold(train, dev, dev)  # with a single C, nothing is chosen on dev

    @property
    def digest(self) -> str:
        """Names the clips: hits of other clips are no reference."""
        scored = self.table["wav_path"].iloc[self.num_train :]
        text = "\0".join([str(self.num_train), *scored, *map(str, self.labels)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def draw_clips(settings: TrainingProbeConfig, split: Path, seed: int) -> ProbeClips:
    """Draw the clips by key: the same in every call.

    Raises:
        DataError: if there is nothing to learn or to score.
    """
    task = ProbeTask(label=settings.label, where=settings.where, group=settings.group)
    rows = task_rows({side: read_table(split / f"{side}.parquet") for side in ("train", "dev")}, task)
    side, label = rows["split_side"], rows[settings.label].astype(str)
    train = _draw(rows[side == "train"], settings.train_clips, seed, "train")
    names = sorted(label[train.index].unique())
    if len(names) < 2:
        raise DataError(
            f"{split / 'train.parquet'}: {len(names)} values of {settings.label!r} in {len(train)} clips, expected at "
            "least 2 to tell apart; change train.probe.label, where or train_clips, or set train.probe.every_steps to 0"
        )
    dev = _draw(rows[(side == "dev") & label.isin(names)], settings.dev_clips, seed, "dev")
    if label[dev.index].nunique() < 2:
        raise DataError(
            f"{split / 'dev.parquet'}: {len(dev)} clips with {label[dev.index].nunique()} values of {settings.label!r} "
            "that the training side has too, expected at least 2 values; change train.probe.label or where, or set "
            "train.probe.every_steps to 0"
        )
    table = pd.concat([train, dev])
    classes = label[table.index].map({name: number for number, name in enumerate(names)}).to_numpy(np.int64)
    groups = table[settings.group].astype(str).tolist()
    return ProbeClips(table.reset_index(drop=True), classes, groups, len(train))


def _draw(rows: pd.DataFrame, num_clips: int, seed: int, side: str) -> pd.DataFrame:
    order = keyed_generator("training-probe", seed, side).permutation(len(rows))
    return rows.iloc[np.sort(order[:num_clips])]


def build_probe(
    settings: TrainingProbeConfig, split: Path, root: Path, model: PatchEncoder, seed: int
) -> "ProbeInTraining":
    """The callback of a run.

    Args:
        split: folder of the split (train.parquet, dev.parquet).
        root: folder of the corpus' audio.
        model: the very model that is trained.

    Raises:
        DataError: if the split has nothing to learn or to score.
    """
    return ProbeInTraining(model, draw_clips(settings, split, seed), root, settings.every_steps, seed)


class ProbeInTraining(TrainerCallback):
    """Logs, as ``eval_linear_probe_...``, how well a probe of the frozen encoder does on dev.

    ``accuracy`` with its interval, ``majority`` (always the most frequent training label), and
    ``gain``: accuracy minus that of the first evaluation, clip by clip paired. The hits of every
    evaluation are in the log too, as text, so a resumed run finds the first ones in its state.

    From the same features, the collapse watch: ``eval_latent_rank``, over how many directions the
    frames of the last layer spread, and ``eval_latent_cosine``, how alike its clip means are.

    Features are mean and deviation of all blocks, as in the headline of the final probes, so the
    curve ends where the report begins; all blocks are computed for the last one anyway.

    Args:
        every_steps: steps between two evaluations; 0 for none.
        seed: names the draws of the bootstrap.

    Attributes:
        trainer: what the numbers are logged through; ``attach`` sets it.
    """

    def __init__(self, model: PatchEncoder, clips: ProbeClips, root: Path, every_steps: int, seed: int) -> None:
        self.model, self.clips, self.root, self.every_steps = model, clips, root, every_steps
        self.trainer: Trainer | None = None
        self._batches: list[tuple[list[int], Tensor, Tensor]] = []
        self._resampling = Resampling(clips.groups[clips.num_train :], DRAWS, "training-probe", seed)

    def attach(self, trainer: Trainer) -> None:
        """Say who logs; a callback is not told."""
        self.trainer = trainer

    # ---------------------------------------------------------------- events

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if self.every_steps and state.is_world_process_zero and not self._batches:
            self._batches = list(self._read())

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if state.global_step == 0:  # not at train begin: TensorBoard may not be open yet
            self._look(state, control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if self.every_steps and (state.global_step % self.every_steps == 0 or state.global_step >= state.max_steps):
            self._look(state, control)

    def _look(self, state: TrainerState, control: TrainerControl) -> None:
        """Evaluate and log, before the step is saved: what a checkpoint holds is never logged again."""
        if not (self.every_steps and state.is_world_process_zero):
            return
        assert self.trainer is not None, "attach the trainer first"
        numbers = self.evaluate(state.log_history)
        was_due = control.should_log
        self.trainer.log(numbers)
        control.should_log = was_due  # to log is to have logged: the loss of this step would be lost

    # ------------------------------------------------------------ evaluation

    def evaluate(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """The numbers of the model as it is now.

        Args:
            history: what was logged before; the first evaluation of the same clips is the reference.
        """
        with random_state_fence(), torch.no_grad(), evaluation_mode(self.model), uncompiled():
            features, rank, cosine = self._encode()
        fold, labels = self.clips.fold, self.clips.labels
        hits = self._hits(linear_probe(features, labels, [fold], (INVERSE_PENALTY,)).predicted)
        majority = self._hits(majority_probe(labels, [fold]).predicted)
        accuracy = self._score(hits)
        gain = accuracy.minus(self._score(self._first_hits(history, hits)))
        return {
            **_with_interval(f"{NAME}_accuracy", accuracy),
            **_with_interval(f"{NAME}_gain", gain),
            f"{NAME}_majority": float(majority.mean()),
            f"{NAME}_hits": "".join(str(int(hit)) for hit in hits),
            f"{NAME}_clips": self.clips.digest,
            "eval_latent_rank": rank,
            "eval_latent_cosine": cosine,
        }

    def _hits(self, predicted: Floats) -> Floats:
        """1 for each scored clip (n,) whose label was found."""
        test = self.clips.fold.test
        return predicted[test, self.clips.labels[test]]

    def _score(self, hits: Floats) -> Score:
        total, drawn = self._resampling.totals(np.stack([hits, np.ones_like(hits)], axis=1))
        return Score(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1], self._resampling.tail)

    def _first_hits(self, history: list[dict[str, Any]], now: Floats) -> Floats:
        for entry in history:
            if entry.get(f"{NAME}_clips") == self.clips.digest:
                return np.array([float(hit) for hit in entry[f"{NAME}_hits"]])
        return now

    def _read(self) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Padded batches of like length: numbers of the clips, waveform (B, T), lengths (B,)."""
        rate = self.model.config.sample_rate_hz
        length = round(CLIP_SEC * rate)
        waveforms = []
        for _, row in self.clips.table.iterrows():
            start = max(0, int(row["duration_sec"] * rate) - length) // 2
            waveforms.append(torch.from_numpy(read_window(source_of_row(self.root, row), start, length, rate)))
        order = sorted(range(len(waveforms)), key=lambda index: len(waveforms[index]))
        for first in range(0, len(order), BATCH_SIZE):
            indices = order[first : first + BATCH_SIZE]
            chosen = [waveforms[index] for index in indices]
            lengths = torch.tensor([len(waveform) for waveform in chosen])
            yield indices, torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True), lengths

    def _encode(self) -> tuple[Floats, float, float]:
        """Features (n, K) of the clips, and what the last layer's frames say about a collapse."""
        device = self.model.device
        rows: dict[int, Tensor] = {}
        means: list[Tensor] = []
        spread = Spread(self.model.shape.width)
        for indices, waveform, lengths in self._batches:
            output = self.model.encode(waveform.to(device), lengths.to(device))
            is_real = ~output.is_padding
            pooled = torch.cat([pool(layer.float(), is_real) for layer in output.layers], dim=1).cpu()
            rows |= dict(zip(indices, pooled, strict=True))
            spread.add(output.features[is_real])
            means.append(pool(output.features.float(), is_real)[:, : self.model.shape.width].cpu())
        features = torch.stack([rows[index] for index in range(len(rows))]).numpy().astype(np.float64)
        return features, spread.rank(), mean_cosine(torch.cat(means))


class Spread:
    """Over how many directions vectors spread, summed up batch by batch."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum = torch.zeros(width, dtype=torch.float64)
        self._products = torch.zeros(width, width, dtype=torch.float64)

    def add(self, vectors: Tensor) -> None:
        """Vectors (n, D)."""
        exact = vectors.double()
        self._count += len(exact)
        self._sum += exact.sum(0).cpu()
        self._products += (exact.T @ exact).cpu()

    def rank(self) -> float:
        """Participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of the covariance.

        From 1 (all on a line) to D (alike in all directions); 0 if all vectors are equal. Trace and
        squared norm of the matrix are those sums: no eigenvalue has to be computed.
        """
        mean = self._sum / max(1, self._count)
        covariance = self._products / max(1, self._count) - torch.outer(mean, mean)
        trace, square = float(covariance.trace()), float(covariance.square().sum())
        return trace**2 / square if trace > 1e-12 * float(self._products.trace()) / max(1, self._count) else 0.0


def mean_cosine(vectors: Tensor) -> float:
    """Mean cosine of all pairs of vectors (n, D), not centred: 1 if an encoder gives all clips the same.

    Centred, it would be -1 / (n - 1) or so for any encoder.
    """
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    count = len(unit)
    return float((unit.sum(0).square().sum() - unit.square().sum()) / max(1, count * (count - 1)))


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Every module in evaluation mode; afterwards, each as it was (a frozen part may not train)."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes.items():
            module.training = was_training


def _with_interval(name: str, score: Score) -> Mapping[str, float]:
    low, high = score.interval
    return {name: score.value, f"{name}_low": low, f"{name}_high": high}
