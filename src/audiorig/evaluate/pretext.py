"""What adaptation changed at the task of pre-training itself, on participants that were never heard.

The same crops and the same hidden frames are given to the network before and after: how often it
tells the quantized truth of a hidden frame from other frames of its crop, and at what loss. Both
say how well a network follows its own quantizer, which adaptation changes as well: a quantizer that
uses few of its codes makes the task easier. So perplexity stands beside them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from audiorig.config import HomeWav2Vec2Run, ProbeConfig
from audiorig.data.long_crops import LongCropDataset
from audiorig.data.manifest import read_table
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import metric_row
from audiorig.evaluate.systems import BEFORE
from audiorig.models.wav2vec2.batches import FrameCounter, PretrainingCollate
from audiorig.models.wav2vec2.checkpoint import load_base
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer
from audiorig.randomness import random_state_fence

PRETEXT = "pretext"
log = logging.getLogger(__name__)
# What a row is called, and the part of the loss that it comes from.
METRICS = {
    "contrastive_accuracy": "accuracy",
    "contrastive_loss": "contrastive",
    "codebook_perplexity": "perplexity",  # within a crop
}


@dataclass(frozen=True)
class CropSums:
    """Sums over the hidden frames of each crop.

    Attributes:
        groups: (n,) participants.
        sums: metric -> (n, 2), sum over the frames that count, and how many those are.
    """

    groups: NDArray[np.str_]
    sums: dict[str, Floats]


def load_networks(model: Path, before: Path | None, run: HomeWav2Vec2Run, system: str) -> dict[str, Wav2Vec2Pretrainer]:
    """The networks with their quantizers, in evaluation mode; of a base without a quantizer nothing can be asked.

    Raises:
        DataError: if a folder holds no wav2vec2 for pre-training.
    """
    folders = {system: model}
    if before is not None and not run.model.reinit_quantizer:
        folders[BEFORE] = before
    return {name: load_base(folder, run.model, run.data.sample_rate_hz).eval() for name, folder in folders.items()}


def pretext_rows(
    models: Mapping[str, Wav2Vec2Pretrainer],
    split: Path,
    root: Path,
    run: HomeWav2Vec2Run,
    settings: ProbeConfig,
    system: str,
) -> list[dict[str, Any]]:
    """Rows of ``metrics.json``: each model's scores, and what the adapted one is above the one before.

    Args:
        models: by system, in evaluation mode; ``system`` among them, and ``BEFORE`` if it has a quantizer.
        split: folder of the split; crops of its test side are drawn as those of dev are in training.
        run: data and task, as in training.
    """
    found = {name: crop_sums(model, split, root, run, settings.seed) for name, model in models.items()}
    mine = found[system]
    if not len(mine.groups):
        log.warning("no frame of the test side counted: every crop was too silent or too short for the task")
        return []
    resampling = Resampling(mine.groups.tolist(), settings.bootstrap, settings.seed, PRETEXT)
    rows = []
    for metric in METRICS:
        scores = {name: _per_frame(each.sums[metric], resampling) for name, each in found.items()}
        if BEFORE in scores:
            scores[f"{system} minus {BEFORE}"] = scores[system].minus(scores[BEFORE])
        rows += [
            metric_row(PRETEXT, name, metric, score, resampling, len(mine.groups)) for name, score in scores.items()
        ]
    return rows


def crop_sums(model: Wav2Vec2Pretrainer, split: Path, root: Path, run: HomeWav2Vec2Run, seed: int) -> CropSums:
    """A model's task on fixed crops of the test side, each by itself; those without a counted frame are left out."""
    crops = LongCropDataset(split / "test.arrow", root, run.data, seed, side="dev")
    do_normalize = bool(model.preprocessor["do_normalize"])
    collate = PretrainingCollate(run.model, run.data, seed, FrameCounter.of(model.config), do_normalize, "dev")
    participants = _participants(split)
    groups: list[str] = []
    sums: dict[str, list[tuple[float, float]]] = {metric: [] for metric in METRICS}
    with random_state_fence(), torch.no_grad():
        for item in tqdm(range(len(crops)), "pre-training task", unit="crop", mininterval=1):
            crop, samples = crops[0, item]
            batch = collate([(crop, samples)])
            batch.pop("seen")
            parts = model(**batch).parts
            if not float(parts["contrastive"][1]):
                continue
            groups.append(participants[crop.row])
            for metric, part in METRICS.items():
                sums[metric].append((float(parts[part][0]), float(parts[part][1])))
    return CropSums(np.array(groups), {metric: np.array(each).reshape(-1, 2) for metric, each in sums.items()})


def _participants(split: Path) -> list[str]:
    table: pd.DataFrame = read_table(split / "test.parquet")
    return table["group_id" if "group_id" in table else "participant_id"].astype(str).tolist()


def _per_frame(sums: Floats, resampling: Resampling) -> Score:
    """Mean over the frames of all crops, from (n, 2) sums and counts."""
    total, drawn = resampling.totals(sums)
    return Score(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1], resampling.tail)
