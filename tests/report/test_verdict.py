"""Sentences that the numbers earn, and warnings that they need."""

from collections.abc import Callable

import pytest

from audiorig.config import Run
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Estimate, Scores
from audiorig.report.verdict import (
    compared,
    digest_warnings,
    leak_warnings,
    probe_in_training,
    reconstruction_verdict,
    verdict,
    warnings,
)

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
    language, voice, beside, hidden, pitch = verdict(make_inputs())
    assert language.startswith(
        "Language on held-out participants: accuracy .800 [.700, .900]; 20.0 points above log-mel"
    )
    assert "not certain to differ from an untrained encoder (+1.0 points" in language
    assert "20.0 points below log-mel" in voice
    assert "MFCC" not in voice, "a further control is named only where the encoder is not above it"
    assert beside == "Language: +1.4 points [−2.0, +4.9] against other: not certain."
    assert hidden.startswith("Hidden frames, R² against the better of interpolation and visible mean: at 2 to 5 frames")
    assert pitch == (
        "Pitch of hidden frames: .600 [.500, .700] within 50 cents; 20.0 points above repeating the last visible one "
        "[+10.0, +30.0]; voicing wrong in .100 [.050, .150]; not certain to differ from it (−2.0 points [−6.0, +2.0])."
    )


def _r2(distance: str, value: float, anchors: dict[str, tuple[float, float, float]]) -> list[dict]:
    fields = {"task": "reconstruction", "metric": f"r2 at {distance} frames", "n": 24, "num_groups": 6}
    given = {**fields, "interval_over": "groups", "layer": None}
    rows = [{"system": "wavemae", "value": value, "low": value, "high": value, **given}]
    for name, (difference, low, high) in anchors.items():
        rows.append({"system": f"wavemae minus {name}", "value": difference, "low": low, "high": high, **given})
    return rows


def test_hidden_frames_are_held_against_the_better_anchor() -> None:
    line, mean = "linear interpolation", "mean of visible frames"
    rows = [
        *_r2("1", 0.67, {line: (0.04, 0.02, 0.05), mean: (0.27, 0.22, 0.32)}),
        *_r2("2-3", 0.58, {line: (0.26, 0.22, 0.29), mean: (0.19, 0.15, 0.24)}),
        *_r2("4-5", 0.49, {line: (0.35, 0.30, 0.38), mean: (0.12, 0.08, 0.15)}),
        *_r2("6-8", 0.43, {line: (0.37, 0.32, 0.41), mean: (0.01, -0.01, 0.04)}),
        *_r2("over 8", 0.30, {line: (0.37, 0.32, 0.42), mean: (-0.05, -0.07, -0.02)}),
    ]
    assert reconstruction_verdict(Scores(rows), "wavemae") == (
        "Hidden frames, R² against the better of interpolation and visible mean: "
        "at 2 to 5 frames above it (2-3: .58, +.19 [+.15, +.24]; 4-5: .49, +.12 [+.08, +.15]); "
        "at 1 above it (.67, +.04 [+.02, +.05]); "
        "beyond 5 not certain to differ (6-8: .43, +.01 [−.01, +.04]), below it (over 8: .30, −.05 [−.07, −.02])."
    )


def test_the_probe_in_training_says_what_it_gained(make_inputs: MakeInputs) -> None:
    history = make_inputs().history
    assert probe_in_training(history) == "from .41 to .56: +15.0 points [+5.0, +26.0]"
    doubtful = [{**history[-1], "eval_linear_probe_gain_low": -0.01}]
    assert probe_in_training([*history, *doubtful]).endswith("[−1.0, +26.0], not certain")
    others = [entry | {"eval_linear_probe_clips": "d" * 16} for entry in history[:3]]
    assert probe_in_training([*others, *history]) == probe_in_training(history), "gains are to the same clips"
    assert probe_in_training(history[:3]) == "", "one look has gained nothing"


@pytest.mark.parametrize(
    ("target", "weight", "is_warned"), [("bestrq", 0.05, True), ("bestrq", 0.0, False), ("w2v-bert", 0.05, False)]
)
def test_the_stand_in_for_the_teacher_is_named(
    make_inputs: MakeInputs, target: str, weight: float, is_warned: bool
) -> None:
    run = Run.model_validate({"experiment": "wavemae", "model": {"weights": {"aux_w2v": weight}}})
    found = warnings(make_inputs(run=run, provenance={"train": {"w2v_target": target, "package_digest": "a" * 64}}))
    assert ("The w2v decoder learnt BEST-RQ codes, not W2V-BERT features." in found) == is_warned


def test_nothing_scored_gives_no_sentence(make_inputs: MakeInputs) -> None:
    assert verdict(make_inputs(scores=Scores([]), beside=[])) == []


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
