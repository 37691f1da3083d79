"""Labelled stretches belong to their recording; what cannot be asked about is left out and counted."""

import logging
from typing import Any

import pandas as pd
import pytest

from audiorig.config import ProbeTask
from audiorig.errors import DataError
from audiorig.evaluate.folds import make_folds, task_rows
from audiorig.evaluate.segments import join_segments, stretch_names

TASK = ProbeTask(label="speaker_type", items="segments")


def recordings() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant_id": ["p1", "p2", "p3"],
            "recording_id": ["a", "b", "c"],
            "wav_path": ["a.wav", "b.flac", "c.wav"],
            "duration_sec": pd.array([100.0, 50.0, 60.0], dtype="Float64"),
            "group_id": ["p1", "p2", "p3"],
            "language": ["hi", "en", "hi"],
        }
    )


def sides() -> dict[str, pd.DataFrame]:
    return {side: recordings().iloc[[place]] for place, side in enumerate(("train", "dev", "test"))}


def segments(*rows: tuple[str, float, float, str], **more: Any) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["wav_path", "start_sec", "end_sec", "speaker_type"]).assign(**more)


FOUR = (("c.wav", 3.0, 4.0, "CHI"), ("a.wav", 5.0, 6.5, "FEM"), ("a.wav", 1.0, 2.0, "CHI"), ("b.flac", 0.0, 0.1, "CHI"))


def test_a_row_per_stretch_with_what_is_known_of_its_recording() -> None:
    rows = task_rows(sides(), TASK, segments(*FOUR))
    assert stretch_names(rows).tolist() == [
        "a.wav#1.000-2.000", "a.wav#5.000-6.500", "b.flac#0.000-0.100", "c.wav#3.000-4.000",
    ]  # fmt: skip
    assert rows["speaker_type"].tolist() == ["CHI", "FEM", "CHI", "CHI"]
    assert rows["split_side"].tolist() == ["train", "train", "dev", "test"]
    assert rows["participant_id"].tolist() == ["p1", "p1", "p2", "p3"]
    assert rows["duration_sec"].tolist() == pytest.approx([1.0, 1.5, 0.1, 1.0])


def test_a_stretch_says_more_than_its_recording_but_not_whose_it_is() -> None:
    table = segments(*FOUR, language=["hi", "en", "", "hi"], participant_id="thief", split_side="train", group_id="x")
    rows = join_segments(recordings().assign(split_side=["train", "dev", "test"]), table, TASK)
    assert rows["language"].tolist() == ["", "en", "hi", "hi"]
    assert rows["participant_id"].tolist() == ["p1", "p1", "p2", "p3"]
    assert rows["split_side"].tolist() == ["train", "train", "dev", "test"]
    assert rows["group_id"].tolist() == ["p1", "p1", "p2", "p3"]
    empty = join_segments(recordings(), segments(*FOUR, language=""), TASK)
    assert empty["language"].tolist() == ["hi", "hi", "en", "hi"]


def test_what_cannot_be_asked_about_is_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = segments(
        *FOUR,
        ("a.wav", 10.0, 10.09, "CHI"),  # short
        ("a.wav", 99.5, 120.0, "MAL"),  # goes on behind the end
        ("a.wav", 100.0, 101.0, "MAL"),  # begins there
        ("a.wav", 8.0, 7.0, "MAL"),
        ("a.wav", float("nan"), 7.0, "MAL"),
        ("a.wav", -1.0, 7.0, "MAL"),
        ("d.wav", 0.0, 1.0, "MAL"),
        ("a.wav", 20.0, 21.0, ""),
        ("a.wav", 30.0, 31.0, "CHI"),
        ("a.wav", 30.0, 31.0, "CHI"),
        ("a.wav", 40.0, 41.0, "CHI"),
        ("a.wav", 40.0, 41.0, "FEM"),
        ("a.wav", 40.0, 41.0, "FEM"),
    )
    with caplog.at_level(logging.INFO):
        rows = task_rows(sides(), TASK, table)
    names = stretch_names(rows)
    assert names.is_unique
    assert set(names) == set(stretch_names(segments(*FOUR))) | {"a.wav#99.500-100.000", "a.wav#30.000-31.000"}
    said = " ".join(caplog.messages)
    for count in (
        "1 of recordings that the split does not have",
        "4 of no length, or beyond their recording's end",
        "1 shorter than 0.1 s",
        "3 with two labels at once",
        "1 listed twice",
    ):
        assert count in said


def test_nothing_is_said_where_nothing_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        task_rows(sides(), TASK, segments(*FOUR))
    assert not caplog.messages


def test_conditions_and_columns_of_both_kinds_can_be_asked_for() -> None:
    task = ProbeTask(label="speaker_type", items="segments", where={"language": ("hi",), "near": ("yes",)})
    rows = task_rows(sides(), task, segments(*FOUR, near=["yes", "yes", "no", "yes"]))
    assert stretch_names(rows).tolist() == ["a.wav#5.000-6.500", "c.wav#3.000-4.000"]
    with pytest.raises(DataError, match=r"no column 'mood'; there are .*participant_id.*speaker_type"):
        task_rows(sides(), ProbeTask(label="mood", items="segments"), segments(*FOUR))


def test_a_corpus_without_annotations_is_a_sentence() -> None:
    with pytest.raises(DataError, match=r"'speaker_type': .*the corpus has no annotations; write annotations: FILE"):
        task_rows(sides(), TASK)
    with pytest.raises(DataError, match="the table of segments has no column 'end_sec'; there are wav_path"):
        task_rows(sides(), TASK, segments(*FOUR).drop(columns="end_sec"))


def many(each: int = 40) -> pd.DataFrame:
    return segments(
        *(
            (path, float(index), index + 0.5, ("CHI", "CHI", "CHI", "FEM")[index % 4])
            for path in ("a.wav", "b.flac", "c.wav")
            for index in range(each)
        )
    )


def test_no_more_than_so_many_of_each_side_are_asked_and_labels_alike() -> None:
    task = TASK.model_copy(update={"max_items": 12})
    rows = task_rows(sides(), task, many(), seed=3)
    assert rows.groupby(["split_side", "speaker_type"]).size().to_dict() == {
        (side, label): 6 for side in ("dev", "test", "train") for label in ("CHI", "FEM")
    }
    assert rows.equals(task_rows(sides(), task, many().sample(frac=1, random_state=1), seed=3))
    assert not rows.equals(task_rows(sides(), task, many(), seed=4))


def test_held_out_annotations_move_nothing_on_the_other_sides() -> None:
    task = TASK.model_copy(update={"max_items": 12})
    table = many()
    poisoned = table.assign(speaker_type=table["speaker_type"].where(table["wav_path"] != "c.wav", "MAL"))
    poisoned = pd.concat([poisoned, segments(("c.wav", 50.0, 51.0, "FEM"))])
    one, other = task_rows(sides(), task, table), task_rows(sides(), task, poisoned)
    for side in ("train", "dev"):
        mine, theirs = (rows[rows["split_side"] == side].reset_index(drop=True) for rows in (one, other))
        assert mine.equals(theirs)


def test_recordings_are_on_one_side_only() -> None:
    rows = task_rows(sides(), TASK, many())
    (fold,) = make_folds(rows, TASK, 0)
    files = [set(rows["wav_path"].iloc[side]) for side in (fold.train, fold.dev, fold.test)]
    assert files == [{"a.wav"}, {"b.flac"}, {"c.wav"}]
    near = {"column": "near", "train_values": ("yes",), "test_values": ("no",)}
    values = ProbeTask(label="speaker_type", items="segments", assign="values", **near)
    table = many().assign(near=["yes", "yes", "yes", "yes", "no"] * 24)
    with pytest.raises(DataError, match=r"3 recordings, such as a\.wav, would be on two sides; assign: values divides"):
        make_folds(task_rows(sides(), values, table), values, 0)


def test_parts_that_take_turns_keep_homes_together() -> None:
    task = ProbeTask(label="speaker_type", items="segments", assign="rotate", folds=3)
    rows = task_rows(sides(), task, many())
    tested = [set(rows["participant_id"].iloc[fold.test]) for fold in make_folds(rows, task, 0)]
    assert sorted(map(sorted, tested)) == [["p1"], ["p2"], ["p3"]]
