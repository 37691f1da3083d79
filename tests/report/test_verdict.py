"""Sentences that the numbers earn, and warnings that they need."""

from collections.abc import Callable

import pytest

from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Estimate, Scores
from audiorig.report.verdict import compared, digest_warnings, leak_warnings, verdict, warnings

MakeInputs = Callable[..., RunInputs]


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 24, 6, "groups")


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (_estimate(0.319, 0.27, 0.36), "31.9 points above log-mel [+27.0, +36.0]"),
        (_estimate(-0.083, -0.2, -0.01), "8.3 points below log-mel [−20.0, −1.0]"),
        (_estimate(0.05, -0.01, 0.1), "not certain to differ from log-mel (+5.0 points [−1.0, +10.0])"),
        (_estimate(0.05, 0.0, 0.1), "not certain to differ from log-mel (+5.0 points [0.0, +10.0])"),
    ],
)
def test_a_difference_is_called_what_its_interval_says(difference: Estimate, sentence: str) -> None:
    assert compared({"log-mel": difference}) == [sentence]


def test_verdict_names_the_headline_the_controls_and_what_is_uncertain(make_inputs: MakeInputs) -> None:
    language, voice, hidden = verdict(make_inputs())
    assert language.startswith(
        "Language on held-out participants: accuracy .800 [.700, .900]; 20.0 points above log-mel"
    )
    assert "not certain to differ from an untrained encoder (+1.0 points" in language
    assert "20.0 points below log-mel" in voice
    assert "MFCC" not in voice, "a further control is named only where the encoder is not above it"
    assert "above linear interpolation at every distance (by .20)" in hidden
    assert "below mean of visible frames at every distance (by .20)" in hidden


def test_nothing_scored_gives_no_sentence(make_inputs: MakeInputs) -> None:
    assert verdict(make_inputs(scores=Scores([]))) == []


def test_equal_digests_are_silent_and_different_ones_are_both_printed(make_inputs: MakeInputs) -> None:
    inputs = make_inputs()
    assert digest_warnings(inputs.provenance, inputs.environment) == []
    edited = {**inputs.environment, "package_digest": "c" * 64}
    (sentence,) = digest_warnings(inputs.provenance, edited)
    assert "a" * 16 in sentence
    assert "c" * 16 in sentence
    assert "split, train and probe" in sentence


def test_shuffled_labels_far_from_chance_are_flagged(make_inputs: MakeInputs, rows: Callable[..., list[dict]]) -> None:
    assert leak_warnings(make_inputs().scores) == []
    leaking = [
        {**row, "value": 0.7, "low": 0.62, "high": 0.8} if row["system"] == "shuffled labels" else row
        for row in rows("language", log_mel="above")
    ]
    (sentence,) = leak_warnings(Scores(leaking))
    assert sentence.startswith("Language: with shuffled labels")
    assert ".700 [.620, .800], and chance is .500" in sentence


@pytest.mark.parametrize(
    ("group", "words"), [("clip", "clip-disjoint, not speaker-disjoint"), ("recording", "recording-disjoint")]
)
def test_a_split_that_divides_speakers_is_named(make_inputs: MakeInputs, group: str, words: str) -> None:
    split = {**make_inputs().split, "group": group, "warnings": ["language 'fr' does not occur in test"]}
    disjoint, missing = warnings(make_inputs(split=split))
    assert words in disjoint
    assert "language 'fr' does not occur in test" in missing


def test_intervals_over_clips_are_named(make_inputs: MakeInputs, rows: Callable[..., list[dict]]) -> None:
    few = [{**row, "interval_over": "clips", "num_groups": 2} for row in rows("language", log_mel="above")]
    (sentence,) = warnings(make_inputs(scores=Scores(few)))
    assert sentence.startswith("Language: the test items come from 2 groups")


def test_settings_of_the_checkpoint_that_the_config_does_not_hold_are_named(make_inputs: MakeInputs) -> None:
    inputs = make_inputs()
    settings = inputs.run.stage("train")
    train = {**inputs.provenance["train"], "settings": settings}
    assert warnings(make_inputs(provenance={"train": train})) == []
    other = {**train, "settings": {**settings, "train": {**settings["train"], "max_steps": 7}}}
    (sentence,) = warnings(make_inputs(provenance={"train": other}))
    assert "train.max_steps 7 (config: 2)" in sentence
