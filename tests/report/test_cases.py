"""Cells of the sweep's tables, each with its difference to the reference in the same unit."""

import pandas as pd

from audiorig.report.cases import Cell, distance_rows, main_row
from audiorig.report.joined import Joined, Member
from audiorig.report.scores import Estimate, Scores


def _case(name: str, *changes: Estimate) -> Joined:
    """.8 accuracy and .5 R2; ``changes`` hold for both."""
    accuracy, r2 = (Estimate(value, value - 0.1, value + 0.1, 24, 6, "groups") for value in (0.8, 0.5))
    tasks, distances = (dict.fromkeys(key, changes[0]) if changes else {} for key in (["language"], ["2-3"]))
    training = {"settings": {"train": {"max_steps": 100}}, "wall_sec": 20.0, "num_parameters": 2_850_000}
    member = Member(name, Scores([]), pd.DataFrame(), pd.DataFrame(), training, "")
    return Joined(name, name, (member,), {"language": accuracy}, tasks, {}, {}, {"2-3": r2}, distances, {})


def test_differences_stand_under_the_value_and_certain_ones_are_marked() -> None:
    higher, doubtful = (Estimate(0.05, low, 0.08, 24, 6, "groups") for low in (0.02, -0.01))
    reference, *others = distance_rows([_case("all"), _case("dense", higher), _case("sparse", doubtful)])
    assert reference.is_reference
    assert reference.cells == [Cell(".50 [.40, .60]")]
    assert others[0].cells == [Cell(".50 [.40, .60]", "+.05 [+.02, +.08]", True)]
    assert others[1].cells == [Cell(".50 [.40, .60]", "+.05 [−.01, +.08]")]


def test_cost_stands_before_the_tasks() -> None:
    lower = Estimate(-0.05, -0.08, -0.02, 24, 6, "groups")
    row = main_row(_case("dense", lower), _case("all"), ["language"], "model.encoder_mode dense")
    assert row.cells == [
        Cell("2.85 M"),
        Cell("20.0 s"),
        Cell("1.00", "200 ms a step"),
        Cell(".800 [.700, .900]", "−5.0 [−8.0, −2.0]", True),
    ]
    assert not row.is_reference
