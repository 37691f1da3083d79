"""From the cells of a table to numbers, and what the training side says of them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from audiorig.config import TargetConfig
from audiorig.data.targets import Target, absent_classes, resolve_targets
from audiorig.errors import ConfigError, DataError


def rows(**columns: list) -> pd.DataFrame:
    """A table of clips."""
    num_rows = len(next(iter(columns.values())))
    return pd.DataFrame({"wav_path": [f"{index}.wav" for index in range(num_rows)], **columns})


def resolved(settings: dict, table: pd.DataFrame, name: str = "it") -> Target:
    (target,) = resolve_targets({name: TargetConfig.model_validate(settings)}, table)
    return target


RATING = {"kind": "rating", "steps": [-1, 1, 1.5, 2], "threshold": 1.2}


def test_classes_are_those_of_the_training_side_in_order_after_merging() -> None:
    table = rows(reason=["tired", "cold_hot", "hungry", "", None, "discomfort", " hungry "])
    target = resolved({"kind": "class", "column": "reason", "merge": {"cold_hot": "discomfort"}}, table)
    assert target.classes == ("discomfort", "hungry", "tired")
    assert (target.num_outputs, target.answers, target.is_listed) == (3, target.classes, False)
    assert target.encode_all(table).tolist()[:3] == [2, 0, 1]
    assert np.isnan(target.encode_all(table)).tolist() == [False, False, False, True, True, False, False]
    assert math.isnan(target.encode("burping"))  # only dev has it


def test_classes_that_are_listed_keep_their_order_and_refuse_others() -> None:
    table = rows(it=["b", "a", "b"])
    target = resolved({"kind": "class", "classes": ["b", "a", "c"]}, table)
    assert [target.encode(each) for each in "abc"] == [1, 0, 2]
    with pytest.raises(DataError, match=r"^3\.wav: column 'it' holds 'd'.*expected one of b, a, c"):
        target.encode_all(rows(it=["a", "b", "c", "d"]))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "0", "", None], [1, 0, None, None]),
        ([1.0, 0.0, math.nan, 1.0], [1, 0, None, 1]),
        ([True, False, True, True], [1, 0, 1, 1]),
        ([1, 0, 0, 1], [1, 0, 0, 1]),
        (["Yes", "NO", "1.0", "true"], [1, 0, 1, 1]),
        (pd.array([1, 0, None, 1], dtype="Int64"), [1, 0, None, 1]),
        (pd.array([True, False, None, None], dtype="boolean"), [1, 0, None, None]),
    ],
)
def test_a_binary_feature_is_told_in_many_ways(cells: list, expected: list) -> None:
    table = rows(it=cells)
    found = resolved({"kind": "binary"}, table).encode_all(table)
    assert [None if np.isnan(value) else int(value) for value in found] == expected


def test_answers_that_differ_in_case_alone_are_told_apart() -> None:
    target = resolved({"kind": "binary", "positive": ["M"], "negative": ["m"]}, rows(it=["M", "m"]))
    assert [target.encode("M"), target.encode("m")] == [1, 0]


def test_a_binary_feature_refuses_what_is_neither() -> None:
    with pytest.raises(DataError, match=r"2\.wav: column 'loud' holds 'maybe'.*1, true, yes \(there\)"):
        resolved({"kind": "binary", "column": "loud"}, rows(loud=["1", "0", "maybe"]))


def test_a_rating_is_the_number_of_its_step() -> None:
    table = rows(it=["1", "-1", "1.5", "", "2.0"])
    target = resolved(RATING, table)
    assert target.encode_all(table)[[0, 1, 2, 4]].tolist() == [1, 0, 2, 3]
    assert target.encode(np.float32(1.5)) == 2
    assert (target.num_outputs, target.num_answers, target.answers) == (1, 4, ("-1", "1", "1.5", "2"))
    assert target.high_step == 2  # 1.5 is the lowest step from 1.2 on
    for wrong in ("1.7", "loud", "inf"):
        with pytest.raises(DataError, match=f"column 'it' holds '{wrong}'.*one of -1, 1, 1.5, 2"):
            target.encode(wrong)


def test_balanced_weights_by_hand() -> None:
    table = rows(reason=["a"] * 6 + ["b"] * 3 + ["c", "", ""], loud=["1"] * 2 + ["0"] * 8 + ["", ""])
    settings = {"reason": {"kind": "class", "weights": "balanced"}, "loud": {"kind": "binary", "weights": "balanced"}}
    reason, loud = resolve_targets({name: TargetConfig(**each) for name, each in settings.items()}, table)
    assert reason.weights == pytest.approx((10 / 18, 10 / 9, 10 / 3))  # n / (C n_c)
    assert loud.weights == pytest.approx((10 / 16, 10 / 4))
    assert resolved({"kind": "class"}, rows(it=["a", "b"])).weights == ()


def test_a_step_that_the_sample_lacks_weighs_as_the_rarest_one() -> None:
    target = resolved(RATING | {"weights": "balanced"}, rows(it=["1", "1", "1", "2"]))
    assert target.weights == pytest.approx((2, 2 / 3, 2, 2))


def test_a_class_that_training_lacks_is_told() -> None:
    sides = {"train": rows(it=["a", "b", "a"]), "dev": rows(it=["a", "c", "c"]), "test": rows(it=["b", "", "c"])}
    found = resolved({"kind": "class"}, sides["train"])
    listed = resolved({"kind": "class", "classes": ["a", "b", "c"]}, sides["train"])
    assert listed.weights == (1, 1, 0)  # out of the loss
    sentences = absent_classes([found], sides)
    assert sentences == [
        "target 'it': class 'c' has no clip on train, and 2 on dev: they are left out of the loss, and of the scores",
        "target 'it': class 'c' has no clip on train, and 1 on test: they are left out of the loss, and of the scores",
    ]
    assert "the scores count each as an error" in absent_classes([listed], sides)[0]
    assert absent_classes([found], dict.fromkeys(sides, sides["train"])) == []
    without = resolved({"kind": "class", "classes": ["a", "b"], "merge": {"c": ""}}, sides["train"])
    assert absent_classes([without], sides) == []  # merged into nothing: missing


def test_the_order_is_that_of_the_settings() -> None:
    table = rows(b=["1", "0"], a=["0", "1"])
    settings = {name: TargetConfig(kind="binary") for name in ("b", "a")}
    assert [target.name for target in resolve_targets(settings, table)] == ["b", "a"]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "class", "weights": "balanced", "label_smoothing": 0.1, "merge": {"x": "a"}},
        {"kind": "class", "classes": ["b", "a", "c"]},
        {"kind": "binary", "positive": ["a"], "negative": ["b"]},
        {"kind": "rating", "steps": [1, 2], "threshold": 2, "merge": {"a": "1", "b": "2"}},
    ],
)
def test_a_target_survives_json(settings: dict) -> None:
    target = resolved(settings, rows(it=["a", "b", "a"]))
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target


@pytest.mark.parametrize(
    ("settings", "cells", "message"),
    [
        ({"kind": "class"}, ["a", "a", ""], "two different values or more in column 'it'.*a: 2"),
        ({"kind": "binary"}, ["1", "1", ""], "no: 0, yes: 2"),
        ({"kind": "class"}, ["", "", ""], "found none"),
        ({"kind": "binary", "column": "other"}, ["1", "0", ""], "no column 'other'.*there are: wav_path, it"),
        ({"kind": "class", "column": "other"}, ["1", "0", ""], "no column 'other'"),
    ],
)
def test_what_cannot_be_learnt_is_refused(settings: dict, cells: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        resolved(settings, rows(it=cells))


@pytest.mark.parametrize(
    ("merge", "message"),
    [({"a": "b", "b": "c"}, "'b' is both merged"), ({"a": "b"}, "'a' is one of classes, and merge counts it as 'b'")],
)
def test_merges_that_contradict_are_refused(merge: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved({"kind": "class", "classes": ["a", "b", "c"], "merge": merge}, rows(it=["b", "c"]))
