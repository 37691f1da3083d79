"""W2V-BERT from a folder as published, against the classes of transformers."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file, save_file
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertModel

from audiorig.errors import ConfigError, DataError
from audiorig.models.teachers import w2v_bert
from audiorig.models.teachers.w2v_bert import MARGIN, RATE_HZ, SPAN, W2VBertTeacher, filterbank, spans


def noise(duration_sec: float, rate_hz: int = RATE_HZ, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades, with a second of digital silence, float32 (T,)."""
    samples = np.random.default_rng(seed).standard_normal(round(duration_sec * rate_hz))
    samples *= 0.05 * (1.1 + np.sin(np.arange(len(samples)) / rate_hz * 3))
    samples[rate_hz // 2 : rate_hz] = 0
    return samples.astype(np.float32)


def by_transformers(folder: Path, waveform: np.ndarray, layer: int) -> np.ndarray:
    """The same features, the way the model's own page says."""
    inputs = SeamlessM4TFeatureExtractor.from_pretrained(folder)(waveform, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        output = Wav2Vec2BertModel.from_pretrained(folder).eval()(**inputs, output_hidden_states=True)
    return output.hidden_states[layer][0, inputs["attention_mask"][0].bool()].numpy()


@pytest.mark.parametrize("num_samples", [32000, 32160, 32100, 560])
def test_the_filterbank_is_the_extractors(w2v_bert_folder: Path, num_samples: int) -> None:
    waveform = noise(3)[:num_samples] + (noise(3, seed=1)[:num_samples] if num_samples < 1000 else 0)
    expected = SeamlessM4TFeatureExtractor.from_pretrained(w2v_bert_folder)(
        waveform, sampling_rate=RATE_HZ, return_tensors="np"
    )
    found = filterbank(torch.from_numpy(waveform)).numpy()
    assert len(found) == expected["attention_mask"].sum()
    np.testing.assert_allclose(found, expected["input_features"][0, : len(found)], atol=2e-3)
    assert np.abs(found - expected["input_features"][0, : len(found)]).mean() < 1e-5


def test_a_filterbank_in_pieces_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = torch.from_numpy(noise(3))
    whole = filterbank(waveform)
    monkeypatch.setattr(w2v_bert, "FRAMES_AT_ONCE", 37)
    torch.testing.assert_close(filterbank(waveform), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_a_layer_is_that_of_hidden_states(w2v_bert_folder: Path, layer: int) -> None:
    waveform = noise(2.013)
    found = W2VBertTeacher(w2v_bert_folder, layer).features(waveform)
    assert found.dtype == np.float32 and found.shape == (99, 32)
    np.testing.assert_allclose(found, by_transformers(w2v_bert_folder, waveform, layer), atol=1e-3)


def test_ten_seconds_are_499_frames(w2v_bert_folder: Path) -> None:
    assert len(W2VBertTeacher(w2v_bert_folder, 1).features(noise(10))) == 499


def test_a_frame_lies_where_alignment_says() -> None:
    """An impulse at 20 j + 17.5 ms is in the middle of frame j: it lights both of its windows, alike."""
    waveform = np.full(RATE_HZ, 1e-4, dtype=np.float32) * np.random.default_rng(0).standard_normal(RATE_HZ)
    waveform[round((20 * 20 + 17.5) * 16)] = 0.5
    loudness = filterbank(torch.from_numpy(waveform.astype(np.float32))).reshape(-1, 2, 80).mean(-1)
    assert int(loudness.sum(1).argmax()) == 20
    assert abs(float(loudness[20, 0] - loudness[20, 1])) < 0.2 * float(loudness[20, 0])


def test_other_rates_are_resampled(w2v_bert_folder: Path) -> None:
    teacher = W2VBertTeacher(w2v_bert_folder, 2)
    waveform = noise(2, 24000)
    expected = teacher.features(soxr.resample(waveform, 24000, RATE_HZ))
    found = teacher.features(waveform, 24000)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("num_frames", [1, 50, 100, 101, 160, 161, 162, 340, 1000])
def test_spans_keep_each_frame_once_and_away_from_cuts(num_frames: int) -> None:
    assert spans(SPAN + 1)[0] == (0, SPAN, 0, SPAN - MARGIN)
    found = spans(num_frames, span=100, margin=20)
    assert [frame for each in found for frame in range(each.keep_begin, each.keep_end)] == list(range(num_frames))
    for each in found:
        assert 0 <= each.begin <= each.keep_begin < each.keep_end <= each.end <= num_frames
        assert each.end - each.begin == min(100, num_frames)
        assert each.begin == 0 or each.keep_begin - each.begin >= 20
        assert each.end == num_frames or each.end - each.keep_end >= 20


def test_a_long_recording_is_seen_in_spans(w2v_bert_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept frames equal those of their span alone; the filterbank is standardised over the whole recording."""
    teacher = W2VBertTeacher(w2v_bert_folder, 2)
    monkeypatch.setattr(w2v_bert, "spans", functools.partial(spans, span=300, margin=50))
    waveform = noise(8)
    seen: list[int] = []
    hidden = teacher._hidden
    monkeypatch.setattr(teacher, "_hidden", lambda inputs: (seen.append(len(inputs)), hidden(inputs))[1])
    features = teacher.features(waveform)
    assert len(features) == 399 and seen == [300, 300]
    inputs = filterbank(torch.from_numpy(waveform))
    np.testing.assert_allclose(features[:250], hidden(inputs[:300])[:250], atol=1e-4)
    np.testing.assert_allclose(features[250:], hidden(inputs[-300:])[250 - 399 :], atol=1e-4)
    # Across the seam the features are nearly those of the whole recording seen at once.
    assert np.corrcoef(features.ravel(), hidden(inputs).numpy().ravel())[0, 1] > 0.99


def test_half_precision_is_near(w2v_bert_folder: Path) -> None:
    waveform = noise(2)
    exact = W2VBertTeacher(w2v_bert_folder, 3).features(waveform)
    half = W2VBertTeacher(w2v_bert_folder, 3, dtype=torch.bfloat16).features(waveform)
    assert half.dtype == np.float32
    assert 0.95 < np.corrcoef(half.ravel(), exact.ravel())[0, 1] < 1


def test_a_recording_of_nearly_nothing_is_an_error(w2v_bert_folder: Path) -> None:
    teacher = W2VBertTeacher(w2v_bert_folder, 1)
    assert teacher.features(noise(1)[:560] + 1e-3).shape == (1, 32)
    with pytest.raises(DataError, match=r"0\.035 s"):
        teacher.features(noise(1)[:559])


def test_a_layer_too_many_is_an_error(w2v_bert_folder: Path) -> None:
    with pytest.raises(ConfigError, match="no layer 4: expected 0 to 3"):
        W2VBertTeacher(w2v_bert_folder, 4)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("config.json", "model_type", "wavlm", "model_type is 'wavlm': expected 'wav2vec2-bert'"),
        ("config.json", "feature_projection_input_dim", 80, "is 80: expected 160"),
        ("preprocessor_config.json", "sampling_rate", 24000, "sampling_rate is 24000: expected 16000"),
        ("preprocessor_config.json", "feature_extractor_type", "Wav2Vec2FeatureExtractor", "expected 'Seamless"),
        ("preprocessor_config.json", None, None, "cannot be read"),
        ("config.json", None, None, "cannot be read"),
        ("model.safetensors", None, None, "model.safetensors is missing"),
    ],
)
def test_another_folder_is_refused(
    w2v_bert_folder: Path, tmp_path: Path, name: str, key: str | None, value: object, message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(w2v_bert_folder, folder)
    if key is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), key: value}))
    with pytest.raises(ConfigError, match=message):
        W2VBertTeacher(folder, 1)


def test_missing_weights_are_not_drawn_at_random(w2v_bert_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(w2v_bert_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("masked_spec_embed")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    W2VBertTeacher(folder, 1)  # of no use but in pre-training
    weights.pop("encoder.layers.0.ffn1_layer_norm.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"1 weights are missing, encoder\.layers\.0\.ffn1_layer_norm\.weight"):
        W2VBertTeacher(folder, 1)
