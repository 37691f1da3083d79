"""Runs side by side."""

import re
from collections.abc import Callable

from audiorig.config import WaveMAERun
from audiorig.report.comparison import Compared, build_comparison, comparison_notes
from audiorig.report.inputs import RunInputs


def _compared(inputs: RunInputs, name: str, corpus: str = "demo", digest: str = "a" * 64) -> Compared:
    run = WaveMAERun.model_validate({"experiment": "wavemae", "data": {"corpus": corpus}})
    training = {"package_digest": digest, "wall_sec": 61.0, "num_parameters": 2_000_000}
    return Compared(name, f"{name}/report.html", run, inputs.scores, training)


def test_each_run_has_a_row_and_a_relative_link(make_inputs: Callable[..., RunInputs]) -> None:
    html = build_comparison([_compared(make_inputs(), name) for name in ("first", "second")])
    for text in ('href="first/report.html"', 'href="second/report.html"', "+20.0 [+10.0, +30.0]", ".50 [.40, .60]"):
        assert text in html
    assert all(
        link.startswith(("data:image/", "first/", "second/")) for link in re.findall(r'(?:src|href)="([^"]*)"', html)
    )


def test_what_makes_runs_incomparable_is_said(make_inputs: Callable[..., RunInputs]) -> None:
    inputs = make_inputs()
    assert comparison_notes([_compared(inputs, "only")]) == []
    different = [_compared(inputs, "first"), _compared(inputs, "second", corpus="prompts", digest="c" * 64)]
    corpora, digests, _ = comparison_notes(different)
    assert "different corpora" in corpora
    assert "different states of the package" in digests


def test_no_runs_give_a_page() -> None:
    assert "No runs are named" in build_comparison([])


def test_runs_of_both_experiments_stand_side_by_side(
    make_inputs: Callable[..., RunInputs], make_home_inputs: Callable[..., RunInputs]
) -> None:
    home = make_home_inputs()
    adapted = Compared("home", "home/report.html", home.run, home.scores, {"package_digest": "a" * 64})
    html = build_comparison([_compared(make_inputs(), "first"), adapted])
    for words in ("before adaptation", "Voice class", "Language", ".50 [.40, .60]", "different corpora"):
        assert words in html, words
    alone = build_comparison([adapted])
    assert "econstruct" not in alone
    assert "before adaptation" not in build_comparison([_compared(make_inputs(), "first")])
