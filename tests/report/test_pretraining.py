"""The contrastive task as it was logged."""

import base64
import math
from collections.abc import Callable

import pytest

from audiorig.report.inputs import RunInputs
from audiorig.report.pretraining import bounds, measures_table, pretraining_curves, pretraining_warnings

MakeInputs = Callable[..., RunInputs]


def test_bounds_are_those_of_guessing_among_101(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs()
    known = bounds(inputs, inputs.run)
    assert known.chance_loss == pytest.approx(math.log(101))
    assert known.chance_accuracy == pytest.approx(1 / 101)
    assert known.most_perplexity == 640
    assert known.collapsed == pytest.approx(32)
    nameless = make_home_inputs(provenance={})
    assert bounds(nameless, nameless.run).collapsed is None


def test_every_thing_logged_has_a_panel_and_its_bounds_are_named(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs()
    picture = pretraining_curves(inputs.history, bounds(inputs, inputs.run))
    assert picture is not None
    drawn = base64.b64decode(picture.uri.split(",")[1]).decode()
    assert sum(f'<g id="axes_{number}">' in drawn for number in range(1, 12)) == 8
    assert picture.caption == (
        "Losses are means over hidden frames. Dashed: chance, 4.62 for the loss and .010 for accuracy; the most "
        "possible perplexity, 640. Dotted: 32, below which the codes have collapsed."
    )
    assert pretraining_curves([{"step": 1, "epoch": 0.1}], bounds(inputs, inputs.run)) is None


def test_the_table_holds_first_and_last(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs()
    rows = {row[0]: row[1:] for row in measures_table(inputs.history, inputs.run).rows}
    assert rows["contrastive loss"] == ("1", "3.9", "4.2", "3.4")
    assert rows["diversity loss"][0] == "0.1"
    assert rows["feature penalty"][0] == "10"
    assert rows["contrastive accuracy"] == ("–", "0.07", "0.04", "0.12")
    assert rows["whole loss"][1:] == ("5", "–", "–")
    assert measures_table([], inputs.run).rows == ()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"step": 1, "eval_accuracy": 0.012}], "the task was hardly learnt"),
        ([{"step": 1, "perplexity": 70.0}], "their perplexity is 70 of 640"),
        ([{"step": 2, "eval_contrastive": 3.0}, {"step": 4, "eval_contrastive": 3.5}], "lowest at step 2 (3.000)"),
        ([{"step": 1000, "overflows": 40}], "float16 overflowed in 40 of 1,000 steps"),
    ],
)
def test_what_went_wrong_is_named(make_home_inputs: MakeInputs, entries: list[dict[str, float]], words: str) -> None:
    inputs = make_home_inputs(history=entries)
    (sentence,) = pretraining_warnings(inputs, inputs.run)
    assert words in sentence


def test_a_good_training_is_not_doubted(make_home_inputs: MakeInputs) -> None:
    history = [{"step": 1, "perplexity": 400.0, "eval_accuracy": 0.5, "eval_contrastive": 2.0, "overflows": 16}]
    inputs = make_home_inputs(history=history)
    assert pretraining_warnings(inputs, inputs.run) == []
