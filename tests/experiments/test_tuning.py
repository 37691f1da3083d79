"""A tuning from files to weights: the same twice, with clips that go bad meanwhile, and what is refused before it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from audiorig.config import FolderCorpus, SeededConfig, SpeechTuneRun, SplitConfig
from audiorig.data.manifest import build_manifest, read_table
from audiorig.data.split import split_manifest, write_split
from audiorig.errors import DataError
from audiorig.experiments import Inputs, build
from audiorig.experiments.tuning import build as build_tuning
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.tuner import SpeechTuner
from audiorig.train.fit import fit

RATE = 16000
NO_PROBLEMS = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
NETWORK: dict[str, Any] = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
    **{"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5], "num_feat_extract_layers": 3},
    **{"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2},
    **{"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4},
}
RUN: dict[str, Any] = {
    "experiment": "speechtune",
    "data": {"corpus": "clips", "split": "mine", "max_sec": 0.3, "max_unreadable_share": 0.1},
    "encoder": {"family": "wav2vec2", "pretrained": "tiny"},
    "targets": {
        "mood": {"kind": "class"},
        "effort": {"kind": "rating", "steps": [1, 2, 3], "threshold": 2},
    },
    "losses": [{"name": "cross_entropy"}, {"name": "coral"}, {"name": "ranking", "weight": 0.3}],
    "train": {
        **{"max_steps": 6, "batch_size": 4, "accumulation": 2, "eval_steps": 3, "save_steps": 3, "cpu_threads": 1},
        **{"learning_rate": 0.01, "selection": {"metric": "uar_mood", "mode": "max", "keep_best": True}},
    },
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """48 clips of 16 speakers, a split of them, and an encoder of random weights."""
    folder = tmp_path_factory.mktemp("tuning")
    root = folder / "clips"
    root.mkdir()
    rows = []
    for index in range(48):
        noise = np.random.default_rng(index).standard_normal(round((0.2 + 0.01 * (index % 7)) * RATE))
        soundfile.write(root / f"{index:02d}.wav", 0.1 * noise, RATE, subtype="PCM_16")
        rows.append({"path": f"{index:02d}.wav", "participant_id": f"p{index // 3:02d}"})
        rows[-1] |= {"mood": ("calm", "glad")[index % 2], "effort": ("1", "2", "3", "")[index % 4]}
    pd.DataFrame(rows).to_csv(root / "metadata.csv", index=False)
    manifest = build_manifest(FolderCorpus(kind="folder", root=str(root), metadata="metadata.csv"), root)
    settings = SplitConfig(shares=(0.5, 0.25, 0.25), seed=3)
    write_split(split_manifest(manifest, NO_PROBLEMS, settings, "mine"), settings, folder / "split")
    make_seeded(SeededConfig(seeded="wav2vec2", seed=0, settings=NETWORK), folder / "tiny")
    return Inputs(split=folder / "split", root=root, folder=folder / "run", pretrained=folder / "tiny")


def with_clips(inputs: Inputs, folder: Path) -> Inputs:
    """The same, with a copy of the clips to be damaged."""
    shutil.copytree(inputs.root, folder / "clips")
    return Inputs(split=inputs.split, root=folder / "clips", folder=folder, pretrained=inputs.pretrained)


def settings_of(**sections: Any) -> SpeechTuneRun:
    return SpeechTuneRun.model_validate(RUN | sections)


def trained(inputs: Inputs, folder: Path, **train: Any) -> tuple[list[dict[str, Any]], SpeechTuner]:
    """The log and the model."""
    run = settings_of(train=RUN["train"] | train)
    experiment = build(run, inputs)
    history, _ = fit(experiment, run.train, folder, run.seed)
    assert isinstance(experiment.model, SpeechTuner)
    return history, experiment.model


def train_names(inputs: Inputs) -> list[str]:
    return read_table(inputs.split / "train.parquet")["wav_path"].tolist()


def test_two_trainings_are_equal_with_and_without_workers(inputs: Inputs, tmp_path: Path) -> None:
    history, model = trained(inputs, tmp_path / "one")
    for name, num_workers in (("two", 0), ("workers", 2)):
        again, other = trained(inputs, tmp_path / name, num_workers=num_workers)
        assert again == history
        weights = other.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert history[0]["replaced_clips"] == 0


def test_clips_that_go_bad_are_replaced_and_counted(inputs: Inputs, tmp_path: Path) -> None:
    """One is no audio any more, one is shorter than a frame of the encoder: two of 24, at most a tenth."""
    damaged = with_clips(inputs, tmp_path)
    first, second, *_ = train_names(inputs)
    (damaged.root / first).write_bytes(b"no audio")
    soundfile.write(damaged.root / second, np.zeros(100), RATE)
    history, _ = trained(damaged, tmp_path / "run")
    assert max(entry.get("replaced_clips", 0) for entry in history) == 2
    for name in train_names(inputs)[2:4]:
        (damaged.root / name).write_bytes(b"no audio")
    with pytest.raises(DataError, match=rf"max_unreadable_share \(0.1\) allows: .*{first}"):
        trained(damaged, tmp_path / "worse")


def test_a_clip_without_a_frame_is_named(inputs: Inputs, tmp_path: Path) -> None:
    """As listed, it is a clip like others; it is the encoder that cannot hear it."""
    run = settings_of(data=RUN["data"] | {"max_sec": 0.02})
    clips = build(run, inputs).train_dataset
    assert clips.shortest == ((8 - 1) * 8 + 8 - 1) * 8 + 10  # samples below one frame, convolution by convolution
    with pytest.raises(DataError, match=r"\.wav: 320 samples at 16000 Hz are left to hear, and a frame .* takes 514"):
        clips[0, 0]


def test_dev_belongs_to_a_run_that_follows_it(inputs: Inputs, tmp_path: Path) -> None:
    """Or a finished run would be taken for that of another dev side."""
    shutil.copytree(inputs.split, tmp_path / "split")
    other = Inputs(split=tmp_path / "split", root=inputs.root, folder=tmp_path, pretrained=inputs.pretrained)
    dev = read_table(inputs.split / "dev.parquet")
    dev.iloc[1:].to_parquet(tmp_path / "split" / "dev.parquet")
    follows, ignores = settings_of(), settings_of(train=RUN["train"] | {"selection": {}})
    assert build(follows, inputs).fingerprint != build(follows, other).fingerprint
    assert build(ignores, inputs).fingerprint == build(ignores, other).fingerprint


def test_a_wrong_label_of_test_is_told_before_the_training(inputs: Inputs, tmp_path: Path) -> None:
    shutil.copytree(inputs.split, tmp_path / "split")
    test = read_table(inputs.split / "test.parquet")
    test.loc[1, "effort"] = "7"
    test.to_parquet(tmp_path / "split" / "test.parquet")
    other = Inputs(split=tmp_path / "split", root=inputs.root, folder=tmp_path, pretrained=inputs.pretrained)
    with pytest.raises(DataError, match=rf"{test['wav_path'][1]}: column 'effort' holds '7'"):
        build_tuning(settings_of(), other)


def test_a_rating_that_dev_cannot_scale_is_told_before_the_training(inputs: Inputs, tmp_path: Path) -> None:
    shutil.copytree(inputs.split, tmp_path / "split")
    dev = read_table(inputs.split / "dev.parquet")
    dev.assign(effort="").to_parquet(tmp_path / "split" / "dev.parquet")
    other = Inputs(split=tmp_path / "split", root=inputs.root, folder=tmp_path, pretrained=inputs.pretrained)
    ranked = settings_of(losses=[{"name": "cross_entropy"}, {"name": "ranking"}])
    build_tuning(ranked, inputs)
    with pytest.raises(DataError, match=r"'effort' is only ranked, .* dev side, which has 0 different ratings"):
        build_tuning(ranked, other)


def test_vectors_are_standardised_by_the_training_side_whatever_was_drawn_before(inputs: Inputs) -> None:
    run = settings_of(head={"standardize": True})
    first = build(run, inputs).model
    torch.manual_seed(123)
    again = build(run, inputs).model
    assert torch.equal(first.heads.center, again.heads.center)
    assert torch.equal(first.heads.scale, again.heads.scale)
    assert first.heads.center.abs().max() > 0 and (first.heads.scale > 0).all()
    plain = build(settings_of(), inputs).model
    plain_encoder, encoder = plain.encoder.state_dict(), first.encoder.state_dict()
    assert all(torch.equal(plain_encoder[name], encoder[name]) for name in plain_encoder)
