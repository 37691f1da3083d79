"""Cases and seeds joined: what was planted is found, what was not is called not certain."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import HomeWav2Vec2Run, WaveMAERun
from audiorig.config.sweeps import Sweep
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.report.joined import Joined, Member, join
from audiorig.report.scores import Scores
from audiorig.report.sweep import build_sweep, case_verdict, changes_text, notes

GROUPS, EACH, SEEDS = 24, 24, (0, 1, 2)
ACCURACY = {"all": 0.8, "no-pitch": 0.8, "dense": 0.6, "ratio": 0.85}
TITLES = {"all": "all losses", "no-pitch": "without the pitch loss", "dense": "dense", "ratio": "mask ratio .5"}
RUN = WaveMAERun.model_validate(
    {
        "experiment": "wavemae",
        "probe": {
            "bootstrap": 300,
            "tasks": {
                "language-rotated": {"label": "language", "assign": "rotate"},
                "voice-from-one-clip": {"label": "participant_id", "assign": "shots"},
            },
        },
    }
)


def sweep(cases: tuple[str, ...] = tuple(ACCURACY), seeds: tuple[int, ...] = SEEDS) -> Sweep:
    name = "ablation-made"
    titles = {case: TITLES[case] for case in cases}
    folders = {case: f"{name}/{case}" for case in cases}
    changes = {"no-pitch": {"model": {"weights": {"aux_crepe": 0}}}, "dense": {"model": {"encoder_mode": "dense"}}}
    return Sweep(name, "Made up", "Nothing.", "all", seeds, titles, folders, changes, {"train": {"max_steps": 300}})


def member(case: str, seed: int) -> Member:
    """Hits of the planted rate, hard items hard for all cases; R2 lower where the encoder is dense."""
    item = np.arange(GROUPS * EACH)
    difficulty = np.random.default_rng(0).uniform(size=len(item))
    noise = np.random.default_rng([seed, *case.encode()]).normal(0, 0.05, len(item))
    frames = []
    for task in RUN.probe.tasks:
        for system, rate in (("wavemae", ACCURACY[case]), ("log-mel", 0.5), ("random-init", 0.7)):
            shift = noise if system == "wavemae" else 0
            hit = (difficulty + shift < rate).astype(float)
            columns = {"task": task, "system": system, "item": [f"{i:03d}.wav" for i in item], "hit": hit}
            frames.append(pd.DataFrame(columns | {"group": [f"v{i % GROUPS:02d}" for i in item]}))
    total = np.random.default_rng(1).uniform(50, 150, GROUPS) * (0.5 if case == "ratio" else 1)
    share = 0.7 if case == "dense" else 0.5
    errors = {"item": [f"{i}.wav" for i in range(GROUPS)], "group": [f"v{i:02d}" for i in range(GROUPS)]}
    for index in range(len(DISTANCES)):
        wobble = np.random.default_rng([seed, index, *case.encode()]).normal(0, 0.01, GROUPS)
        errors |= {f"sse_total_{index}": total, f"sse_model_{index}": total * (share + wobble)}
    settings = {"train": {"max_steps": 300}}
    training = {"wall_sec": 90.0 if case == "dense" else 60.0, "num_parameters": 2_850_000, "settings": settings}
    name = f"ablation-made/{case}/seed-{seed}"
    row: dict[str, Any] = {"task": "language-rotated", "system": "wavemae", "metric": "accuracy", "value": 0.8}
    row |= {"low": 0.7, "high": 0.9, "n": 576, "num_groups": 24, "interval_over": "groups", "layer": "all"}
    pitch = {**row, "task": "pitch", "metric": "rpa50", "value": 0.3 + 0.1 * seed}
    scores = Scores([{**row, "num_pretrained": 336}, *([] if case == "no-pitch" else [pitch])])
    return Member(name, scores, pd.concat(frames), pd.DataFrame(errors), training, f"{case}/seed-{seed}/report.html")


def members(which: Sweep) -> list[Member]:
    return [member(case, seed) for case in which.cases for seed in which.seeds]


@pytest.fixture(scope="module")
def cases() -> dict[str, Joined]:
    return {case.name: case for case in join(sweep(), members(sweep()), RUN.probe, "wavemae")}


def test_planted_differences_are_found_and_others_are_not_certain(cases: dict[str, Joined]) -> None:
    assert next(iter(cases)) == "all"
    for task in RUN.probe.tasks:
        assert cases["all"].tasks[task].value == pytest.approx(0.8, abs=0.05)
        assert cases["dense"].task_differences[task].direction == "below"
        assert cases["dense"].task_differences[task].value == pytest.approx(-0.2, abs=0.03)
        assert cases["no-pitch"].task_differences[task].direction == "uncertain"
        assert cases["ratio"].task_differences[task].direction == "above"
    assert all(each.direction == "below" for each in cases["dense"].distance_differences.values())
    assert cases["all"].task_differences == {}


def test_the_mean_is_that_of_the_seeds_and_controls_are_below(cases: dict[str, Joined]) -> None:
    for case in cases.values():
        for task, estimate in case.tasks.items():
            assert estimate.value == pytest.approx(np.mean(case.task_seeds[task]))
            assert len(case.task_seeds[task]) == len(SEEDS)
    assert cases["all"].beside["log-mel"]["language-rotated"].direction == "above"


def test_r2_of_other_hidden_frames_is_not_subtracted(cases: dict[str, Joined]) -> None:
    assert cases["ratio"].distance_differences == {}
    assert len(cases["ratio"].distances) == len(DISTANCES)
    assert "R² not compared" in case_verdict(cases["ratio"])


def test_a_sentence_for_each_case(cases: dict[str, Joined]) -> None:
    sentence = case_verdict(cases["no-pitch"])
    assert re.match(
        r"Without the pitch loss: Language rotated [+−]?\d\.\d points \[−\d\.\d, \+\d\.\d\], not certain; ", sentence
    )
    assert "points" in case_verdict(cases["dense"])
    assert ", lower;" in case_verdict(cases["dense"])
    assert "R² of hidden frames lower at every distance" in case_verdict(cases["dense"])


def test_notes_say_what_weakens_the_table(cases: dict[str, Joined]) -> None:
    text = " ".join(notes(sweep(), list(cases.values()), RUN))
    assert "3 seeds a case" in text
    assert "6 differences" in text
    assert "336 of the 576 test items" in text


def test_the_page_holds_all_and_fetches_nothing() -> None:
    html = build_sweep(sweep(), RUN, members(sweep()))
    for text in ("all losses", "without the pitch loss", "1.50", "2.85 M", "200 ms a step", "model.encoder_mode dense"):
        assert text in html
    for link in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert link.startswith("data:image/") or re.fullmatch(r"[a-z-]+/seed-\d/report\.html", link)
    assert ".400 (.300 to .500)" in html  # pitch: mean and range of the seeds
    assert html.count("/report.html") == len(ACCURACY) * len(SEEDS)


def test_one_case_is_a_run_with_several_seeds() -> None:
    alone = sweep(("all",))
    html = build_sweep(alone, RUN, members(alone))
    assert "the seeds from" in html
    assert "above log-mel" in html or "minus log-mel" in html
    assert "not compared" not in html
    assert "6 differences" not in html


def test_one_seed_says_so() -> None:
    one = sweep(("all", "dense"), (4,))
    html = build_sweep(one, RUN, members(one))
    assert "One seed a case" in html


def test_changes_are_written_with_dots() -> None:
    assert changes_text({"model": {"mask_ratio": 0.5, "weights": {"aux_w2v": 0}}, "achieves": None}) == (
        "model.mask_ratio 0.5, model.weights.aux_w2v 0, achieves taken away"
    )


def adapted_member(case: str, seed: int) -> Member:
    """Like `member`, of an experiment that rebuilds nothing and has an encoder to begin with."""
    other = member(case, seed)
    probes = other.probes.replace({"system": {"wavemae": "homewav2vec2"}})
    before = probes[probes["system"] == "random-init"].assign(system="before adaptation")
    return replace(other, probes=pd.concat([probes, before]), reconstructions=None)


def test_a_sweep_of_continued_pretraining_is_set_beside_its_beginning() -> None:
    run = HomeWav2Vec2Run.model_validate({**RUN.model_dump(include={"probe"}), "experiment": "homewav2vec2"})
    which = sweep(("all", "dense"))
    html = build_sweep(which, run, [adapted_member(case, seed) for case in which.cases for seed in which.seeds])
    assert "all losses minus before adaptation" in html
    assert "econstruct" not in html
    assert "econstruct" in build_sweep(which, RUN, members(which))


def test_changes_that_name_people_are_not_spelled_out() -> None:
    changes = {"probe": {"tasks": {"voice": {"where": {"participant_id": ["somebody"]}}}}}
    assert changes_text(changes) == "probe.tasks.voice.where.participant_id set"
