"""Runs side by side."""

import re
from collections.abc import Callable

from audiorig.config import Run
from audiorig.report.comparison import Compared, build_comparison, comparison_notes
from audiorig.report.inputs import RunInputs


def _compared(inputs: RunInputs, name: str, corpus: str = "demo", digest: str = "a" * 64) -> Compared:
    run = Run.model_validate({"experiment": "wavemae", "data": {"corpus": corpus}})
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
