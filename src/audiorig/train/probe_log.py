"""A linear probe while the model trains: is what it learns of use, and does it collapse?

A fixed, small set of labelled clips is kept in memory. At step 0, every few steps and at the end
they are encoded, a probe learns the label from clips of the training side and is scored on clips
of dev. The test side is never looked at. Nothing that training depends on is touched.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import TrainingProbeConfig
from audiorig.data.audio import read_window, source_of_row
from audiorig.evaluate.collapse import Spread, mean_cosine
from audiorig.evaluate.embed import pool
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.probe import linear_probe, majority_probe
from audiorig.models.encoder import PatchEncoder
from audiorig.models.modes import evaluating
from audiorig.randomness import random_state_fence
from audiorig.train.compilation import uncompiled
from audiorig.train.probe_clips import ProbeClips, draw_clips

CLIP_SEC = 4.0  # of each clip, from its middle: a few hours-long recordings must not fill the memory
BATCH_SIZE = 16
# One C for all steps. Chosen anew at each, it would need clips of its own, and the curve would jump with it.
INVERSE_PENALTY = 0.1
DRAWS = 1000
NAME = "eval_linear_probe"


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
        with random_state_fence(), torch.no_grad(), evaluating(self.model), uncompiled():
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


def _with_interval(name: str, score: Score) -> Mapping[str, float]:
    low, high = score.interval
    return {name: score.value, f"{name}_low": low, f"{name}_high": high}
