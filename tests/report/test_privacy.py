"""Nothing of a private corpus that names anybody is on a page, in its pictures or in its sounds."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest

from audiorig.config import HomeDemoCorpus, ProbeTask
from audiorig.report.inputs import RunInputs
from audiorig.report.page import build_report
from audiorig.report.scores import beside_others

MakeInputs = Callable[..., RunInputs]
PEOPLE = ("CanaryFamily-Hansen", "CanaryFamily-Iyer", "CanaryFamily-Okafor")
CANARY = re.compile("canary", re.IGNORECASE)


def canary_files() -> pd.DataFrame:
    rows = [
        (
            f"{person}/Canaryvisit-{number}/canaryfile-{person}-{number}.wav",
            person,
            f"canaryfile-{person}-{number}",
            900.0,
            "train",
        )
        for person in PEOPLE
        for number in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["wav_path", "participant_id", "recording_id", "duration_sec", "side"])


def with_canaries(inputs: RunInputs) -> RunInputs:
    """Names in everything that a page is made of."""
    files = canary_files()
    path = files["wav_path"][0]
    problems = [
        (each, "decode_error", "error", f"Error opening '/canary/{each}': no", None, None) for each in files["wav_path"]
    ]
    labels = {
        "participant_id": dict.fromkeys(PEOPLE, 2),
        "recording_id": dict.fromkeys(files["recording_id"], 1),
        "child_id": {"Canarychild": 1},
    }
    split = dict(inputs.split)
    split["sides"] = {side: {**content, "labels": labels} for side, content in inputs.split["sides"].items()}
    split["warnings"] = [f"participant_id {PEOPLE[0]!r} does not occur in test", f"note {path!r} does not occur in dev"]
    where = {"participant_id": (PEOPLE[0],)}
    task = {
        "label": "participant_id",
        "where": where,
        "assign": "values",
        "column": "recording_id",
        "train_values": [files["recording_id"][0]],
        "test_values": [files["recording_id"][1]],
    }
    run = inputs.run.model_copy(
        update={
            "achieves": f"Better than {PEOPLE[1]}",
            "probe": inputs.run.probe.model_copy(
                update={"tasks": {name: ProbeTask.model_validate(task) for name in inputs.run.probe.tasks}}
            ),
            "report": inputs.run.report.model_copy(
                update={"title": f"Run of {PEOPLE[0]}", "notes": (f"{path} is short", f"so is {PEOPLE[2].lower()}")}
            ),
            "train": inputs.run.train.model_copy(
                update={"probe": inputs.run.train.probe.model_copy(update={"where": where})}
            ),
        }
    )
    settings = run.stage("train")
    settings["train"]["max_steps"] = 7  # a difference, so that the page speaks of the settings
    train = {**inputs.provenance["train"], "settings": settings}
    return replace(
        inputs,
        name=f"with-{PEOPLE[0]}",
        run=run,
        corpus=HomeDemoCorpus(kind="home-demo", title=f"Homes of {PEOPLE[0]}", source=f"/canarydisk/{path}"),
        invalid=pd.DataFrame(problems, columns=["wav_path", "reason", "severity", "detail", "value", "bound"]),
        validation={
            **inputs.validation,
            "reasons": [{"severity": "error", "reason": "decode_error", "num_files": len(problems)}],
        },
        split=split,
        examples=[replace(clip, name=path) for clip in inputs.examples],
        provenance={**inputs.provenance, "train": train},
        files=files,
        beside=beside_others(
            [
                {"with": f"without-{PEOPLE[1]}", "task": "activity", "metric": "accuracy", "value": 0.1}
                | {"low": 0.0, "high": 0.2, "n": 3, "num_groups": 3}
            ]
        ),
    )


def everything_in(html: str) -> str:
    """The text of a page, with what its data URIs hold."""
    held = [base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", html)]
    return unescape(html) + "".join(content.decode("latin-1") for content in held)


BUILT: dict[str, str] = {}  # a page takes a second


@pytest.fixture
def page_of(make_inputs: MakeInputs, make_home_inputs: MakeInputs) -> Callable[[str], str]:
    """A page with canaries in all that it is made of, by experiment."""

    def page(experiment: str) -> str:
        if experiment not in BUILT:
            make = make_home_inputs if experiment == "homewav2vec2" else make_inputs
            BUILT[experiment] = build_report(with_canaries(make()))
        return BUILT[experiment]

    return page


@pytest.mark.parametrize("experiment", ["homewav2vec2", "wavemae"])
def test_no_canary_is_on_a_page(page_of: Callable[[str], str], experiment: str) -> None:
    text = everything_in(page_of(experiment))
    assert [text[max(0, hit.start() - 80) : hit.end() + 40] for hit in CANARY.finditer(text)] == []
    assert re.search(r"recording-0\d of participant-0\d", text)
    assert "Every problem: invalid_files.parquet of the corpus" in text
    assert "The corpus is private: participants and recordings have pseudonyms" in text


def test_the_canaries_would_be_seen(make_inputs: MakeInputs) -> None:
    """The same of a public corpus is full of them: the test can fail."""
    inputs = with_canaries(make_inputs())
    text = everything_in(build_report(replace(inputs, corpus=inputs.corpus.model_copy(update={"private": False}))))
    assert len(CANARY.findall(text)) > 20


def test_a_private_corpus_is_neither_seen_nor_heard(page_of: Callable[[str], str]) -> None:
    html = page_of("wavemae")
    assert "data:audio/" not in html
    assert "data:image/png" not in html
    assert "None are shown and none can be heard: the corpus is private." in html


def test_rows_stand_in_the_order_of_pseudonyms(page_of: Callable[[str], str]) -> None:
    """In that of the paths they would tell which name comes first in the alphabet."""
    html = page_of("homewav2vec2")
    shown = re.findall(r'<th scope="row">(recording-\d+ of participant-\d+)</th>', html)
    assert len(shown) == 6
    assert shown == sorted(shown)
    labels = re.findall(r'<th scope="row">participant_id: (participant-\d+)</th>', html)
    assert labels == ["participant-01", "participant-02", "participant-03"]
