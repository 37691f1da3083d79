"""Coefficients equal torchaudio's, whatever the length, and follow from tones whose answer is known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torchaudio.transforms import MFCC

from audiorig.config import MfccConfig
from audiorig.data.audio import read_window
from audiorig.data.eda import mfcc as module
from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.data.eda.mfcc import mfcc, num_empty_bands, songs_of, write_mfcc
from audiorig.data.feature_store import FeatureStore, shard_of
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

SMALL = MfccConfig(sample_rate_hz=16000, num_mfcc=13, num_mels=32, window=512, hop=160)


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    loud = np.random.default_rng(seed).standard_normal(num_samples) * np.linspace(0.001, 0.2, num_samples)
    return loud.astype(np.float32)


@pytest.mark.parametrize("num_samples", [513, 1600, 1601, 16000])
@pytest.mark.parametrize("block", [7, 200])
def test_it_is_torchaudios(num_samples: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_FRAMES", block)
    waveform = noise(num_samples)
    melkwargs = {"n_fft": 512, "hop_length": 160, "n_mels": 32}
    scaled = torch.from_numpy(waveform * np.float32(1 / np.abs(waveform).max()))
    expected = MFCC(16000, 13, melkwargs=melkwargs)(scaled).T.numpy()
    found = mfcc(waveform, SMALL)
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (1 + num_samples // 160, 13)
    assert np.abs(found - expected).max() < 1e-4  # of values of some hundred


def test_frame_k_is_centred_at_k_hops() -> None:
    for frame in (3, 20, 47):
        waveform = np.zeros(8000, np.float32)
        waveform[frame * 160] = 0.5
        assert mfcc(waveform, SMALL)[:, 0].argmax() == frame


def test_a_tone_lies_in_its_band() -> None:
    """The inverse of the orthonormal DCT gives the bands back: the loudest is the one of the tone (HTK mel)."""
    settings = SMALL.model_copy(update={"num_mfcc": 32})
    centres_mel = np.linspace(0, 2595 * math.log10(1 + 8000 / 700), 34)[1:-1]
    centres_hz = 700 * (10 ** (centres_mel / 2595) - 1)
    bands = np.arange(32)
    dct = np.sqrt(2 / 32) * np.cos(np.pi * bands[:, None] * (bands[None, :] + 0.5) / 32)
    dct[0] /= np.sqrt(2)
    for band in (5, 15, 25):
        tone = np.sin(2 * np.pi * centres_hz[band] * np.arange(16000) / 16000).astype(np.float32)
        decibel = mfcc(tone, settings)[50] @ dct
        assert decibel.argmax() == band
        assert decibel.max() - decibel.min() <= 80.01  # nothing lies further below the loudest


def test_peaks_above_1_are_scaled_not_clipped() -> None:
    waveform = noise(8000)
    waveform /= np.abs(waveform).max()
    assert np.abs(mfcc(waveform * np.float32(1.26), SMALL) - mfcc(waveform, SMALL)).max() < 1e-3
    as_is = SMALL.model_copy(update={"normalize": "none"})
    louder = mfcc(waveform * np.float32(2), as_is) - mfcc(waveform, as_is)
    assert louder[:, 0] == pytest.approx(20 * math.log10(2) * math.sqrt(32), abs=0.02)  # 6 dB in each of 32 bands
    assert np.abs(louder[:, 1:]).max() < 0.02


def test_silence_and_very_short_songs() -> None:
    assert np.isfinite(mfcc(np.zeros(1000, np.float32), SMALL)).all()
    assert len(mfcc(noise(257), SMALL)) == 2
    with pytest.raises(DataError, match="more than half a window of 512 samples, found 256"):
        mfcc(noise(256), SMALL)
    with pytest.raises(DataError, match="NaN or infinite"):
        mfcc(np.full(1000, np.nan, np.float32), SMALL)


def test_bands_without_a_bin_are_counted() -> None:
    assert num_empty_bands(MfccConfig()) == 0
    assert num_empty_bands(MfccConfig(num_mels=128, window=400, hop=160)) == 16


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    mfcc(noise(2000), SMALL)
    assert torch.equal(before, torch.get_rng_state())


def manifest_of(root: Path, **rates: int) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for name in sorted(rates):
        path = root / f"{name}.wav"
        samples = noise(rates[name], seed=len(name))
        soundfile.write(path, np.stack([samples, samples / 2], 1) if name == "stereo" else samples, rates[name])
        rows.append((path.name, f"x/{name}", 1.0, 1 + (name == "stereo"), None))
    columns = ["wav_path", "song_id", "duration_sec", "channels", "problem"]
    return pd.DataFrame(rows, columns=columns)


def test_songs_are_computed_once_each(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, mono=16000, other=8000, stereo=16000)
    (tmp_path / "other.wav").write_bytes(b"RIFF torn")
    output = tmp_path / "features" / "shard-0-of-1.arrow"
    with pytest.warns(AssumptionWarning, match="stereo.wav: the mean of the channels"):
        assumptions = write_mfcc(manifest, AudioRoot(tmp_path), SMALL, output)
    assert [(each["code"], each["count"]) for each in assumptions.as_list()] == [("mono", 1)]
    store = FeatureStore([output])
    for name, scale in (("mono", 1.0), ("stereo", 0.75)):
        waveform = read_window(tmp_path / f"{name}.wav", 0, -1, 16000)
        assert np.allclose(waveform, scale * noise(16000, seed=len(name)), atol=1e-4)
        assert np.array_equal(store[f"{name}.wav"]["mfcc"], mfcc(waveform, SMALL))
    assert store["other.wav"]["mfcc"].shape == (0, 13)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_why_a_song_has_no_coefficients_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = manifest_of(tmp_path, short=16000)
    soundfile.write(tmp_path / "short.wav", noise(100), 16000)
    write_mfcc(manifest, AudioRoot(tmp_path), SMALL, tmp_path / "out.arrow")
    assert "short.wav: expected more than half a window of 512 samples, found 100; left without" in caplog.text
    assert len(FeatureStore([tmp_path / "out.arrow"])["short.wav"]["mfcc"]) == 0


def test_a_song_of_another_rate_is_resampled(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, low=8000)
    write_mfcc(manifest, AudioRoot(tmp_path), SMALL, tmp_path / "out.arrow")
    assert len(FeatureStore([tmp_path / "out.arrow"])["low.wav"]["mfcc"]) == 101


def test_empty_bands_are_an_assumption(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, mono=16000)
    settings = SMALL.model_copy(update={"num_mels": 128})
    with pytest.warns(AssumptionWarning, match=r"of 128 mel bands lie between the bins of windows of 512 samples"):
        found = write_mfcc(manifest, AudioRoot(tmp_path), settings, tmp_path / "out.arrow").as_list()
    assert [each["code"] for each in found] == ["empty-mel-bands"]
    assert found[0]["files"] == [settings.key]


def test_a_share_without_a_song_is_a_file_too(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, mono=16000)
    shards = [tmp_path / f"shard-{shard}-of-3.arrow" for shard in range(3)]
    for shard, path in enumerate(shards):
        write_mfcc(shard_of(songs_of(manifest), shard, 3), AudioRoot(tmp_path), SMALL, path)
    assert len(FeatureStore(shards)["mono.wav"]["mfcc"]) == 101


def test_songs_are_what_has_an_id_and_a_header() -> None:
    rows = [("a.wav", "x/a", 1.0), ("b.wav", "", 1.0), ("c.wav", "x/c", math.nan), ("d.wav", None, 2.0)]
    assert songs_of(pd.DataFrame(rows, columns=["wav_path", "song_id", "duration_sec"]))["wav_path"].tolist() == [
        "a.wav"
    ]
