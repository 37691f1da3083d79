"""An assumption is said once, and counted file by file for the report."""

import json
import warnings

import pytest

from audiorig.data.eda.assumptions import Assumptions, AssumptionWarning, collected


def test_each_is_warned_of_once() -> None:
    assumptions = Assumptions()
    with pytest.warns(AssumptionWarning) as caught:
        for _ in range(3):
            for path in ("EDA/9_EDA.csv", "EDA/1000_EDA.csv"):
                assumptions.assume("unit", "values are in microsiemens", path)
            assumptions.assume("rate", "4 Hz", "EDA/9_EDA.csv")
    assert [str(each.message) for each in caught] == [
        "EDA/9_EDA.csv: values are in microsiemens [unit; of other files it is counted]",
        "EDA/9_EDA.csv: 4 Hz [rate; of other files it is counted]",
    ]
    assert assumptions.count("unit") == 2
    assert assumptions.count("none") == 0


@pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
def test_the_list_counts_all_files_and_shows_the_first_five() -> None:
    assumptions = Assumptions()
    for number in reversed(range(7)):
        assumptions.assume("unit", "values are in microsiemens", f"{number}.csv")
    assumptions.assume("rate", "4 Hz", "1.csv")
    found = assumptions.as_list()
    assert found == [
        {"code": "rate", "text": "4 Hz", "count": 1, "files": ["1.csv"]},
        {
            "code": "unit",
            "text": "values are in microsiemens",
            "count": 7,
            "files": ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"],
        },
    ]
    json.dumps(found, allow_nan=False)
    assert Assumptions().as_list() == []


def test_what_was_said_is_kept_also_if_warnings_are_errors() -> None:
    assumptions = Assumptions()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AssumptionWarning, match=r"a\.csv"):
            assumptions.assume("unit", "values are in microsiemens", "a.csv")
    assert assumptions.count("unit") == 1


def test_what_stages_take_for_granted_is_collected_once() -> None:
    with pytest.warns(AssumptionWarning), collected() as found:
        for _ in range(2):
            warnings.warn("frames are interpolated [interpolated-frames]", AssumptionWarning, stacklevel=1)
        warnings.warn(
            "values are in microsiemens [unit; of other files it is counted]", AssumptionWarning, stacklevel=1
        )
    assert found == [
        {"code": "interpolated-frames", "text": "frames are interpolated", "count": 1, "files": []},
        {"code": "unit", "text": "values are in microsiemens", "count": 1, "files": []},
    ]
