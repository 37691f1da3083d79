"""Whether adaptation helped: sentences that the numbers earn."""

from collections.abc import Callable
from typing import Any

import pytest

from audiorig.report.adaptation import base_facts, overall_verdict, scratch_warnings
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores
from audiorig.report.verdict import verdict

MakeInputs = Callable[..., RunInputs]
MakeRows = Callable[..., list[dict[str, Any]]]
PUBLISHED = {"name": "wav2vec2-base", "seeded": False, "hub_id": "facebook/wav2vec2-base", "revision": "0b5b8e86" * 5}


def adapted(make_home_inputs: MakeInputs, **parts: Any) -> RunInputs:
    inputs = make_home_inputs(**parts)
    return make_home_inputs(provenance={"train": {**inputs.training, "base": PUBLISHED}}, **parts)


def test_the_verdict_says_first_whether_it_helped(make_home_inputs: MakeInputs) -> None:
    overall, voice, activity = verdict(adapted(make_home_inputs))
    assert overall == "Does adaptation help? Yes, on Voice class; not certain on Activity."
    assert voice.startswith(
        "Voice class on held-out participants: accuracy .800 [.700, .900] after, .600 [.500, .700] before; "
        "+20.0 points [+10.0, +30.0], better; 20.0 points above log-mel"
    )
    assert "+1.0 points [−5.0, +6.0], not certain to differ; 20.0 points below log-mel" in activity


@pytest.mark.parametrize(
    ("directions", "answer"),
    [
        (("above", "above"), "Yes, on A and B."),
        (("below", "uncertain"), "Not certain on B; no, worse on A."),
        (("below", "below"), "No, worse on A and B."),
    ],
)
def test_every_outcome_has_its_words(
    make_home_inputs: MakeInputs, rows: MakeRows, directions: tuple[str, str], answer: str
) -> None:
    found = [
        row for task, each in zip("ab", directions, strict=True) for row in rows(task, "homewav2vec2", before=each)
    ]
    assert overall_verdict(adapted(make_home_inputs, scores=Scores(found))) == f"Does adaptation help? {answer}"


def test_what_began_with_random_numbers_is_called_from_scratch(make_home_inputs: MakeInputs) -> None:
    inputs = make_home_inputs()
    assert overall_verdict(inputs) == (
        "Does training from scratch help? Yes, on Voice class; not certain on Activity (against the random checkpoint "
        "that it began with)."
    )
    (warning,) = scratch_warnings(inputs)
    assert "trained from scratch: tiny-wav2vec2 holds random numbers" in warning
    assert "is that random checkpoint" in warning
    assert "trained from scratch" in base_facts(inputs, inputs.run)["base checkpoint"]


def test_a_published_base_is_named_with_its_revision(make_home_inputs: MakeInputs) -> None:
    inputs = adapted(make_home_inputs)
    assert scratch_warnings(inputs) == []
    assert base_facts(inputs, inputs.run) == {
        "base checkpoint": "wav2vec2-base (facebook/wav2vec2-base)",
        "its revision": PUBLISHED["revision"],
    }


def test_what_was_not_probed_before_is_not_claimed(make_home_inputs: MakeInputs, rows: MakeRows) -> None:
    scores = Scores(rows("voice-class", "homewav2vec2", log_mel="above"))
    overall, voice = verdict(adapted(make_home_inputs, scores=scores))
    assert overall == "Does adaptation help? It was not asked: the encoder that it began with was not probed."
    assert "after" not in voice
    assert verdict(adapted(make_home_inputs, scores=Scores([]))) == []


def test_an_interval_over_clips_is_no_finding_for_others(make_home_inputs: MakeInputs, rows: MakeRows) -> None:
    few = [{**row, "interval_over": "clips", "num_groups": 3} for row in rows("a", "homewav2vec2", before="above")]
    overall, task = verdict(adapted(make_home_inputs, scores=Scores(few)))
    assert overall.endswith("Yes, on A. Tested on 3 groups, so this is certain of these alone.")
    assert "better for these participants" in task
