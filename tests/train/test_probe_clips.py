"""The clips of the probe in training: drawn by key, never of the test side, labels that training has."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from audiorig.config import TrainingProbeConfig
from audiorig.errors import DataError
from audiorig.train.probe_clips import draw_clips

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)
with_labels = HELPERS.with_labels

SETTINGS = TrainingProbeConfig(every_steps=4, label="language", train_clips=12, dev_clips=9)


def test_clips_are_drawn_by_key_and_never_from_test(tone_split) -> None:
    clips, again = (draw_clips(SETTINGS, tone_split, seed=5) for _ in range(2))
    assert clips.table.equals(again.table)
    assert clips.digest == again.digest != draw_clips(SETTINGS, tone_split, seed=6).digest
    assert (clips.num_train, len(clips.table)) == (12, 21)
    for side, rows in (("train", clips.table[:12]), ("dev", clips.table[12:])):
        assert set(rows["wav_path"]) <= set(pd.read_parquet(tone_split / f"{side}.parquet")["wav_path"])


def test_labels_that_training_lacks_are_left_out(tone_split, tmp_path) -> None:
    def rename(side: str, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(language=["novel", *table["language"][1:]] if side == "dev" else table["language"])

    split = with_labels(tone_split, tmp_path / "split", rename)
    clips = draw_clips(SETTINGS, split, seed=0)
    assert set(clips.table["language"]) == {"low", "high"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda side, table: table.assign(language="low"), "train.parquet: 1 values of 'language'"),
        (lambda side, table: table[:0] if side == "dev" else table, "dev.parquet: 0 clips with 0 values"),
        (
            lambda side, table: table.assign(language="low") if side == "dev" else table,
            "dev.parquet: 9 clips with 1 values",
        ),
        (lambda side, table: table.drop(columns="language"), "no column 'language'"),
    ],
)
def test_what_cannot_be_probed_is_said_before_training(tone_split, tmp_path, change, message) -> None:
    split = with_labels(tone_split, tmp_path / "split", change)
    with pytest.raises(DataError, match=message):
        draw_clips(SETTINGS, split, seed=0)
