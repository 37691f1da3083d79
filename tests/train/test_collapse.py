"""The collapse guard: what ends a run, and what does not."""

import math
from types import SimpleNamespace

import pytest

from audiorig.config import CollapseConfig
from audiorig.errors import DataError
from audiorig.train.collapse import CollapseGuard

SETTINGS = CollapseConfig(min_perplexity_share=0.05, max_accuracy=0.98, patience_steps=4)
GOOD, LOW, EASY = (200.0, 0.5), (20.0, 0.5), (100.0, 0.99)  # perplexity of 640, accuracy


def last_step(history: list[dict[str, float]], settings: CollapseConfig = SETTINGS) -> int | None:
    """The step at which the guard ends a run; None if it does not. A guard knows nothing but the log."""
    for count in range(1, len(history) + 1):
        try:
            CollapseGuard(settings, 640).on_log(None, SimpleNamespace(log_history=history[:count]), None)
        except DataError:
            return int(history[count - 1]["step"])
    return None


def log_of(*steps: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"step": 1 + number, "perplexity": steps[number][0], "accuracy": steps[number][1]}
        for number in range(len(steps))
    ]


@pytest.mark.parametrize("bad", [LOW, EASY, (2.0, 1.0)])
def test_bad_steps_in_a_row_end_the_run(bad: tuple[float, float]) -> None:
    assert last_step(log_of(GOOD, bad, bad, bad, bad, bad)) == 5
    assert last_step(log_of(GOOD, bad, bad, bad, GOOD, bad, bad, bad)) is None


@pytest.mark.parametrize("fine", [GOOD, (33.0, 0.97), (129.0, 1.0), (640.0, 1.0), (32.0, 0.0)])
def test_a_low_perplexity_or_a_good_accuracy_alone_is_fine(fine: tuple[float, float]) -> None:
    assert last_step(log_of(*[fine] * 20)) is None


def test_both_kinds_are_one_row() -> None:
    assert last_step(log_of(LOW, EASY, LOW, EASY)) == 4


def test_evaluations_and_steps_without_frames_do_not_count() -> None:
    history = log_of(LOW, LOW, (math.nan, math.nan), LOW, LOW)
    history.insert(2, {"step": 2, "eval_perplexity": 300.0})
    assert last_step(history) == 5


def test_the_sentence_says_what_was_seen_since_when_and_what_to_do() -> None:
    history = log_of(GOOD, (12.0, 0.9), (2.0, 1.0), (3.0, 0.99), (2.0, 1.0))
    with pytest.raises(DataError) as raised:
        CollapseGuard(SETTINGS, 640).on_log(None, SimpleNamespace(log_history=history), None)
    assert str(raised.value) == (
        "the quantizer has collapsed: from step 2 to step 5 the perplexity of its codebooks was 2 to 12 of at most "
        "640, with a contrastive accuracy of 0.9 to 1; lower train.learning_rate, raise model.diversity_weight or "
        "model.gumbel.start (each starts the run anew), and look at what is heard (silence, one steady noise); to let "
        "it go on, change model.collapse"
    )


def test_steps_in_which_no_frame_counted_end_the_run_too() -> None:
    """All crops too silent: the loss is 0, nothing is learnt, and no perplexity says so."""
    nothing = (math.nan, math.nan)
    assert last_step(log_of(GOOD, nothing, nothing, nothing, nothing, nothing)) == 5
    assert last_step(log_of(nothing, nothing, nothing, GOOD, nothing, nothing, nothing)) is None
    with pytest.raises(DataError, match="no frame counted from step 1 to step 4: every crop was too silent"):
        CollapseGuard(SETTINGS, 640).on_log(None, SimpleNamespace(log_history=log_of(*[nothing] * 4)), None)
