"""Real prompts, converted to every format, from files to training steps: the same crops each time."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import FolderCorpus, SplitConfig, WaveMAERun
from audiorig.data.crops import CropDataset
from audiorig.data.manifest import build_manifest
from audiorig.data.split import split_manifest, write_split
from audiorig.data.validate import validate_corpus
from audiorig.experiments import Inputs, build
from audiorig.experiments.statistics import split_statistics
from audiorig.train.fit import fit

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("AUDIORIG_DATA" not in os.environ, reason="AUDIORIG_DATA is not set: no real recordings"),
]

# Name ending, container and encoding; how far samples may be from the original's.
FORMATS = {
    "wav": ("WAV", "PCM_16", 1e-6),
    "float.wav": ("WAV", "FLOAT", 1e-6),
    "24.wav": ("WAV", "PCM_24", 1e-6),
    "w64": ("W64", "PCM_16", 1e-6),
    "rf64": ("RF64", "PCM_16", 1e-6),
    "flac": ("FLAC", "PCM_16", 1e-6),
    "mp3": ("MP3", "MPEG_LAYER_III", None),
    "ogg": ("OGG", "VORBIS", None),
    "opus": ("OGG", "OPUS", None),
}
RUN = {
    "experiment": "wavemae",
    "data": {"corpus": "prompts", "split": "by-clip", "crop_frames": 64},
    "model": {"width": 8, "depth": 2, "decoder_width": 8, "min_span": 2, "max_span": 6},
    "pitch": {"extractor": "yin", "source": "live"},
    "train": {"max_steps": 3, "batch_size": 4, "cpu_threads": 1, "audio_steps": 0},
}
NUM_CLIPS = 40


def convert(root: Path, kind: str) -> None:
    """Write the first clips that are longer than a second in one format, with their languages."""
    source = Path(os.environ["AUDIORIG_DATA"]) / "prompts"
    table = pd.read_csv(source / "metadata.csv").query("duration_s > 1").iloc[::5].head(NUM_CLIPS)
    container, encoding, _ = FORMATS[kind]
    names = []
    for number, path in enumerate(table["path"]):
        samples, rate = soundfile.read(source / path, dtype="float32" if encoding == "FLOAT" else "int16")
        names.append(f"clip-{number:02d}.{kind}")
        soundfile.write(root / names[-1], samples, rate, format=container, subtype=encoding)
    pd.DataFrame({"path": names, "language": table["language"].to_list()}).to_csv(root / "about.csv", index=False)


def prepare(folder: Path, kind: str) -> tuple[Path, Path]:
    """Manifest, validation and split of a converted corpus: its root and the split's folder."""
    root, split = folder / kind / "audio", folder / kind / "split"
    root.mkdir(parents=True)
    convert(root, kind)
    corpus = FolderCorpus(kind="folder", root=str(root), metadata="about.csv", extensions=(f".{kind}",))
    manifest = build_manifest(corpus, root)
    assert len(manifest) == NUM_CLIPS
    assert (manifest["sample_rate"] == 16000).all()
    problems, stats, _ = validate_corpus(manifest, root, corpus.validation)
    errors = problems[problems["severity"] == "error"]
    assert sorted(errors["wav_path"]) == [f"clip-{number}.{kind}" for number in (12, 37)], errors
    assert set(errors["reason"]) == {"near_silent"}
    assert len(stats) == NUM_CLIPS
    settings = SplitConfig(group="clip", shares=(0.6, 0.2, 0.2), stratify="language")
    write_split(split_manifest(manifest, problems, settings, "by-clip"), settings, split)
    return root, split


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int, np.ndarray]]:
    """Crops of the 16-bit WAV version: clip, start, samples."""
    root, split = prepare(tmp_path_factory.mktemp("reference"), "wav")
    return crops_of(root, split)


def crops_of(root: Path, split: Path) -> list[tuple[str, int, np.ndarray]]:
    dataset = CropDataset(split / "train.arrow", root, 63 * 256, 24000, seed=1)
    items = [dataset[epoch, item] for epoch in (0, 1) for item in range(len(dataset))]
    return [(crop.wav_path.split(".")[0], crop.start, np.asarray(samples)) for crop, samples in items]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_gives_the_same_crops_and_trains(kind: str, reference, tmp_path: Path) -> None:
    root, split = prepare(tmp_path, kind)
    crops = crops_of(root, split)
    assert [crop[:2] for crop in crops] == [crop[:2] for crop in reference]
    for (_, _, ours), (_, _, theirs) in zip(crops, reference, strict=True):
        assert ours.shape == theirs.shape
        if FORMATS[kind][2] is not None:
            assert np.abs(ours - theirs).max(initial=0) < FORMATS[kind][2]
        elif np.std(theirs) > 0.01:  # a lossy codec keeps the waveform, where there is one, and its place
            assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    run = WaveMAERun.model_validate(RUN)
    statistics = tmp_path / "statistics.safetensors"
    split_statistics(split, root, run.data, run.spectrogram).save(statistics)
    history, _ = fit(build(run, Inputs(split, root, tmp_path, statistics)), run.train, tmp_path / "run", run.seed)
    assert all(np.isfinite(entry["total"]) for entry in history if "total" in entry)
