"""Shared by all tests: a tiny corpus with known truth, and a tiny network in a published format."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
if (ORACLES := ROOT / ".oracles").is_dir():  # outside references, see `make oracles`
    sys.path.append(str(ORACLES))

RATE = 24000


@dataclass(frozen=True)
class ToneCorpus:
    """Files below root, and what they are: 12 speakers x 3 clips; a language is a pitch."""

    root: Path
    table: pd.DataFrame


def tone(frequency_hz: float, duration_sec: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A tone with its second harmonic and a little noise, float32 (T,)."""
    time = np.arange(round(duration_sec * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time))
    phase = 2 * np.pi * frequency_hz * time
    return (0.2 * np.sin(phase) + 0.05 * np.sin(2 * phase) + 0.003 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> ToneCorpus:
    """WAV and FLAC files with a metadata.csv."""
    root = tmp_path_factory.mktemp("tones")
    rows = []
    for index in range(36):
        speaker, language = index // 3, ("low", "high")[index % 2]
        name = f"{language}/speaker-{speaker:02d}-{index:02d}.{('wav', 'flac')[index % 5 == 0]}"
        (root / name).parent.mkdir(exist_ok=True)
        frequency = (200 if language == "low" else 900) * (1 + 0.02 * speaker)
        samples = tone(frequency, 0.8 + 0.1 * (index % 4), seed=index)
        soundfile.write(root / name, samples, RATE, subtype="PCM_16")
        rows.append({"path": name, "participant_id": f"speaker-{speaker:02d}", "language": language})
    table = pd.DataFrame(rows)
    table.to_csv(root / "metadata.csv", index=False)
    return ToneCorpus(root, table)


@pytest.fixture(scope="session")
def tone_split(tones: ToneCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a speaker-disjoint split of the tones."""
    from audiorig.config import FolderCorpus, SplitConfig, ValidationConfig
    from audiorig.data.manifest import build_manifest
    from audiorig.data.split import split_manifest, write_split
    from audiorig.data.validate import validate_corpus

    corpus = FolderCorpus(kind="folder", root=str(tones.root), metadata="metadata.csv")
    manifest = build_manifest(corpus, tones.root)
    problems, _, _ = validate_corpus(manifest, tones.root, ValidationConfig())
    settings = SplitConfig(shares=(0.5, 0.25, 0.25), labels=("language",))
    folder = tmp_path_factory.mktemp("split")
    write_split(split_manifest(manifest, problems, settings, "by-speaker"), settings, folder)
    return folder


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
