"""Folders of random numbers are what each family publishes: transformers reads them, by the classes that people use."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_encoders import CONVOLUTIONS, WHISPER, tiny_folder
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    HubertForSequenceClassification,
    WavLMForSequenceClassification,
    WhisperForAudioClassification,
)

from audiorig.config import EncoderConfig, PretrainedConfig, SeededConfig
from audiorig.data.pretrained import remove_weights, verify
from audiorig.errors import ConfigError, DataError
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.seeded import make_seeded

ROOT = Path(__file__).parents[3]
ENTRIES: dict[str, Any] = yaml.safe_load((ROOT / "config" / "pretrained.yaml").read_text(encoding="utf-8"))
CLASSES = {
    "hubert": HubertForSequenceClassification,
    "wavlm": WavLMForSequenceClassification,
    "whisper": WhisperForAudioClassification,
}
ARCHITECTURES = {
    **{"wav2vec2": "Wav2Vec2ForPreTraining", "hubert": "HubertModel", "wavlm": "WavLMModel"},
    "whisper": "WhisperForConditionalGeneration",
}


def test_what_is_missing_is_made_again_by_its_own_rule(tmp_path: Path) -> None:
    folder = tiny_folder("hubert-group", tmp_path / "m")
    remove_weights(folder)
    with pytest.raises(DataError, match=r"model\.safetensors: found no file.*--forcerun seed_pretrained"):
        verify(folder)


@pytest.mark.parametrize("family", CLASSES)
def test_transformers_reads_it(family: str, tmp_path: Path) -> None:
    kind = family if family == "whisper" else f"{family}-group"
    folder = tiny_folder(kind, tmp_path / "m")
    manifest = verify(folder)
    assert manifest["seeded"] is True and manifest["hub_id"] == f"seeded/{family}"
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= {each.name for each in folder.iterdir()}
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    assert config.model_type == family and config.architectures == [ARCHITECTURES[family]]
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    assert extractor.sampling_rate == 16000 and extractor.feature_size == (80 if family == "whisper" else 1)
    with torch.random.fork_rng():
        _, loaded = CLASSES[family].from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert loaded["missing_keys"] == {"projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    assert sum(each.numel() for each in model.parameters()) < 50_000


@pytest.mark.parametrize("kind", ["hubert-layer", "wavlm-layer", "whisper"])
def test_weights_depend_on_the_seed_alone(kind: str, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first, same, other = (
        load_file(tiny_folder(kind, tmp_path / str(index), seed=seed) / "model.safetensors")
        for index, seed in enumerate((4, 4, 5))
    )
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("family", "settings", "expected"),
    [
        ("wavlm", {"num_bukets": 8}, "settings.num_bukets: wavlm has no such setting; did you mean num_buckets"),
        ("hubert", {"codevector_dim": 8}, "settings.codevector_dim: hubert has no such setting"),
        ("hubert", {"conv_dim": [8, 8]}, "no hubert can be built of them"),
        ("wavlm", {"num_attention_heads": 3}, "no wavlm can be built of them"),
        ("whisper", {"d_model": 17}, "no whisper can be built of them"),
        ("whisper", {"do_normalize": True}, "settings.do_normalize: whisper has no such setting"),
    ],
)
def test_impossible_settings_are_refused(family: Any, settings: dict[str, Any], expected: str, tmp_path: Path) -> None:
    base = WHISPER if family == "whisper" else CONVOLUTIONS
    with pytest.raises(ConfigError, match=expected):
        make_seeded(SeededConfig(seeded=family, settings={**base, **settings}), tmp_path / "m")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tiny-wavlm", "tiny-hubert", "tiny-whisper"])
def test_the_delivered_entries_can_be_tuned(name: str, tmp_path: Path) -> None:
    """20 ms a frame, under 700,000 weights, and the loudness of a clip is not lost."""
    entry = SeededConfig.model_validate(ENTRIES[name])
    make_seeded(entry, tmp_path / "m")
    encoder = load_for_tuning(EncoderConfig(family=entry.seeded, folder="elsewhere"), tmp_path / "m")
    assert encoder.num_frames(3 * 16000) in (147, 148, 149, 150) and encoder.sample_rate_hz == 16000
    assert sum(each.numel() for each in encoder.parameters()) < 700_000
    clip = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loud, quiet = (encoder.encode(gain * clip, torch.tensor([16000])).features.mean(1) for gain in (1.0, 0.3))
    # Biases of a HuBERT's convolutions begin at zero: until they learn, the first norm takes all loudness out.
    assert (loud - quiet).abs().max() > (1e-3 if name == "tiny-hubert" else 0.02)


def test_published_entries_are_pinned() -> None:
    published = {name: PretrainedConfig.model_validate(each) for name, each in ENTRIES.items() if "seeded" not in each}
    assert {"wavlm-base-plus", "wav2vec2-base-100k-voxpopuli", "hubert-base", "whisper-small"} <= set(published)
    assert json.dumps({name: each.model_dump(mode="json") for name, each in published.items()})
