"""The task of pre-training on held-out homes: equal models differ by nothing, a broken one is worse."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from audiorig.config import HomeWav2Vec2Run, ProbeConfig, SeededConfig, SplitConfig
from audiorig.data.split import write_split
from audiorig.evaluate.pretext import load_networks, pretext_rows
from audiorig.evaluate.systems import BEFORE
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer

TINY = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24},
    **{"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5], "num_feat_extract_layers": 3},
    **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "codevector_dim": 8},
    **{"proj_codevector_dim": 8, "num_codevectors_per_group": 40},
}
RUN = HomeWav2Vec2Run.model_validate(
    {"experiment": "homewav2vec2", "data": {"crop_sec": 1.0, "dev_crops": 12}, "model": {"num_negatives": 20}}
)
SETTINGS = ProbeConfig(bootstrap=200)
METRICS = ("contrastive_accuracy", "contrastive_loss", "codebook_perplexity")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six homes of noise that changes its level; one is silent, and gives way to others. All are in test."""
    folder, generator = tmp_path_factory.mktemp("homes"), np.random.default_rng(0)
    rows = []
    for home in range(6):
        level = np.repeat(0.1 * generator.random(40), 2000) * (home != 5)
        soundfile.write(folder / f"{home}.wav", level * generator.standard_normal(80000), 16000)
        rows.append({"participant_id": f"p{home}", "wav_path": f"{home}.wav", "duration_sec": 5.0,
                     "sample_rate": 16000, "group_id": f"p{home}"})  # fmt: skip
    table = pd.DataFrame(rows)
    write_split({"train": table.iloc[:0], "dev": table.iloc[:0], "test": table}, SplitConfig(), folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeded") / "tiny"
    make_seeded(SeededConfig(seeded="wav2vec2", settings=TINY), folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Wav2Vec2Pretrainer:
    return load_networks(folder, None, RUN, "after")["after"]


def scored(homes: Path, **models: Any) -> dict[tuple[str, str], dict[str, Any]]:
    rows = pretext_rows(
        {name.replace("_", " "): each for name, each in models.items()}, homes, homes, RUN, SETTINGS, "after"
    )
    return {(row["system"], row["metric"]): row for row in rows}


def test_an_untrained_network_is_near_chance_on_homes_that_are_not_silent(homes, model) -> None:
    rows = scored(homes, after=model)
    assert {system for system, _ in rows} == {"after"}
    loss, accuracy = rows["after", "contrastive_loss"], rows["after", "contrastive_accuracy"]
    assert loss["task"] == "pretext"
    assert loss["low"] < loss["value"] < loss["high"]
    assert abs(loss["value"] - math.log(21)) < 1.5
    assert 0 <= accuracy["value"] < 0.5
    assert (accuracy["n"], accuracy["num_groups"], accuracy["interval_over"]) == (
        12,
        5,
        "groups",
    )  # a silent home gives way


def test_no_change_is_no_difference(homes, model) -> None:
    rows = scored(homes, after=model, before_adaptation=copy.deepcopy(model))
    for metric in METRICS:
        difference = rows[f"after minus {BEFORE}", metric]
        assert (difference["value"], difference["low"], difference["high"]) == (0, 0, 0)


def test_a_difference_is_that_of_the_two_scores(homes, model) -> None:
    """One that says the opposite of what it would say: each answer is turned around."""
    spoilt = copy.deepcopy(model)
    with torch.no_grad():
        for head in (spoilt.project_hid,):
            head.weight.neg_()
            head.bias.neg_()
    rows, turned = scored(homes, after=model), scored(homes, after=spoilt, before_adaptation=model)
    assert turned[BEFORE, "contrastive_loss"]["value"] == rows["after", "contrastive_loss"]["value"]
    difference = turned[f"after minus {BEFORE}", "contrastive_loss"]
    assert difference["value"] != 0
    assert difference["value"] == pytest.approx(
        turned["after", "contrastive_loss"]["value"] - rows["after", "contrastive_loss"]["value"], abs=2e-6
    )


def test_scores_are_the_same_again_and_draw_nothing(homes, model) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    one = scored(homes, after=model)
    assert torch.equal(torch.rand(2), expected)
    assert scored(homes, after=model) == one


def test_a_base_without_a_quantizer_is_not_asked(folder) -> None:
    new = RUN.model_copy(update={"model": RUN.model.model_copy(update={"reinit_quantizer": True})})
    assert set(load_networks(folder, folder, RUN, "after")) == {"after", BEFORE}
    assert set(load_networks(folder, folder, new, "after")) == {"after"}
    assert not load_networks(folder, folder, RUN, "after")[BEFORE].training
