"""Tables with known numbers."""

from collections.abc import Callable

from audiorig.report.inputs import RunInputs
from audiorig.report.tables import beside_table


def test_differences_to_another_run_are_in_their_own_units(make_inputs: Callable[..., RunInputs]) -> None:
    (beside,) = make_inputs().beside
    accuracy, explained = beside_table(beside).rows
    assert accuracy == ("Language", "accuracy", "+1.4 [−2.0, +4.9] points", "not certain", "24", "6")
    assert explained == ("Reconstruction", "R² at 2-3 frames", "+.05 [+.02, +.08] R²", "higher", "24", "6")
