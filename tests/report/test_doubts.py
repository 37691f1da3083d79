"""Warnings that the numbers need, and silence where they need none."""

from collections.abc import Callable

import pytest

from audiorig.config import WaveMAERun
from audiorig.report.doubts import digest_warnings, leak_warnings, warnings
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores

MakeInputs = Callable[..., RunInputs]


@pytest.mark.parametrize(
    ("target", "weight", "is_warned"), [("bestrq", 0.05, True), ("bestrq", 0.0, False), ("w2v-bert", 0.05, False)]
)
def test_the_stand_in_for_the_teacher_is_named(
    make_inputs: MakeInputs, target: str, weight: float, is_warned: bool
) -> None:
    run = WaveMAERun.model_validate({"experiment": "wavemae", "model": {"weights": {"aux_w2v": weight}}})
    found = warnings(make_inputs(run=run, provenance={"train": {"w2v_target": target, "package_digest": "a" * 64}}))
    assert ("The w2v decoder learnt BEST-RQ codes, not W2V-BERT features." in found) == is_warned


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
