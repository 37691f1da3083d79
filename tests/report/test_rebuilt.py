"""Hidden frames and their pitch: tables with known numbers, and the sentence that they earn."""

from collections.abc import Callable

from audiorig.report.inputs import RunInputs
from audiorig.report.rebuilt import frame_distance_table, pitch_table, reconstruction_verdict
from audiorig.report.scores import Scores

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
