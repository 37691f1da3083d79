"""A tiny network in exactly the format of the published folder."""

import hashlib
import json
from pathlib import Path

import pytest

PUBLISHED_PREPROCESSOR = {
    "feature_extractor_type": "SeamlessM4TFeatureExtractor",
    "feature_size": 80,
    "num_mel_bins": 80,
    "padding_side": "right",
    "padding_value": 1,
    "processor_class": "Wav2Vec2BertProcessor",
    "return_attention_mask": True,
    "sampling_rate": 16000,
    "stride": 2,
}
# SHA-256 of the published file, pinned in config/pretrained.yaml: the one below is it, byte for byte.
PUBLISHED_DIGEST = "8e6281aad64f97e40534135a59dcc5d33571efae376f2a25adf5551951897ab4"


@pytest.fixture(scope="session")
def w2v_bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights: 3 layers of width 32, all else as published."""
    import torch
    from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

    folder = tmp_path_factory.mktemp("w2v-bert")
    config = Wav2Vec2BertConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, output_hidden_size=32
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Wav2Vec2BertModel(config)
        for parameter in model.parameters():  # fresh position tables are 0 in part, and would hide a wrong seam
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    text = json.dumps(PUBLISHED_PREPROCESSOR, indent=2) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest() == PUBLISHED_DIGEST
    (folder / "preprocessor_config.json").write_text(text)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    return folder
