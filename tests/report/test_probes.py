"""The encoder beside its controls."""

from collections.abc import Callable

from audiorig.report.inputs import RunInputs
from audiorig.report.probes import layer_curves, probe_dots, probe_table
from audiorig.report.scores import Scores

MakeInputs = Callable[..., RunInputs]


def test_each_control_has_a_row_with_the_paired_difference(make_inputs: MakeInputs) -> None:
    table = probe_table(make_inputs().scores, "language", "wavemae")
    assert table.headers == ("system", "accuracy", "encoder minus system, points", "balanced accuracy")
    by_name = {row[0]: row[1:] for row in table.rows}
    assert list(by_name) == ["wavemae", "untrained encoder", "log-mel", "shuffled labels", "majority"]
    assert by_name["wavemae"] == (".800 [.700, .900]", "–", "–")
    assert by_name["untrained encoder"] == (".790 [.740, .850]", "+1.0 [−5.0, +6.0]", "–")
    assert by_name["majority"] == (".500 [.400, .600]", "–", ".500 [.400, .600]")
    assert table.caption == "24 test items of 6 groups; 95 % intervals: a bootstrap over groups."


def test_items_that_the_encoder_heard_unlabelled_are_counted(rows: Callable[..., list[dict]]) -> None:
    scores = Scores([{**row, "num_pretrained": 7} for row in rows("language")])
    assert (
        "7 of the test items are of the encoder's own training side"
        in probe_table(scores, "language", "wavemae").caption
    )


def test_nothing_probed_is_not_drawn() -> None:
    assert probe_dots(Scores([]), "wavemae") is None
    assert layer_curves(Scores([]), "wavemae") is None
