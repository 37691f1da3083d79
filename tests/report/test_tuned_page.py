"""The page of a tuned model: planted perfect and chance answers in words, and nothing that should not be there."""

import re
from dataclasses import replace
from html import unescape
from types import ModuleType
from typing import Any

import pytest

from audiorig.report.inputs import RunInputs, luck_of, num_unreadable
from audiorig.report.page import build_report
from audiorig.report.scores import Estimate, Metric, Scores, beside_others
from audiorig.report.tuned_page import encoder_facts, facts, replaced, tuning_in_words
from audiorig.report.tuned_verdict import (
    against_luck,
    compared,
    outcome_sentence,
    selected_by,
    shuffles_text,
    target_sentence,
    unreadable,
)
from audiorig.report.verdict import verdict


def text_of(html: str) -> str:
    """What a reader sees."""
    body = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(body))


@pytest.fixture(scope="module")
def inputs(planted: ModuleType) -> RunInputs:
    found: RunInputs = planted.inputs(ladder=planted.ladder({"by-clip": (0.98, "other")}), lost=2)
    return found


@pytest.fixture(scope="module")
def html(inputs: RunInputs) -> str:
    return build_report(inputs)


# ------------------------------------------------------------------------------------------------------------- words


def test_perfect_answers_are_above_luck_and_above_the_control(planted: ModuleType) -> None:
    reason, loud, effort, training = verdict(planted.inputs(planted.predictions(right=1.0)))
    assert reason.startswith(
        "Reason on held-out participants: unweighted recall (UAR) 1.000 [1.000, 1.000], above luck (.200; luck alone "
        "reaches this in 1 of 41 shuffles); "
    )
    assert re.search(r"; \d\d\.\d points above log-mel \[\+\d\d\.\d, \+\d\d\.\d\]\.$", reason)
    assert ", above luck (.500;" in loud
    assert effort.startswith("Effort on held-out participants: Spearman's ρ 1.00 [1.00, 1.00], above luck (0; ")
    assert re.search(r"; 0\.\d\d above log-mel \[\+0\.\d\d, \+0\.\d\d\]\.$", effort)
    assert training.startswith(
        "Training stopped early, at step 30 of 40: 2 evaluations in a row brought no gain on dev."
    )
    assert training.endswith("The weights are those of step 10, the best on dev (whole loss 1.5).")


def test_chance_answers_are_not_certain_to_be_above_luck(planted: ModuleType) -> None:
    for sentence in verdict(planted.inputs(planted.predictions(right=0.0)))[:3]:
        assert "not certain to be above luck (" in sentence
        assert re.search(r"luck alone reaches this in \d+ of 41 shuffles", sentence)
        assert ", above luck" not in sentence


def test_above_luck_needs_interval_and_shuffles() -> None:
    mine = Estimate(0.4, 0.3, 0.5, 9, 9, "groups")
    assert against_luck(mine, 0.2, None) == "above luck"
    assert against_luck(mine, 0.2, 0.04) == "above luck"
    assert against_luck(mine, 0.2, 0.3) == "not certain to be above luck"
    assert against_luck(mine, 0.35, 0.01) == "not certain to be above luck"
    assert against_luck(mine, 0.6, 1.0) == "below luck"


def test_shuffles_are_counted_with_the_true_labels() -> None:
    assert shuffles_text(0.004975, 200) == "luck alone reaches this in 1 of 201 shuffles"
    assert shuffles_text(0.78607, 200) == "luck alone reaches this in 158 of 201 shuffles"
    assert shuffles_text(1 / 150, 200) == "luck alone reaches this with p = .007"
    assert shuffles_text(None, 200) == ""


def test_differences_are_told_in_their_own_units() -> None:
    above, below = Estimate(0.1, 0.05, 0.15, 9, 9, ""), Estimate(-0.2, -0.3, -0.1, 9, 9, "")
    unsure = Estimate(0.01, -0.02, 0.04, 9, 9, "")
    assert compared({"a": above, "b": below, "c": unsure}, Metric("UAR")) == [
        "10.0 points above a [+5.0, +15.0]",
        "20.0 points below b [−30.0, −10.0]",
        "not certain to differ from c (+1.0 points [−2.0, +4.0])",
    ]
    assert compared({"b": below, "c": unsure}, Metric("ρ", "ρ", 2)) == [
        "0.20 below b [−0.30, −0.10]",
        "not certain to differ from c (+0.01 [−0.02, +0.04])",
    ]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            {"stopped_early_at": None},
            "Training ended with step 30. The weights are those of step 10, the best on dev (whole loss 1.5).",
        ),
        (
            {"stopped_early_at": None, "weights_step": 30},
            "Training ended with step 30, whose weights these are; dev was best at step 10 (whole loss 1.5).",
        ),
        (
            {"best_step": None, "best_value": None, "weights_step": 30, "stopped_early_at": None},
            "Training ended with step 30. The weights are those of step 30; no evaluation on dev gave a number to "
            "choose by.",
        ),
    ],
)
def test_where_training_ended(planted: ModuleType, outcome: dict[str, Any], told: str) -> None:
    inputs = planted.inputs(history=planted.history(**outcome), scores=Scores([]))
    assert outcome_sentence(inputs, inputs.run) == told
    assert outcome_sentence(replace(inputs, history=inputs.history[:-1]), inputs.run) == ""


def test_what_dev_was_judged_by(planted: ModuleType) -> None:
    asked = {"total": "whole loss", "uar": "mean UAR of all targets", "uar_is_loud": "UAR of is loud", "bce": "bce"}
    for metric, told in asked.items():
        assert selected_by(planted.run(train={"selection": {"metric": metric}})) == told


def test_clips_that_could_not_be_read_are_counted(planted: ModuleType, html: str) -> None:
    inputs = planted.inputs(scores=Scores([]))
    assert unreadable(inputs) == ""
    assert unreadable(replace(inputs, num_unreadable=1)) == "1 clip of test could not be read: no score is about it."
    assert "2 clips of test could not be read: no score is about them." in text_of(html)
    assert replaced(inputs) == "Every clip could be read while training."
    lost = [{**entry, "replaced_clips": 3.0} for entry in inputs.history]
    assert replaced(replace(inputs, history=lost)).startswith("3 clips could not be read while training")
    assert replaced(replace(inputs, history=[])) == ""


def test_a_target_without_scores_is_not_told(planted: ModuleType) -> None:
    target = planted.run().targets["reason"]
    assert target_sentence(Scores([]), planted.SYSTEM, "reason", target) == ""


def test_tuning_in_words(planted: ModuleType) -> None:
    lora = {"rank": 8}
    run = planted.run(tuning={"learn": "nothing", "lora": lora, "num_prompts": 16})
    assert tuning_in_words(run) == "frozen encoder, adapters of rank 8, 16 learnt prompts"
    run = planted.run(tuning={"learn": "last", "num_last": 2, "freeze_front": True, "rate_scale": 0.1})
    assert tuning_in_words(run) == (
        "the last 2 blocks learn, what is before the blocks stays, encoder at 0.1 of the learning rate"
    )
    inputs = planted.inputs(scores=Scores([]))
    assert facts(inputs, inputs.run)["tuning"] == "the whole encoder learns; 12,000 of 496,000 weights learn"
    assert facts(inputs, inputs.run)["encoder"] == (
        "wav2vec2, wav2vec2-base (facebook/wav2vec2-base, revision 0123456789ab)"
    )
    seeded = {"train": {**inputs.training, "base": {"name": "tiny", "seeded": True}}}
    assert "random numbers" in encoder_facts(replace(inputs, provenance=seeded), inputs.run)["encoder"]


# -------------------------------------------------------------------------------------------------------------- page


def test_the_page_is_whole_and_the_same_every_time(inputs: RunInputs, html: str) -> None:
    assert build_report(inputs) == html
    text = text_of(html)
    assert not re.search(r"\b(nan|None|inf)\b", text)
    for words in ("Answers", "The ladder", "Inside the model", "Which clips are alike", "Glossary", "Belly pain"):
        assert words in text
    for link in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert link.startswith(("data:image/svg+xml", "#", "../corpora/"))
    assert html.count('class="small"') == 2
    assert "k-nn accuracy" not in text  # words of probes


def test_of_several_targets_the_ladder_speaks_beside_its_table(html: str) -> None:
    top, ladder = html.split('id="ladder"')
    assert "would have promised in UAR" not in top
    assert "would have promised in UAR" in ladder


def test_rare_classes_do_not_make_the_target_doubtful(html: str) -> None:
    """The recall of a class of three infants is over clips; that of the target is not."""
    assert "too few to resample" not in text_of(html)


def test_text_is_escaped(planted: ModuleType) -> None:
    evil = "<script>alert(1)</script> & more"
    run = planted.run(report={"title": evil, "notes": [evil]}, achieves=evil)
    ladder = planted.ladder({"a": (0.9, "other")})
    ladder["rows"] = [{**row, "title": evil} for row in ladder["rows"]]
    beside = beside_others(
        [
            {"with": evil, "task": "reason", "metric": "balanced_accuracy", "value": 0.1, "low": 0.05, "high": 0.2}
            | {"n": 9, "num_groups": 9}
        ]
    )
    html = build_report(planted.inputs(run=run, ladder=ladder, beside=beside))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in html
    assert f"unweighted recall (UAR) +10.0 points [+5.0, +20.0] against {evil}: better." in text_of(html)


def test_a_page_of_almost_nothing(planted: ModuleType) -> None:
    table = planted.predictions(targets=(planted.REASON,))
    bare = planted.inputs(table, scores=Scores([]), luck={}, history=[], inside={})
    text = text_of(build_report(bare))
    for words in ("No scores were given.", "No losses were logged.", "Nothing was kept to look at."):
        assert words in text


def test_shuffles_and_lost_clips_are_read_from_the_rows(planted: ModuleType) -> None:
    rows = planted.rows(planted.predictions(right=1.0), lost=7)
    assert num_unreadable(rows) == 7
    assert luck_of(rows)["reason", "balanced_accuracy"] == pytest.approx(1 / 41, abs=1e-6)
    assert luck_of([{"task": "x", "system": "majority", "metric": "accuracy"}]) == {}
    assert num_unreadable([]) == 0
