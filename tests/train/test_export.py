"""What a training leaves for others."""

import os
from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from audiorig.train.export import export


def test_others_may_read_what_the_rights_of_new_files_allow(tmp_path: Path) -> None:
    model = Wav2Vec2Model(Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, conv_dim=(8,) * 7))
    before = os.umask(0o027)
    try:
        export(
            model,
            [],
            final=tmp_path / "final.ckpt",
            model_folder=tmp_path / "model",
            history_file=tmp_path / "history.json",
            settings={"seed": 3},
            provenance={},
            card="about it",
        )
    finally:
        os.umask(before)
    rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert rights == dict.fromkeys(["README.md", "config.json", "model.safetensors"], 0o640)
    stored = torch.load(tmp_path / "final.ckpt", weights_only=True)
    assert stored["config"] == {"seed": 3}
    assert stored["weights"].keys() == model.state_dict().keys()
