"""Tables with known numbers."""

from collections.abc import Callable

import pytest

from audiorig.config import Run
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores
from audiorig.report.tables import beside_table, frame_distance_table, loss_parts, loss_table, pitch_table

MakeInputs = Callable[..., RunInputs]


def test_distances_of_frames_stand_beside_the_anchors(make_inputs: MakeInputs) -> None:
    table = frame_distance_table(make_inputs().scores, "wavemae")
    assert table.headers[1:] == (
        "log-spectral distance, hidden, dB",
        "mel distance, hidden, dB",
        "log-spectral distance, visible, dB",
    )
    by_name = {row[0]: row[1:] for row in table.rows}
    assert by_name["wavemae"] == ("7.50 [7.10, 7.90]", "7.50 [7.10, 7.90]", "2.25 [2.00, 2.50]")
    assert by_name["linear interpolation"][0] == "9.00 [8.50, 9.50]"
    assert by_name["mean of visible frames"][2] == "–", "nothing is guessed where nothing is hidden"
    assert by_name["wavemae minus linear interpolation"][0] == "−1.50 [−1.90, −1.10]"
    assert table.caption.endswith("Less is better.")


def test_pitch_stands_beside_the_last_visible_pitch(make_inputs: MakeInputs) -> None:
    table = pitch_table(make_inputs().scores, "wavemae")
    assert [row[0] for row in table.rows] == ["wavemae", "last visible pitch", "wavemae minus last visible pitch"]
    assert table.rows[0][1:] == (".600 [.500, .700]", ".100 [.050, .150]", "123 [100, 150]")
    assert table.rows[2][1:] == ("+20.0 [+10.0, +30.0]", "−2.0 [−6.0, +2.0]", "−50 [−80, −20]")
    assert "Less is better: voicing wrong (V/UV error); error (RMSE)." in table.caption


def test_what_was_not_scored_has_no_table() -> None:
    assert frame_distance_table(Scores([]), "wavemae").rows == ()
    assert pitch_table(Scores([]), "wavemae").rows == ()


def test_parts_of_the_loss_have_weight_and_last_values() -> None:
    run = Run.model_validate({"experiment": "wavemae", "model": {"weights": {"main_percep": 0.5}}})
    history = [
        {"step": 1, "total": 3.0, "main_recon": 1.0, "main_percep": 4.0, "level": 1.0, "grad_norm": 9.0},
        {"step": 2, "total": 1.0, "main_recon": 0.5, "main_percep": 1.0, "level": None},
        {"step": 2, "eval_main_percep": 2.0, "eval_latent_rank": 9.0, "eval_linear_probe_accuracy": 0.5},
    ]
    rows = {row[0]: row[1:] for row in loss_table(history, run.model).rows}
    assert list(rows) == ["total", "main_recon", "level", "main_percep"]
    assert rows["main_percep"] == ("0.5", "2.5000", "2.0000", "1.0000")
    assert rows["total"] == ("–", "2.0000", "–", "–")
    assert rows["level"] == ("0.2 in main_recon", "1.0000", "–", "–")


@pytest.mark.parametrize(("parts", "shown"), [(("main_recon",), False), (("main_recon", "aux_w2v"), True)])
def test_the_total_is_shown_only_where_several_parts_make_it_up(parts: tuple[str, ...], shown: bool) -> None:
    history = [{"step": 1, "total": 1.0, **dict.fromkeys(parts, 1.0)}]
    assert ("total" in loss_parts(history)) == shown


def test_differences_to_another_run_are_in_their_own_units(make_inputs: MakeInputs) -> None:
    (beside,) = make_inputs().beside
    accuracy, explained = beside_table(beside).rows
    assert accuracy == ("Language", "accuracy", "+1.4 [−2.0, +4.9] points", "not certain", "24", "6")
    assert explained == ("Reconstruction", "R² at 2-3 frames", "+.05 [+.02, +.08] R²", "higher", "24", "6")
