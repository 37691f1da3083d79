"""The page: whole, well-formed, and dependent on nothing outside it."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from audiorig.config import DemoCorpus, WaveMAERun
from audiorig.report.inputs import RunInputs, no_files
from audiorig.report.page import build_report
from audiorig.report.scores import Scores

MakeInputs = Callable[..., RunInputs]
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Balance(HTMLParser):
    """Collects open tags, anchors, link targets and pictures without words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.wordless = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given["id"]} if given.get("id") else set()
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        self.wordless += tag == "img" and not given.get("alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag at {self.getpos()}"


def _check(html: str) -> Balance:
    page = Balance(html)
    assert page.open == []
    assert page.wordless == 0
    assert all(link.startswith(("#", "data:image/", "data:audio/", "../")) or "://" not in link for link in page.links)
    assert not any(link.startswith(("http:", "https:", "//")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    return page


def test_page_is_balanced_and_needs_no_network(make_inputs: MakeInputs) -> None:
    html = build_report(make_inputs())
    page = _check(html)
    assert "<script" not in html
    assert not re.search(r"url\(|@import", html)
    assert sum(link.startswith("data:image/") for link in page.links) == 6
    assert sum(link.startswith("data:audio/flac;") for link in page.links) == 3
    assert "media-src data:" in html
    assert len(html) < 3_000_000


def test_page_says_what_it_must(make_inputs: MakeInputs) -> None:
    inputs = make_inputs()
    html = build_report(inputs)
    for text in (
        "CC0",
        "tested on test",
        "bootstrap over groups",
        "train.max_steps",
        "invalid_files.parquet",
        "1 min 01 s",
    ):
        assert text in html, text
    assert "a" * 16 in html
    assert "Split by-voice keeps every participant on one side" in " ".join(html.split())


def test_page_shows_what_was_learnt_beside_the_spectra(make_inputs: MakeInputs) -> None:
    html = " ".join(build_report(make_inputs()).split())
    for text in (
        "<figcaption>oracle_phase</figcaption>",
        "oracle_phase: the phase is the true one, which the model never saw: the magnitudes alone are judged.",
        "w2v-bert: W2V-BERT features",
        "from .41 to .56: +15.0 points [+5.0, +26.0].",
        'id="beside-1">Beside run other',
        "last visible pitch",
        "log-spectral distance, hidden, dB",
        "weight × dev",
    ):
        assert text in html, text


def test_what_a_run_has_not_does_not_appear(make_inputs: MakeInputs) -> None:
    losses = [{"step": 1, "main_recon": 1.0}, {"step": 1, "eval_main_recon": 1.0}]
    silent = replace(make_inputs().examples[0], audio={})
    html = build_report(make_inputs(history=losses, beside=[], examples=[silent], scores=Scores([])))
    page = _check(html)
    body = html[: html.index('<h2 id="glossary">')]
    for text in (
        "<audio",
        "Griffin-Lim",
        "Beside",
        "Watched while training",
        "Pitch of hidden",
        "Distances of rebuilt",
    ):
        assert text not in body, text
    assert sum(link.startswith("data:image/") for link in page.links) == 2


def test_the_same_inputs_give_the_same_page(make_inputs: MakeInputs) -> None:
    assert build_report(make_inputs()) == build_report(make_inputs())


def test_a_run_that_has_nothing_yet_still_gives_a_page(make_inputs: MakeInputs) -> None:
    bare = make_inputs(
        scores=Scores([]), history=[], examples=[], provenance={}, environment={}, split={}, validation={}, beside=[]
    )
    html = build_report(bare)
    _check(html)
    assert "No scores were given." in html
    assert "No losses were logged." in html
    assert "No probe was run." in html


def test_names_are_escaped(make_inputs: MakeInputs) -> None:
    inputs = make_inputs()
    settings = {"experiment": "wavemae", "report": {"title": "<b>bold</b>", "notes": ["a <i>note</i>"]}}
    problems = pd.DataFrame([["<u>.wav", "too_short", "error", "", 0.1, 0.3]], columns=inputs.invalid.columns)
    reasons = [{"severity": "error", "reason": "too_short", "num_files": 1}]
    clip = replace(inputs.examples[0], name="<s>.wav")
    html = build_report(
        make_inputs(
            run=WaveMAERun.model_validate(settings),
            corpus=DemoCorpus(kind="demo", license="<em>free</em>"),
            invalid=problems,
            validation={**inputs.validation, "reasons": reasons},
            examples=[clip],
        )
    )
    _check(html)
    for raw in ("<b>", "<i>", "<u>", "<s>", "<em>"):
        assert raw not in html
    assert "&lt;b&gt;bold" in html


@pytest.mark.parametrize("severity", ["error", "warning", "note"])
def test_reasons_say_whether_a_file_was_left_out(make_inputs: MakeInputs, severity: str) -> None:
    inputs = make_inputs()
    reasons = [{"severity": severity, "reason": "some_reason", "num_files": 3}]
    html = build_report(make_inputs(validation={**inputs.validation, "reasons": reasons}))
    assert ("left out</td>" in html) == (severity == "error")


def test_a_page_of_continued_pretraining_is_whole(make_home_inputs: MakeInputs) -> None:
    html = build_report(make_home_inputs())
    page = _check(html)
    assert sum(link.startswith("data:image/") for link in page.links) == 4  # crops, losses, probes, layers
    text = " ".join(html.split())
    for words in (
        "Does training from scratch help? Yes, on Voice class",
        "tiny-wav2vec2: random numbers in the published format, so trained from scratch",
        '<h2 id="crops">Crops</h2>',
        "Participants of the training side",
        "of labelled stretches: learnt on train",
        "contrastive loss, accuracy",
        '<th scope="row">before adaptation</th>',
        "<dt>from scratch</dt>",
        "0.60 h, counted as often as it was read",
    ):
        assert words in text, words
    for words in ('id="reconstruction"', "Griffin-Lim", "main_recon", "w2v target"):
        assert words not in text, words


def test_a_page_of_a_masked_autoencoder_has_no_crops(make_inputs: MakeInputs) -> None:
    html = build_report(make_inputs())
    for words in ('id="crops"', "adaptation", "Gumbel temperature", "The corpus is private"):
        assert words not in html, words


def test_continued_pretraining_that_has_nothing_yet_still_gives_a_page(make_home_inputs: MakeInputs) -> None:
    bare = make_home_inputs(
        scores=Scores([]), history=[], provenance={}, environment={}, split={}, validation={}, files=no_files()
    )
    html = build_report(bare)
    _check(html)
    assert "No scores were given." in html
    assert "Nothing was logged of what was heard." in html
