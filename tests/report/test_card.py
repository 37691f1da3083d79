"""The card of a model folder."""

import pytest

from audiorig.config import DemoCorpus, Run
from audiorig.report.card import model_card


@pytest.mark.parametrize(
    ("kind", "weight", "sentence"),
    [
        ("bestrq", 0.05, "Its w2v decoder learnt BEST-RQ codes, not W2V-BERT features.\n"),
        ("w2v-bert", 0.05, "Its w2v decoder learnt W2V-BERT features.\n"),
        ("bestrq", 0.0, ""),
    ],
)
def test_card_says_what_the_w2v_decoder_learnt(kind: str, weight: float, sentence: str) -> None:
    settings = {"teacher": {"kind": kind}, "model": {"weights": {"aux_w2v": weight}}}
    run = Run.model_validate({"experiment": "wavemae", **settings})
    card = model_card("tiny", run, DemoCorpus(kind="demo", title="Tones", license="CC0"))
    assert "trained on: Tones (CC0).\n" in card
    assert "w2v" in card if sentence else "w2v" not in card
    assert sentence in card
