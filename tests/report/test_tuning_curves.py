"""Curves of a tuned run: what is drawn, and which step is marked."""

from types import ModuleType

from audiorig.report.tuning_curves import tuning_curves


def test_the_kept_step_is_marked_and_told(planted: ModuleType) -> None:
    marked = tuning_curves(planted.history(), 10)
    assert marked is not None
    assert marked.caption == "Dotted: step 10, whose weights the run ended with."
    plain = tuning_curves(planted.history(), None)
    assert plain is not None
    assert plain.caption == ""
    assert plain.uri != marked.uri
    assert tuning_curves(planted.history(), 10) == marked


def test_one_term_is_the_whole_loss_and_no_log_is_no_picture(planted: ModuleType) -> None:
    one = [{"step": step, "total": 1 / step, "bce": 1 / step, "learning_rate": 1e-3} for step in (1, 2, 3)]
    two = [{**entry, "coral": 0.1} for entry in one]
    pictures = [tuning_curves(log, None) for log in (one, two)]
    assert all(pictures)
    assert len({picture.uri for picture in pictures if picture}) == 2
    assert tuning_curves([], None) is None
    assert tuning_curves([{"step": 1, "eval_total": 2.0}], None) is None
