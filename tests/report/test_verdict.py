"""Sentences that the numbers earn."""

from collections.abc import Callable

from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores
from audiorig.report.verdict import verdict

MakeInputs = Callable[..., RunInputs]


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


def test_nothing_scored_gives_no_sentence(make_inputs: MakeInputs) -> None:
    assert verdict(make_inputs(scores=Scores([]), beside=[])) == []
