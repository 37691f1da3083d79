"""The temperature: a function of the step, on whatever model."""

from types import SimpleNamespace

import pytest

from audiorig.config import GumbelConfig
from audiorig.train.gumbel import GumbelSchedule


def test_it_falls_by_a_factor_and_stops_at_the_end() -> None:
    schedule = GumbelSchedule(GumbelConfig(start=2.0, end=0.5, decay=0.5), is_seeded=False)
    assert [schedule.temperature(step) for step in range(5)] == [2.0, 1.0, 0.5, 0.5, 0.5]
    assert schedule.temperature(10**7) == 0.5


@pytest.mark.parametrize(("is_seeded", "start"), [(True, 2.0), (False, 0.5)])
def test_the_start_depends_on_what_is_gone_on_from(is_seeded: bool, start: float) -> None:
    assert GumbelSchedule(GumbelConfig(), is_seeded).temperature(0) == start
    assert GumbelSchedule(GumbelConfig(start=1.5), is_seeded).temperature(0) == 1.5


def test_it_is_set_before_the_step_and_logged_after() -> None:
    given: list[float] = []
    model = SimpleNamespace(set_gumbel_temperature=given.append)
    schedule = GumbelSchedule(GumbelConfig(start=1.0, end=0.1, decay=0.9), is_seeded=True)
    for step in (0, 7):
        schedule.on_step_begin(None, SimpleNamespace(global_step=step), None, model=model)
        assert schedule.numbers() == {"temperature": given[-1]}
    assert given == [1.0, 0.9**7]
