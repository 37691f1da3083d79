"""Dots with intervals: a panel for each task that has some, a line at chance."""

import base64

from audiorig.report.figures import Dot, Panel, dot_panels
from audiorig.report.scores import Estimate


def test_a_panel_without_dots_is_left_out() -> None:
    dot = Dot("encoder", Estimate(0.8, 0.7, 0.9, 24, 6, "groups"))
    picture = dot_panels([Panel("language", [dot]), Panel("voice", []), Panel("age", [dot])], "Two tasks.")
    assert picture is not None
    drawn = base64.b64decode(picture.uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert [f'<g id="axes_{number}">' in drawn for number in (1, 2, 3)] == [True, True, False]
    assert dot_panels([Panel("voice", [])], "Nothing.") is None


def test_chance_is_drawn_where_it_is_known() -> None:
    dots = [Dot("encoder", Estimate(0.8, 0.7, 0.9, 24, 6, "groups"))]
    known, unknown = (dot_panels([Panel("language", dots, chance)], "One task.") for chance in (0.25, None))
    assert known is not None
    assert unknown is not None
    dashes = ["stroke-dasharray: 4,3" in base64.b64decode(each.uri.split(",")[1]).decode() for each in (known, unknown)]
    assert dashes == [True, False]
