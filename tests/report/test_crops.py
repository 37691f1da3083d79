"""What was heard: numbers as they were logged, and warnings where it was little."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from audiorig.config import HomeWav2Vec2Run
from audiorig.report.crops import crop_curves, crop_facts, crop_warnings, participants_table, percent
from audiorig.report.inputs import RunInputs

MakeInputs = Callable[..., RunInputs]


def test_facts_are_those_of_the_last_step(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs()
    facts = crop_facts(inputs, inputs.run)
    assert facts["hours heard"].startswith("0.60,")
    assert facts["distinct hours heard"] == "0.48, 72 % of the audio"
    assert facts["redraws"] == "0.30 a crop, at most 10"
    assert facts["too silent after all redraws"] == "4.0 % of the crops, no part of the loss"
    assert facts["most of one participant"] == "25 % of the crops"


def test_what_was_not_logged_is_not_told(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs(history=[])
    assert set(crop_facts(inputs, inputs.run)) == {
        *("crops", "hours of the training side", "most of one participant", "shorter recordings"),
    }
    assert crop_curves([], 1.0) is None


def test_curves_have_a_panel_for_each_thing(make_home_inputs: MakeInputs) -> None:
    history = make_home_inputs().history
    picture = crop_curves(history, 0.5)
    assert picture is not None
    drawn = base64.b64decode(picture.uri.split(",")[1]).decode()
    assert sum(f'<g id="axes_{number}">' in drawn for number in range(1, 9)) == 4 + 1, "and a right axis"
    assert "Dashed: all 0.50 h" in picture.caption


def test_participants_are_held_to_their_share(make_home_inputs: MakeInputs) -> None:
    """Two of the three are unlike in length; a cap of 40 % takes from one what the other two get."""
    inputs = make_home_inputs()
    files = inputs.files.assign(side="train", participant_id=["a", "b", "unknown", "unknown"])
    run = HomeWav2Vec2Run.model_validate({"experiment": "homewav2vec2", "data": {"max_participant_share": 0.3}})
    table = participants_table(make_home_inputs(files=files), run)
    assert [row[0] for row in table.rows] == ["delta-day", "cedar-day", "b", "a"], "unknown: by recording"
    assert table.rows[0][1:] == ("1", "0.67", "40 %", "30 %")
    assert sum(int(row[4].removesuffix(" %")) for row in table.rows) in (99, 100, 101)
    assert participants_table(make_home_inputs(files=files.assign(side="")), run).rows == ()


@pytest.mark.parametrize(
    ("logged", "words"),
    [
        ({"coverage": 0.31}, "Only 31 % of the training side's audio was heard"),
        ({"silent_crops": 0.41}, "41 % of the crops were too silent even after 10 redraws, and taught nothing"),
        ({"coverage": 0.9, "silent_crops": 0.01}, None),
    ],
)
def test_little_and_silent_audio_is_warned_of(
    make_home_inputs: MakeInputs, logged: dict[str, float], words: str | None
) -> None:
    side: dict[str, Any] = {"num_groups": 20, "hours": 2.0}
    inputs = make_home_inputs(history=[{"step": 1, **logged}], split={"group": "participant", "sides": {"train": side}})
    found = crop_warnings(inputs, inputs.run)
    assert [words in sentence for sentence in found] == [True] if words else found == []


def test_few_participants_are_named(make_home_inputs: MakeInputs) -> None:
    few, alike = crop_warnings(make_home_inputs(), make_home_inputs().run)
    assert few == "Training heard 2 participants only: what it learnt may be theirs."
    assert "2 participants cannot each stay below 25 % of the crops" in alike


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.004, "0.4 %"), (0.0996, "10 %"), (0.314, "31 %"), (1.0, "100 %")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
