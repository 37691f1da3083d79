"""The card of a model folder."""

from typing import Any, get_args

import pandas as pd
import pytest
from pydantic import TypeAdapter

from audiorig.config import DemoCorpus, DemoCriesCorpus, DemoEdaCorpus, EdaConfig, HomeDemoCorpus, Run
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.report.card import TARGETS, UNITS, model_card


def run_of(**settings: Any) -> Run:
    run: Run = TypeAdapter(Run).validate_python(settings)
    return run


@pytest.mark.parametrize(
    ("kind", "weight", "sentence"),
    [
        ("bestrq", 0.05, "Its w2v decoder learnt BEST-RQ codes, not W2V-BERT features.\n"),
        ("w2v-bert", 0.05, "Its w2v decoder learnt W2V-BERT features.\n"),
        ("bestrq", 0.0, ""),
    ],
)
def test_card_says_what_the_w2v_decoder_learnt(kind: str, weight: float, sentence: str) -> None:
    run = run_of(experiment="wavemae", teacher={"kind": kind}, model={"weights": {"aux_w2v": weight}})
    card = model_card("tiny", run, DemoCorpus(kind="demo", title="Tones", license="CC0"))
    assert "trained on: Tones (CC0).\n" in card
    assert "w2v" in card if sentence else "w2v" not in card
    assert sentence in card
    assert "AutoModel.from_pretrained" in card


def test_a_wav2vec2_is_loaded_by_the_published_class() -> None:
    run = run_of(experiment="homewav2vec2", data={"sample_rate_hz": 8000}, model={"base": "wav2vec2-base"})
    card = model_card("home", run, HomeDemoCorpus(kind="home-demo", title="Homes", license="made here"))
    assert "pre-trained on from wav2vec2-base, trained on: Homes (made here).\n" in card
    scratch = model_card("home", run, HomeDemoCorpus(kind="home-demo", title="Homes"), is_from_scratch=True)
    assert "pre-trained on from random weights, trained on: Homes" in scratch
    assert 'Wav2Vec2ForPreTraining.from_pretrained("path/to/this/folder")' in card
    assert "sampling_rate=8000" in card
    assert "audiorig.models" not in card
    assert "- wav2vec2\n- homewav2vec2\n" in card
    assert "w2v decoder" not in card


TUNED = {
    "experiment": "infantcry",
    "data": {"corpus": "demo-cries", "split": "by-infant"},
    "encoder": {"family": "wavlm", "pretrained": "wavlm-base-plus"},
    "targets": {"reason": {"kind": "class"}, "is_loud": {"kind": "binary"}},
}


def test_a_tuned_model_answers() -> None:
    corpus = DemoCriesCorpus(kind="demo-cries", title="Cries", license="made here")
    card = model_card("cries", run_of(**TUNED), corpus)
    sentence = "tuned from wavlm-base-plus to reason (class), is_loud (binary), trained on: Cries (made here).\n"
    assert sentence in card and "A wavlm model of" in card
    assert "- audio-classification\n- wavlm\n- infantcry\n" in card and "self-supervised" not in card
    assert 'AutoModel.from_pretrained("path/to/this/folder")' in card and 'output.logits["reason"]' in card
    assert "tuned from random weights to" in model_card("cries", run_of(**TUNED), corpus, is_from_scratch=True)


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ({"run": "wavemae"}, "the model of run wavemae"),
        ({"folder": "/home/somebody/secret"}, "a checkpoint of its own"),
        ({"pretrained": "wavlm-base-plus", "checkpoint": "/home/somebody/secret.pt"}, "a checkpoint of its own"),
    ],
)
def test_where_a_tuned_model_began(encoder: dict[str, Any], name: str) -> None:
    run = run_of(**{**TUNED, "encoder": {"family": "wavlm", **encoder}})
    card = model_card("cries", run, DemoCriesCorpus(kind="demo-cries", title="Cries"))
    assert f"tuned from {name} to reason" in card
    assert "somebody" not in card


def test_the_short_name_of_a_private_corpus_stays_here() -> None:
    run = run_of(experiment="homewav2vec2", data={"corpus": "smith-family"})
    card = model_card("home", run, HomeDemoCorpus(kind="home-demo"))
    assert "smith" not in card
    assert "trained on: a private corpus" in card


def test_what_people_wrote_of_a_private_corpus_has_pseudonyms() -> None:
    files = pd.DataFrame({"wav_path": ["hansen/a.wav"], "participant_id": ["hansen"], "recording_id": ["a"]})
    corpus = HomeDemoCorpus(kind="home-demo", title="The Hansen home", license="consent of hansen")
    card = model_card("adapted-to-hansen", run_of(experiment="homewav2vec2"), corpus, CorpusPseudonyms(files))
    assert "hansen" not in card.lower()
    assert "participant-01" in card
    assert 'from_pretrained("path/to/this/folder")' in card


TRACES = {"experiment": "audio2eda", "data": {"corpus": "demo-eda"}}


def test_a_network_of_traces_says_what_its_numbers_are_and_what_they_are_not() -> None:
    corpus = DemoEdaCorpus(kind="demo-eda", title="Songs", license="made here")
    card = model_card("eda", run_of(**TRACES), corpus)
    assert "A causal network (wavenet encoder, cnn decoder) of" in card
    assert "that predicts skin conductance from music, trained on: Songs (made here).\n" in card
    assert "It counts in deviations of each trace about its own mean: its shape alone, neither" in card
    assert "says nothing of how a person feels or of anybody's health" in card
    assert "- music\n- electrodermal-activity\n- wavenet\n- audio2eda\n" in card and "self-supervised" not in card
    assert 'AutoModel.from_pretrained("path/to/this/folder")' in card
    assert 'MfccConfig.of_key("mfcc_44100_peak_40_64_2048_441")' in card and "align_frames(heard, 100, 4, 25" in card
    other = {"eda": {"target": "tonic", "normalize": "none"}, "model": {"causal": False}}
    card = model_card("eda", run_of(**TRACES, **other), corpus)
    assert "hears what comes as well as what was" in card and "slow (tonic) part" in card
    assert "It counts in microsiemens." in card


def test_every_normalisation_and_target_has_its_words() -> None:
    fields = EdaConfig.model_fields
    assert set(get_args(fields["normalize"].annotation)) == set(UNITS)
    assert set(get_args(fields["target"].annotation)) == set(TARGETS)
