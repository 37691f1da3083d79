"""Runs side by side."""

import re
from collections.abc import Callable
from types import ModuleType

from audiorig.config import WaveMAERun
from audiorig.report.comparison import Compared, build_comparison, comparison_notes, target_tables
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Scores


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


def test_tuned_runs_stand_in_tables_of_their_own(
    planted: ModuleType, make_inputs: Callable[..., RunInputs], make_home_inputs: Callable[..., RunInputs]
) -> None:
    def tuned(name: str, right: float) -> Compared:
        scores = Scores(planted.rows(planted.predictions(right)))
        return Compared(name, f"{name}/report.html", planted.run(), scores, {"package_digest": "a" * 64})

    runs = [tuned("good", 1.0), tuned("blind", 0.0)]
    tables = dict(target_tables([*runs, _compared(make_inputs(), "first")]))
    assert list(tables) == ["Reason", "Is loud", "Effort"]
    good, blind = tables["Reason"].rows
    assert good[:5] == ("good", "demo-cries, by-infant", "wav2vec2", "1.000 [1.000, 1.000]", ".200")
    assert good[-1].startswith("+")
    assert blind[-1].startswith("−")
    assert tables["Reason"].headers[-1] == "tuned minus log-mel, points"
    assert tables["Effort"].headers[-1] == "tuned minus log-mel"
    assert tables["Effort"].rows[0][3:5] == ("1.00 [1.00, 1.00]", "0")
    html = build_comparison([*runs, _compared(make_inputs(), "first")])
    assert html.index("<h2>Tuned models</h2>") < html.index("<h2>Probes</h2>")
    probes = html.split("<h2>Probes</h2>")[1]
    assert "Reason" not in re.sub(r'"data:[^"]*"', "", probes)
    assert "<h2>Probes</h2>" not in build_comparison(runs)
    assert "<h2>Tuned models</h2>" not in build_comparison([_compared(make_inputs(), "first")])


def test_targets_of_one_name_and_two_kinds_are_two(planted: ModuleType) -> None:
    run = planted.run(targets={"reason": {"kind": "binary"}})
    rows = [{**row, "system": row["system"]} for row in planted.rows(planted.predictions()) if row["task"] == "reason"]
    both = [Compared(name, "x", each, Scores(rows), {}) for name, each in (("a", planted.run()), ("b", run))]
    assert [title for title, _ in target_tables(both)] == ["Reason", "Reason"]
