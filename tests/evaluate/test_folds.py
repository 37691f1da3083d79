"""Rows of a task and their folds: no clip on two sides, and every draw named by its seed."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import ProbeTask
from audiorig.errors import DataError
from audiorig.evaluate.folds import Fold, make_folds, task_rows


def pieces(clips_each: int = 8, pieces_each: int = 3) -> pd.DataFrame:
    """Two languages, four voices, clips of each, cut into pieces."""
    rows = [
        {
            "wav_path": f"{language}-{voice}-{clip:02d}.wav",
            "language": language,
            "participant_id": voice,
            "subset": "probe",
        }
        for language in ("en", "fr")
        for voice in ("v0", "v1", "v2", "v3")
        for clip in range(clips_each)
        for _ in range(pieces_each)
    ]
    table = pd.DataFrame(rows)
    table["split_side"] = table["participant_id"].map({"v0": "train", "v1": "train", "v2": "dev", "v3": "test"})
    return table


def task(**settings: Any) -> ProbeTask:
    return ProbeTask(**{"label": "language", **settings})


VALUES = {
    "label": "participant_id",
    "assign": "values",
    "column": "language",
    "train_values": ("en",),
    "test_values": ("fr",),
}
SHOTS = {"label": "participant_id", "assign": "shots", "shots": 2, "draws": 4}
ROTATE = {"assign": "rotate", "folds": 4}


def clips_of(table: pd.DataFrame, fold: Fold) -> list[set[str]]:
    return [set(table["wav_path"].iloc[rows]) for rows in (fold.train, fold.dev, fold.test)]


@pytest.mark.parametrize("settings", [{}, VALUES, SHOTS, ROTATE], ids=["split", "values", "shots", "rotate"])
@pytest.mark.parametrize("seed", range(4))
def test_no_clip_is_on_two_sides(settings: dict[str, Any], seed: int) -> None:
    table = pieces()
    for fold in make_folds(table, task(**settings), seed):
        sides = clips_of(table, fold)
        assert all(sides)
        assert sum(map(len, sides)) == len(set().union(*sides))
        rows = np.concatenate([fold.train, fold.dev, fold.test])
        assert len(np.unique(rows)) == len(rows)


def test_split_takes_the_sides_of_the_run() -> None:
    table = pieces()
    (fold,) = make_folds(table, task(), seed=0)
    for side, rows in (("train", fold.train), ("dev", fold.dev), ("test", fold.test)):
        assert rows.tolist() == np.flatnonzero(table["split_side"] == side).tolist()


def test_values_are_learnt_from_and_tested_apart_with_a_quarter_for_dev() -> None:
    table = pieces()
    (fold,) = make_folds(table, task(**VALUES), seed=0)
    assert set(table["language"].iloc[fold.test]) == {"fr"}
    assert len(fold.test) == (table["language"] == "fr").sum()
    assert set(table["language"].iloc[np.concatenate([fold.train, fold.dev])]) == {"en"}
    assert table["participant_id"].iloc[fold.dev].value_counts().to_dict() == dict.fromkeys(
        ["v0", "v1", "v2", "v3"], 2 * 3
    )
    assert table["participant_id"].iloc[fold.train].value_counts().to_dict() == dict.fromkeys(
        ["v0", "v1", "v2", "v3"], 6 * 3
    )


def test_a_label_with_one_clip_is_learnt_not_only_used_to_choose() -> None:
    table = pieces()
    rare = (table["language"] == "en") & (table["participant_id"] == "v3")
    one_clip = table["wav_path"] == "en-v3-00.wav"
    table = table[~rare | one_clip].reset_index(drop=True)
    (fold,) = make_folds(table, task(**VALUES), seed=0)
    assert "v3" in set(table["participant_id"].iloc[fold.train])


def test_shots_are_so_many_clips_of_each_label() -> None:
    table = pieces()
    folds = make_folds(table, task(**SHOTS), seed=0)
    assert len(folds) == 4
    for fold in folds:
        for rows in (fold.train, fold.dev):
            clips = table.iloc[rows].drop_duplicates("wav_path")
            assert clips["participant_id"].value_counts().to_dict() == dict.fromkeys(["v0", "v1", "v2", "v3"], 2)
            assert len(rows) == 3 * len(clips)  # all pieces of a clip
        assert len(fold.train) + len(fold.dev) + len(fold.test) == len(table)
    assert len({tuple(fold.train) for fold in folds}) == 4


@pytest.mark.parametrize("folds", [3, 4])
def test_rotation_tests_every_item_once_and_keeps_groups_together(folds: int) -> None:
    table = pieces()
    made = make_folds(table, task(assign="rotate", folds=folds), seed=0)
    assert len(made) == folds
    assert sorted(np.concatenate([fold.test for fold in made]).tolist()) == list(range(len(table)))
    assert sorted(np.concatenate([fold.dev for fold in made]).tolist()) == list(range(len(table)))
    for number, fold in enumerate(made):
        voices = [set(table["participant_id"].iloc[rows]) for rows in (fold.train, fold.dev, fold.test)]
        assert not (voices[0] & voices[1] or voices[1] & voices[2] or voices[0] & voices[2])
        assert fold.dev.tolist() == made[(number + 1) % folds].test.tolist()


def test_rotation_deals_labels_that_go_with_groups_evenly() -> None:
    """Eight voices, each with one language: every part tests one voice of each."""
    table = pieces()
    table["participant_id"] = table["language"] + table["participant_id"]
    for fold in make_folds(table, task(**ROTATE), seed=0):
        tested = table.iloc[fold.test].drop_duplicates("participant_id")
        assert sorted(tested["language"]) == ["en", "fr"]


@pytest.mark.parametrize("settings", [VALUES, SHOTS, ROTATE], ids=["values", "shots", "rotate"])
def test_the_seed_names_the_draw(settings: dict[str, Any]) -> None:
    def drawn(seed: int) -> list[list[int]]:
        return [fold.dev.tolist() for fold in make_folds(pieces(), task(**settings), seed)]

    assert drawn(0) == drawn(0)
    assert any(drawn(0) != drawn(seed) for seed in (1, 2, 3))  # four groups can fall alike by chance


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = pieces()
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    for settings in (VALUES, SHOTS, ROTATE):
        one, two = (make_folds(each, task(**settings), seed=0)[0] for each in (table, shuffled))
        assert clips_of(table, one) == clips_of(shuffled, two)


@pytest.mark.parametrize(
    ("change", "settings", "says"),
    [
        ({"split_side": "train"}, {}, "0 for dev, 0 to test; none of these may be 0"),
        ({}, {**VALUES, "test_values": ("it",)}, "0 to test"),
        ({}, {**VALUES, "train_values": ("it",)}, "0 pieces to learn from"),
        ({}, {**SHOTS, "shots": 100}, "0 for dev, 0 to test"),
        ({"language": "en"}, {}, "only one label to learn from"),
        ({}, {**ROTATE, "folds": 5}, "4 groups of 'participant_id' cannot be dealt into 5 folds; set folds to 4"),
    ],
)
def test_folds_that_cannot_be_are_a_sentence(change: dict[str, str], settings: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        make_folds(pieces().assign(**change), task(**settings), seed=0)


# ------------------------------------------------------------------------ rows of a task


def sides() -> dict[str, pd.DataFrame]:
    table = pieces(2, 1)
    return {side: rows.drop(columns="split_side").reset_index(drop=True) for side, rows in table.groupby("split_side")}


def test_rows_know_their_side_and_are_sorted() -> None:
    rows = task_rows(sides(), task())
    assert len(rows) == 16
    assert rows["wav_path"].is_monotonic_increasing
    assert rows.set_index("wav_path")["split_side"].loc[["en-v0-00.wav", "fr-v2-01.wav", "en-v3-00.wav"]].tolist() == [
        "train",
        "dev",
        "test",
    ]


def test_where_keeps_rows_of_these_values_and_rows_without_a_label_are_dropped() -> None:
    tables = sides()
    tables["dev"].loc[0, "language"] = ""
    rows = task_rows(tables, task(where={"participant_id": ("v2", "v3"), "language": ("en", "")}))
    assert rows["wav_path"].tolist() == ["en-v2-01.wav", "en-v3-00.wav", "en-v3-01.wav"]


@pytest.mark.parametrize(
    "settings",
    [{"label": "mood"}, {"group": "mood"}, {"where": {"mood": ("glad",)}}, {**VALUES, "column": "mood"}],
)
def test_a_missing_column_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"no column 'mood'; there are .*language"):
        task_rows(sides(), task(**settings))


def test_a_condition_that_nothing_meets_is_shown() -> None:
    with pytest.raises(DataError, match=r"no row is left by where: .*'it'"):
        task_rows(sides(), task(where={"language": ("it",)}))


def test_labels_that_training_lacks_are_not_scored() -> None:
    """No score can be given for them: they do not count as wrong either."""
    table = pd.DataFrame(
        {
            "wav_path": [f"{index}.wav" for index in range(8)],
            "label": ["a", "b", "a", "b", "a", "b", "c", "c"],
            "split_side": ["train", "train", "dev", "dev", "test", "test", "test", "dev"],
        }
    )
    (fold,) = make_folds(table, ProbeTask(label="label"), 0)
    assert (fold.train.tolist(), fold.dev.tolist(), fold.test.tolist()) == ([0, 1], [2, 3], [4, 5])
