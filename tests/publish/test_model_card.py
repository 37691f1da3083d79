"""The card of the Hub: every number of it is of the run's files, and nothing private is in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from audiorig.errors import DataError
from audiorig.publish.model_card import hub_card, read_card_inputs

PLANTED = ["CHILD-0042", "kitchen_0042.wav", "/scratch/homes", "Zelda"]
PUBLISHED = {
    "seeded": False,
    "hub_id": "facebook/wav2vec2-base",
    "revision": "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8",
    "license": "apache-2.0",
}


def card_of(run_folder: Path) -> ModelCard:
    return ModelCard(hub_card(read_card_inputs(run_folder), "team/home"))


Scores = Callable[..., list[dict[str, Any]]]
SPLIT = "corpora/home/splits/by-participant/split_summary.json"


def change(path: Path, **changes: Any) -> None:
    """Some keys of a file of settings or of a record."""
    put(path, {**yaml.safe_load(path.read_text()), **changes})


def put(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))


def test_what_it_is_and_how_it_is_loaded(run_folder: Path) -> None:
    card = card_of(run_folder)
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "transformers"
    assert card.data.base_model is None
    assert {"wav2vec2", "homewav2vec2", "self-supervised", "trained-from-scratch"} <= set(card.data.tags)
    assert card.text.startswith("\n# homewav2vec2\n\nA wav2vec2, pre-trained from random weights by")
    assert "on: Generated home recordings (licence of the audio: made here)." in card.text
    assert 'Wav2Vec2ForPreTraining.from_pretrained("team/home")' in card.text
    assert 'AutoFeatureExtractor.from_pretrained("team/home")' in card.text
    assert "sampling_rate=16000" in card.text


def test_a_published_base_is_named_with_its_commit(run_folder: Path) -> None:
    change(run_folder.parents[1] / "pretrained" / "tiny-wav2vec2" / "manifest.json", **PUBLISHED)
    card = card_of(run_folder)
    assert card.data.base_model == "facebook/wav2vec2-base"
    assert "(commit 0b5b8e86, licence apache-2.0), its pre-training continued by" in card.text
    assert "trained-from-scratch" not in card.data.tags


def test_what_it_heard(run_folder: Path) -> None:
    text = card_of(run_folder).text
    assert "0.60 hours of 6 participants are on the training side." in text
    assert "300 steps, in which it heard 2.50 hours, 0.55 of them distinct (91 % of what there is)." in text
    assert "dev (3 participants) and test (3 participants), are participants of whom it heard nothing." in text
    assert "The recordings are private" in text


@pytest.mark.parametrize(("group", "words"), [("recording", "participants may be on"), ("clip", "may be on several")])
def test_a_weaker_split_is_not_sold_as_held_out_participants(run_folder: Path, group: str, words: str) -> None:
    change(run_folder.parent / SPLIT, group=group)
    text = card_of(run_folder).text
    assert words in text
    assert "of whom it heard nothing" not in text


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        ((0.1, 0.05, 0.15), "Higher after the training than before: Voice."),
        ((0.1, -0.05, 0.25), "Not certain to have changed: Voice."),
        ((-0.1, -0.15, -0.05), "Lower after the training than before: Voice."),
    ],
)
def test_before_and_after_with_intervals(
    run_folder: Path, make_scores: Scores, difference: tuple[float, float, float], sentence: str
) -> None:
    put(run_folder / "metrics.json", make_scores(difference))
    text = card_of(run_folder).text
    assert sentence in text
    assert "| Voice | accuracy | 0.600 [0.500, 0.700] | 0.700 [0.600, 0.800] |" in text
    assert "| Voice | macro f1 |" in text
    assert "|  | log-mel | 0.550 [0.500, 0.600] | +15.0 [+10.0, +20.0] |" in text
    assert "|  | majority | 0.250 [0.250, 0.250] |  |" in text
    assert "120 test items of 3 groups, intervals over clips, because there are too few groups." in text


def test_without_probes_nothing_is_claimed(run_folder: Path) -> None:
    put(run_folder / "metrics.json", [])
    text = card_of(run_folder).text
    assert "No probe was run: nothing is known" in text
    assert "after" not in text.split("## What it reaches")[1].lower()


def test_items_of_the_training_side_are_said(run_folder: Path, make_scores: Scores) -> None:
    put(run_folder / "metrics.json", [{**each, "num_pretrained": 40} for each in make_scores()])
    assert "40 of them it heard, unlabelled, in training" in card_of(run_folder).text


def test_nothing_private_is_in_it(run_folder: Path, make_scores: Scores) -> None:
    """Names planted wherever a file of the run could hold them."""
    child, file, folder, person = PLANTED
    change(
        run_folder.parent / "corpora" / "home" / "corpus.yaml",
        kind="home",
        root=folder,
        source=f"homes of {person}, {folder}/{file}",
        participant_pattern=f"(?P<participant>{child})",
    )
    report = {"experiment": "homewav2vec2", "report": {"notes": [f"{person} is {child}"]}, "achieves": child}
    put(run_folder / "config" / "report.yaml", report)
    split = json.loads((run_folder.parent / SPLIT).read_text())
    for side in split["sides"].values():
        side["labels"] = {"participant_id": {child: 3}}
    put(run_folder.parent / SPLIT, {**split, "warnings": [f"{file}: {child}"]})
    history = json.loads((run_folder / "history.json").read_text())
    put(run_folder / "history.json", [*history, {"step": 300, "worst": file, "of": child}])
    change(run_folder / "final.ckpt.provenance.json", settings={"root": folder}, command=file)
    put(run_folder / "metrics.json", [{**each, "worst": child} for each in make_scores()])
    text = str(card_of(run_folder))
    assert not [name for name in PLANTED if name in text]
    assert "homewav2vec2" in text  # the card was made all the same


def test_a_private_corpus_without_a_title_is_not_named(run_folder: Path) -> None:
    change(run_folder.parent / "corpora" / "home" / "corpus.yaml", title="")
    assert "on: a private corpus (licence" in card_of(run_folder).text


@pytest.mark.parametrize("name", ["metrics.json", "history.json", "final.ckpt.provenance.json", "config"])
def test_what_is_missing_is_named(run_folder: Path, name: str) -> None:
    (run_folder / name).rename(run_folder / "gone")
    with pytest.raises(DataError, match="found no"):
        read_card_inputs(run_folder)


def test_wavemae_is_loaded_by_its_own_class(run_folder: Path, make_scores: Scores) -> None:
    for path in (run_folder / "config").iterdir():
        path.unlink()
    settings = {"experiment": "wavemae", "data": {"corpus": "home", "split": "by-participant"}}
    put(run_folder / "config" / "data.yaml", settings)
    rows = [{**each, "system": each["system"].replace("homewav2vec2", "wavemae")} for each in make_scores()]
    put(run_folder / "metrics.json", [each for each in rows if "before" not in each["system"]])
    put(run_folder / "history.json", [{"step": 10, "total": 1.0}])
    text = card_of(run_folder).text
    assert "A masked autoencoder of speech, trained from random weights" in text
    assert 'AutoModel.from_pretrained("team/home")' in text
    assert "It was trained for 10 steps.\n" in text
    assert "Its w2v decoder learnt BEST-RQ codes" in text
    assert "before" not in text


def test_names_that_somebody_wrote_do_not_reach_the_hub(run_folder: Path) -> None:
    corpus = run_folder.parent / "corpora" / "home" / "corpus.yaml"
    change(corpus, private=True, title="Homes such as home-07", license="consent of home-07, in /archive/homes/07")
    put(
        run_folder / "config" / "report.yaml", {"experiment": "homewav2vec2", "report": {"title": "Adapted to home-07"}}
    )
    card = hub_card(read_card_inputs(run_folder), "team/home")
    assert "home-07" not in card
    assert "/archive" not in card
    assert "# Adapted to participant-01" in card
    assert 'Wav2Vec2ForPreTraining.from_pretrained("team/home")' in card


def test_people_who_are_not_known_are_not_called_held_out(run_folder: Path) -> None:
    path = run_folder.parents[0] / SPLIT
    content = json.loads(path.read_text())
    for side in content["sides"].values():
        side["num_unknown"] = 2
    put(path, content)
    card = hub_card(read_card_inputs(run_folder), "team/home")
    assert "participants of whom it heard nothing" not in card
    assert "recordings of which it heard nothing (participants may be on several sides)" in card


# ------------------------------------------------------------------ tuned models

TARGETS = {"reason": {"kind": "class"}, "effort": {"kind": "rating", "steps": [1, 2, 3], "threshold": 2}}


def answer_row(task: str, kind: str, system: str, metric: str, value: float) -> dict[str, Any]:
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1}
    counts = {"n": 90, "num_groups": 8, "interval_over": "groups"}
    return {"task": task, "kind": kind, "system": system, "metric": metric, **numbers, **counts}


@pytest.fixture
def tuned_folder(run_folder: Path) -> Path:
    """The same run folder, of a run that tuned a published WavLM to two targets."""
    for path in (run_folder / "config").iterdir():
        path.unlink()
    settings = {
        "experiment": "speechtune",
        "data": {"corpus": "home", "split": "by-participant"},
        "encoder": {"family": "wavlm", "pretrained": "tiny-wav2vec2"},
        "targets": TARGETS,
    }
    put(run_folder / "config" / "train.yaml", settings)
    change(run_folder.parents[1] / "pretrained" / "tiny-wav2vec2" / "manifest.json", **PUBLISHED)
    rows = [
        answer_row("reason", "class", "speechtune", "balanced_accuracy", 0.5),
        answer_row("reason", "class", "speechtune", "recall/hungry", 0.9),
        answer_row("reason", "class", "log-mel", "balanced_accuracy", 0.4),
        answer_row("reason", "class", "speechtune minus log-mel", "balanced_accuracy", 0.1),
        answer_row("reason", "class", "permuted labels", "balanced_accuracy", 0.2),
        answer_row("effort", "rating", "speechtune", "spearman", 0.7),
        answer_row("effort", "rating", "speechtune", "mae", 0.3),
    ]
    put(run_folder / "metrics.json", rows)
    put(run_folder / "history.json", [{"step": 40, "total": 1.0}])
    return run_folder


def test_a_tuned_model_is_told_beside_its_controls(tuned_folder: Path) -> None:
    card = card_of(tuned_folder)
    assert card.data.pipeline_tag == "audio-classification"
    assert card.data.base_model == "facebook/wav2vec2-base"
    assert {"audio-classification", "wavlm", "speechtune"} <= set(card.data.tags)
    assert "trained-from-scratch" not in card.data.tags
    text = card.text
    assert "(commit 0b5b8e86, licence apache-2.0), tuned to effort (rating), reason (class) by" in text
    assert "| reason | unweighted average recall | this model | 0.500 [0.400, 0.600] |  |" in text
    assert "|  |  | log-mel | 0.400 [0.300, 0.500] | +0.100 [+0.000, +0.200] |" in text
    assert "|  |  | permuted labels | 0.200 [0.100, 0.300] |  |" in text
    assert "| effort | Spearman correlation | this model | 0.700 [0.600, 0.800] |  |" in text
    assert "- reason: 90 test clips of 8 groups, intervals over groups." in text
    assert "Linear probes" not in text and "recall/hungry" not in text
    assert 'AutoModel.from_pretrained("team/home")' in text


def test_where_a_tuned_model_began(tuned_folder: Path) -> None:
    train = tuned_folder / "config" / "train.yaml"
    change(tuned_folder.parents[1] / "pretrained" / "tiny-wav2vec2" / "manifest.json", seeded=True)
    card = card_of(tuned_folder)
    assert (
        "A wavlm from random weights, tuned to effort (rating), reason (class)" in card.text
        and card.data.base_model is None
    )
    assert "trained-from-scratch" in card.data.tags
    change(train, encoder={"family": "wavemae", "run": "wavemae"})
    card = card_of(tuned_folder)
    assert "The model of run wavemae, tuned to effort (rating), reason (class)" in card.text
    assert card.data.base_model is None and "trained-from-scratch" not in card.data.tags
    change(train, encoder={"family": "wavlm", "folder": "/home/somebody/secret"})
    assert "A checkpoint of its own, tuned to" in (text := card_of(tuned_folder).text) and "somebody" not in text


def test_a_tuned_model_without_scores_claims_nothing(tuned_folder: Path) -> None:
    put(tuned_folder / "metrics.json", [])
    assert "It was not scored: nothing is known" in card_of(tuned_folder).text
