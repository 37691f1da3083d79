"""Attention, maps and changed weights: drawn where there is something, without sounds where there are none."""

from pathlib import Path
from types import ModuleType

import numpy as np

from audiorig.report.look_inside import attention_picture, load_inside, map_picture, weight_change_picture


def test_what_is_there_is_drawn_and_always_the_same(planted: ModuleType) -> None:
    inside = planted.inside()
    for draw in (attention_picture, map_picture):
        picture = draw(inside, planted.TARGETS)
        assert picture is not None
        assert picture == draw(inside, planted.TARGETS)
    change = weight_change_picture(inside)
    assert change is not None
    assert "front, block 0, block 1, behind" in change.alt


def test_nothing_to_see_is_no_picture(planted: ModuleType) -> None:
    assert attention_picture({}, planted.TARGETS) is None
    assert map_picture({}, planted.TARGETS) is None
    assert weight_change_picture({}) is None
    without = {name: value for name, value in planted.inside().items() if not name.startswith("attention_")}
    assert attention_picture(without, planted.TARGETS) is None


def test_without_an_outline_the_caption_speaks_of_no_sound(planted: ModuleType) -> None:
    inside = {name: value for name, value in planted.inside().items() if not name.startswith("envelope_")}
    picture = attention_picture(inside, planted.TARGETS)
    assert picture is not None
    assert "Grey" not in picture.caption


def test_maps_of_few_and_of_many_groups(planted: ModuleType) -> None:
    inside = planted.inside()
    many = {**inside, "map_group": np.array([f"infant-{number}" for number in range(len(inside["map"]))])}
    few, crowded = map_picture(inside, planted.TARGETS), map_picture(many, planted.TARGETS)
    assert few is not None
    assert crowded is not None
    assert few.uri != crowded.uri


def test_a_clip_whose_label_is_not_known_is_on_the_map(planted: ModuleType) -> None:
    inside = planted.inside()
    unknown = {**inside, "map_true": np.full_like(inside["map_true"], np.nan)}
    assert map_picture(unknown, planted.TARGETS) is not None


def test_arrays_are_read_back(planted: ModuleType, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "examples.npz", allow_pickle=False, **planted.inside())
    back = load_inside(tmp_path / "examples.npz")
    assert back.keys() == planted.inside().keys()
    assert back["map_group"].tolist() == planted.inside()["map_group"].tolist()
