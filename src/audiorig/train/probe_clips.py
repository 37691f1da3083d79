"""What the probe in training listens to: a fixed, small set of labelled clips, never of the test side."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audiorig.config import ProbeTask, TrainingProbeConfig
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.folds import Fold, task_rows
from audiorig.evaluate.probe import Classes
from audiorig.randomness import keyed_generator


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
