"""Nothing on the page of a tuned model names anybody of a private corpus, wherever names were planted."""

import base64
import re
from dataclasses import replace
from html import unescape
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiorig.config import HomeDemoCorpus
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.data.target import Target
from audiorig.evaluate.ladder import LadderCase, build_ladder
from audiorig.report.inputs import RunInputs, luck_of
from audiorig.report.page import build_report
from audiorig.report.scores import Scores, beside_others
from audiorig.report.tuned_privacy import answers_without_names

CANARY = re.compile("canary", re.IGNORECASE)
PEOPLE = tuple(f"CanaryFamily-{name}" for name in ("Hansen", "Iyer", "Okafor", "Silva", "Zhou"))
WHO = "is_canaryfamily-iyer_fast"  # a target that somebody named after a person


def files() -> pd.DataFrame:
    rows = [
        (f"{person}/Canaryvisit/canaryfile-{person}.wav", person, f"canaryfile-{person}", 900.0, "test")
        for person in PEOPLE
    ]
    return pd.DataFrame(rows, columns=["wav_path", "participant_id", "recording_id", "duration_sec", "side"])


def named(planted: ModuleType, is_private: bool = True) -> RunInputs:
    """A run that tells people apart, with names in all that it leaves behind."""
    speaker = Target("speaker", "class", "participant_id", PEOPLE)
    loud = Target(WHO, "binary", "is_loud", positive=("1",), negative=("0",))
    table = planted.predictions(targets=(speaker, loud), prefix="CanaryFamily")
    path = files()["wav_path"][0]
    scored = planted.rows(table, (speaker, loud))
    targets = {
        "speaker": {"kind": "class", "column": "participant_id", "classes": list(PEOPLE)},
        WHO: {"kind": "binary", "column": "is_loud"},
    }
    targets["speaker"]["merge"] = {"Canaryfile-x": PEOPLE[0]} | {PEOPLE[3]: PEOPLE[4]}
    run = planted.run(
        targets=targets,
        groups={"canaryfamily-silva": [WHO]},
        losses=[{"name": "cross_entropy"}, {"name": "bce", "targets": ["canaryfamily-silva"]}],
        encoder={"family": "wavlm", "folder": f"/data/{PEOPLE[1]}/model"},
        ladder={"by-clip": {"title": f"with {PEOPLE[2]}", "settings": {"data": {"split": PEOPLE[3]}}}},
        train={"max_steps": 40, "selection": {"metric": f"uar_{WHO}", "mode": "max", "keep_best": True}},
        report={"title": f"Of {PEOPLE[0]}", "compare_with": PEOPLE[4].lower()},
    )
    inside = planted.inside()
    names = {
        **{f"name_{index}": np.array(path) for index in range(2)},
        **{f"group_{index}": np.array(PEOPLE[index]) for index in range(2)},
        "map_name": np.array([path] * 40),
        "map_group": np.array([PEOPLE[index % 5] for index in range(40)]),
        "targets": np.array(["speaker", WHO]),
    }
    names |= {f"{key}_{index}": inside[f"{key}_{index}"][:2] for index in range(2) for key in ("true", "predicted")}
    names["map_true"] = inside["map_true"][:, :2]
    history = planted.history(best_value=0.5)
    history.insert(-1, {"step": 30, f"eval_uar_{WHO}": 0.5, f"eval_recall_speaker_{PEOPLE[1]}": 0.4})
    settings = run.stage("train")
    settings["train"]["max_steps"] = 7  # differences, so that the page speaks of settings
    settings["targets"]["speaker"]["classes"] = [*PEOPLE, "Canaryfile-y"]
    base = {"name": f"/data/{PEOPLE[1]}/model", "hub_id": f"{PEOPLE[1]}/model", "revision": "0" * 40}
    case = LadderCase("by-clip", f"with {PEOPLE[2]}", {0: table})
    corpus = HomeDemoCorpus(kind="home-demo", title=f"Homes of {PEOPLE[0]}", private=is_private)
    beside: dict[str, Any] = {"with": PEOPLE[4], "task": WHO, "metric": "balanced_accuracy"}
    beside |= {"value": 0.1, "low": 0.05, "high": 0.2, "n": 9, "num_groups": 9}
    inputs: RunInputs = planted.inputs(
        run=run,
        predictions=table,
        scores=Scores(scored),
        luck=luck_of(scored),
        history=history,
        inside=inside | names,
        corpus=corpus,
        files=files(),
        ladder=build_ladder([LadderCase("cry", "", {0: table}), case], 100),
        beside=beside_others([beside]),
    )
    train = {**inputs.provenance["train"], "settings": settings, "base": base}
    return replace(inputs, provenance={**inputs.provenance, "train": train})


def everything_in(html: str) -> str:
    """The text of a page, with what its data URIs hold."""
    held = [base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", html)]
    return unescape(html) + "".join(content.decode("latin-1") for content in held)


@pytest.fixture(scope="module")
def private(planted: ModuleType) -> RunInputs:
    return named(planted)


def test_no_canary_is_on_the_page(private: RunInputs) -> None:
    text = everything_in(build_report(private))
    assert [text[max(0, hit.start() - 80) : hit.end() + 40] for hit in CANARY.finditer(text)] == []
    assert "Participant 0" in text  # the classes of the target
    assert "Is participant 0" in text  # the name of a target
    assert "The corpus is private: participants and recordings have pseudonyms" in text


def test_the_canaries_would_be_seen(planted: ModuleType) -> None:
    """The same of a public corpus is full of them: the test can fail."""
    text = everything_in(build_report(named(planted, is_private=False)))
    assert len(CANARY.findall(text)) > 20


def test_nothing_that_is_drawn_is_called_by_a_name(private: RunInputs) -> None:
    """Pictures hold letters as outlines, which no search for text would find."""
    hidden = answers_without_names(private)
    drawn = [str(value.tolist()) for value in hidden.inside.values()]
    drawn += [str(entry) for entry in hidden.history]
    drawn += [str(hidden.predictions.attrs), str(hidden.predictions.to_dict()), str(hidden.ladder), str(hidden.luck)]
    drawn += [str(list(hidden.scores.estimates)), str(hidden.beside[0].differences), str(hidden.provenance)]
    run = hidden.run.model_copy(update={"report": hidden.run.report.model_copy(update={"title": ""})})
    drawn.append(str(run))  # the title is hidden as that of every run is
    assert [text for text in drawn if CANARY.search(text)] == []
    assert list(hidden.predictions) == [*("system", "side", "target", "kind", "true", "predicted", "probabilities")]
    assert not [name for name in hidden.inside if name.startswith("envelope_")]


def test_the_numbers_stay_as_they_are(private: RunInputs) -> None:
    hidden = answers_without_names(private)
    assert sorted(each.value for each in hidden.scores.estimates.values()) == sorted(
        each.value for each in private.scores.estimates.values()
    )
    assert np.array_equal(hidden.inside["map"], private.inside["map"])
    hits = [rows["predicted"] == rows["true"] for rows in (hidden.predictions, private.predictions)]
    assert hits[0].equals(hits[1])


def test_people_stand_in_the_order_of_their_pseudonyms(private: RunInputs) -> None:
    """In their own, which is that of the alphabet, the pseudonyms would tell who is who."""
    hidden = answers_without_names(private)
    speaker = hidden.predictions.attrs["targets"][0]
    assert speaker["classes"] == [f"participant-0{number}" for number in range(1, 6)]
    names = CorpusPseudonyms(private.files)
    before = private.predictions[private.predictions["target"] == "speaker"]
    after = hidden.predictions[hidden.predictions["target"] == "speaker"]
    for column in ("true", "predicted"):
        meant = [names.participants[PEOPLE[int(number)]] for number in before[column]]
        assert [speaker["classes"][int(number)] for number in after[column]] == meant
    on_map = [speaker["classes"][int(number)] for number in hidden.inside["map_true"][:, 0]]
    assert on_map == [names.participants[PEOPLE[int(number)]] for number in private.inside["map_true"][:, 0]]
    assert np.array_equal(hidden.inside["map_true"][:, 1], private.inside["map_true"][:, 1], equal_nan=True)
    html = build_report(private)
    shown = re.findall(r'<th scope="row">Participant (0\d)</th>', html)
    assert shown == sorted(shown)
    assert len(shown) == 5


def test_pseudonyms_of_the_scoring_stay(private: RunInputs) -> None:
    groups = np.array(["participant-03", "recording-01 of participant-02", "not listed", "unknown"])
    hidden = answers_without_names(replace(private, inside={**private.inside, "map_group": groups}))
    assert hidden.inside["map_group"].tolist() == groups.tolist()


def test_a_public_corpus_is_left_as_it_is(planted: ModuleType) -> None:
    inputs = planted.inputs(scores=Scores([]))
    assert answers_without_names(inputs) is inputs
