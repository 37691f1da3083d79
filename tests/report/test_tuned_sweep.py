"""Seeds and cases of tuned runs on one page."""

import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiorig.config.sweeps import Sweep
from audiorig.data.target import Target
from audiorig.report.joined import Member
from audiorig.report.joint_page import build_joint_page
from audiorig.report.scores import Scores

RIGHT = {"wavlm": 0.5, "hubert": 0.95, "whisper": 0.5}
TITLES = {"wavlm": "WavLM base+", "hubert": "HuBERT", "whisper": "Whisper tiny"}


def sweep(cases: tuple[str, ...] = tuple(RIGHT), seeds: tuple[int, ...] = (0, 1)) -> Sweep:
    folders = {case: f"ablation-made/{case}" for case in cases}
    changes = {case: {"encoder": {"pretrained": case}} for case in cases[1:]}
    titles = {case: TITLES[case] for case in cases}
    return Sweep("ablation-made", "Made up", "Nothing.", cases[0], seeds, titles, folders, changes, {})


def members(planted: ModuleType, which: Sweep, is_private: bool = False, **more: Any) -> list[Member]:
    found = []
    for case in which.cases:
        for seed in which.seeds:
            table = planted.predictions(RIGHT[case], seed + 10 * list(RIGHT).index(case), **more)
            scores = Scores(planted.rows(table, more.get("targets", planted.TARGETS)))
            training = {"wall_sec": 60.0, "private": is_private}
            link = f"{case}/seed-{seed}/report.html"
            found.append(Member(which.run(case, seed), scores, table, None, training, link, num_unreadable=1))
    return found


@pytest.fixture(scope="module")
def ablation(planted: ModuleType) -> str:
    which = sweep()
    return build_joint_page(which, planted.run(), members(planted, which))


def test_an_ablation_says_which_encoder_is_better(ablation: str) -> None:
    assert "Reason, by UAR against WavLM base+ on the same test clips, better: HuBERT (+" in ablation
    assert "not certain to differ: Whisper tiny (" in ablation
    assert "this run" not in ablation
    assert "what other splits would have promised" not in ablation
    assert "the best of 3 on these test clips is HuBERT, partly the luckiest of them" in ablation


def test_every_run_has_its_row_and_link(ablation: str) -> None:
    for case in RIGHT:
        for seed in (0, 1):
            assert f'<a href="{case}/seed-{seed}/report.html">ablation-made/{case}/seed-{seed}</a>' in ablation
    assert "1 min 00 s" in ablation
    assert "Spearman&#39;s ρ</th>" in ablation


def test_what_weakens_the_page_is_said(ablation: str) -> None:
    for words in ("2 seeds: how much seeds differ", "6 differences stand", "6 times a test clip could not be read"):
        assert words in ablation
    assert "Read the recall, not the accuracy." in ablation


def test_seeds_are_joined_and_their_reach_is_told(planted: ModuleType) -> None:
    which = sweep(("wavlm",))
    made = members(planted, which)
    html = build_joint_page(which, planted.run(), made, planted.ladder({"by-clip": (0.97, "other")}, seeds=(0, 1)))
    values = [each.scores.get("reason", planted.SYSTEM, "balanced_accuracy") for each in made]
    low, high = sorted(each.value for each in values if each)
    told = re.search(
        r"<li>Reason: unweighted recall \(UAR\) (\.\d{3}) .*; the seeds reach from (\.\d+) to (\.\d+)\.</li>", html
    )
    assert told is not None
    assert float(told[1]) == pytest.approx(np.mean([low, high]), abs=6e-4)
    assert [float(told[2]), float(told[3])] == pytest.approx([low, high], abs=6e-4)
    assert "what other splits would have promised in UAR, against this run: by clip" in html
    assert "All 2 seeds together." in html


def test_the_page_is_the_same_every_time_and_fetches_nothing(planted: ModuleType, ablation: str) -> None:
    which = sweep()
    assert build_joint_page(which, planted.run(), members(planted, which)) == ablation
    text = re.sub(r"<[^>]*>", " ", ablation)
    assert not re.search(r"\b(nan|None|inf)\b", text)
    for link in re.findall(r'(?:src|href)="([^"]*)"', ablation):
        assert link.startswith("data:image/svg+xml") or re.fullmatch(r"[a-z]+/seed-\d/report\.html", link)


def test_one_seed_says_so(planted: ModuleType) -> None:
    which = sweep(("wavlm",), (3,))
    html = build_joint_page(which, planted.run(), members(planted, which))
    assert "One seed: the intervals do not hold the luck of the seed." in html
    assert "the seeds reach" not in html


def test_a_private_corpus_shows_no_people_and_nothing_that_was_written(planted: ModuleType) -> None:
    people = tuple(f"canary-{number}" for number in range(5))
    speaker = Target("speaker", "class", "participant_id", people)
    targets = {"speaker": {"kind": "class", "column": "participant_id", "classes": list(people)}}
    run = planted.run(targets=targets, report={"title": "canary", "notes": ["canary"]})
    which = sweep()
    which = Sweep(
        **{**vars(which), "title": "canary", "achieves": "canary", "changes": {"hubert": {"encoder": "canary"}}}
    )
    html = build_joint_page(which, run, members(planted, which, is_private=True, targets=(speaker,)))
    assert "canary" not in html.lower()
    assert "Speaker" in html
    seen = build_joint_page(which, run, members(planted, which, targets=(speaker,)))
    assert seen.lower().count("canary") > 10  # the test can fail
