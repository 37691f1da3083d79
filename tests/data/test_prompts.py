"""Real recordings through the data layer, where AUDIORIG_DATA names a folder that has them."""

import os
from pathlib import Path

import numpy as np
import pytest

from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root
from audiorig.data.audio import read_window
from audiorig.data.manifest import build_manifest
from audiorig.data.split import split_manifest
from audiorig.data.validate import validate_corpus

CONFIG = Path(__file__).resolve().parents[2] / "config"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("AUDIORIG_DATA" not in os.environ, reason="AUDIORIG_DATA is not set: no real recordings"),
]


@pytest.fixture(scope="module")
def prompts():
    corpus = Settings({}, CONFIG).corpus("prompts")
    root = corpus_root("prompts", corpus)
    manifest = build_manifest(corpus, root)
    problems, stats, summary = validate_corpus(manifest, root, corpus.validation)
    return corpus, root, manifest, problems, stats, summary


def test_every_prompt_is_listed_with_its_language(prompts) -> None:
    _, _, manifest, *_ = prompts
    assert manifest["language"].value_counts().to_dict() == {"en": 119, "fr": 115, "es": 100}
    assert (manifest["sample_rate"] == 16000).all()
    assert (manifest["participant_id"] == "unknown").all()  # two people speak: no use as groups


def test_near_silent_prompts_are_left_out_and_nothing_else(prompts) -> None:
    _, _, _, problems, stats, summary = prompts
    errors = problems[problems["severity"] == "error"]
    assert set(errors["reason"]) == {"near_silent"}
    assert summary["num_excluded"] == len(errors) == 10
    assert (errors["value"] < -60).all()
    assert len(stats) == 334


def test_the_split_is_by_clip_with_every_language_on_every_side(prompts) -> None:
    corpus, _, manifest, problems, *_ = prompts
    sides = split_manifest(manifest, problems, corpus.splits["by-clip"], "by-clip")
    assert [len(rows) for rows in sides.values()] == [178, 49, 97]
    for rows in sides.values():
        assert set(rows["language"]) == {"en", "fr", "es"}
        shares = rows["language"].value_counts(normalize=True)
        assert 0.28 < shares.min() < shares.max() < 0.38


def test_windows_of_real_flac_equal_the_whole_decode(prompts) -> None:
    _, root, manifest, *_ = prompts
    generator = np.random.default_rng(0)
    for path in manifest["wav_path"][::40]:
        whole = read_window(root / path, 0, -1, 24000)
        for _ in range(5):
            start = int(generator.integers(0, len(whole)))
            window = read_window(root / path, start, 12000, 24000)
            assert np.abs(window - whole[start : start + 12000]).max(initial=0) < 1e-6
