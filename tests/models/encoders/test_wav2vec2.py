"""The encoder: transformers' own features, the same alone as in a batch, from every published form."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2ForPreTraining, Wav2Vec2Model
from wav2vec2_tiny import SHAPE, seeded_folder, tiny_model

from audiorig.errors import DataError
from audiorig.models.encoders.published import load_convolutional

LENGTHS = torch.tensor([16000, 9000, 16000, 5000])


@pytest.fixture(params=[("group", False, True), ("layer", True, True), ("group", False, False)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    norm, is_stable, do_normalize = request.param
    return seeded_folder(
        tmp_path / "m", feat_extract_norm=norm, do_stable_layer_norm=is_stable, do_normalize=do_normalize
    )


def waveforms() -> Tensor:
    noise = 0.1 + 0.1 * torch.randn(4, 16000, generator=torch.Generator().manual_seed(0))
    return noise.where(torch.arange(16000) < LENGTHS[:, None], 0.0)


@torch.no_grad()
def test_features_are_transformers_own(folder: Path) -> None:
    encoder = load_convolutional(folder)
    wave = waveforms()[:1]
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    values = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")["input_values"]
    expected = Wav2Vec2Model.from_pretrained(folder).eval()(values, output_hidden_states=True)
    found = encoder.encode(wave, LENGTHS[:1])
    torch.testing.assert_close(found.features, expected.last_hidden_state, rtol=0, atol=1e-5)
    assert len(found.layers) == len(expected.hidden_states) == 3
    for mine, other in zip(found.layers, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    assert not found.is_padding.any()


@torch.no_grad()
def test_an_item_is_the_same_alone_and_in_a_batch(folder: Path) -> None:
    encoder = load_convolutional(folder)
    wave = waveforms()
    loud = wave.where(torch.arange(16000) < LENGTHS[:, None], 7.0)
    for batch in (encoder.encode(wave, LENGTHS), encoder.encode(loud, LENGTHS)):
        for index, length in enumerate(LENGTHS.tolist()):
            alone = encoder.encode(wave[index : index + 1, :length], LENGTHS[index : index + 1])
            is_real = ~batch.is_padding[index]
            assert int(is_real.sum()) == alone.features.shape[1] == encoder.num_frames(length)
            pairs = zip((batch.features, *batch.layers), (alone.features, *alone.layers), strict=True)
            for together, single in pairs:
                torch.testing.assert_close(together[index, is_real], single[0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_clip_shorter_than_a_frame_is_all_padding(tiny_folder: Path) -> None:
    encoder = load_convolutional(tiny_folder)
    lengths = torch.tensor([16000, 30, 0])
    found = encoder.encode(waveforms()[:3], lengths)
    assert found.is_padding[1:].all() and not found.is_padding[0].any()
    alone = encoder.encode(waveforms()[:1, :30], lengths[1:2])
    assert alone.is_padding.all() and all(each.isfinite().all() for each in (*found.layers, *alone.layers))


def test_what_was_trained_comes_out(tiny_folder: Path, tmp_path: Path) -> None:
    model = tiny_model(tiny_folder)
    with torch.no_grad():
        model.wav2vec2.encoder.layers[0].final_layer_norm.bias += 1
    model.save_pretrained(tmp_path / "out")
    before, after = load_convolutional(tiny_folder), load_convolutional(tmp_path / "out")
    with torch.no_grad():
        first, second = (each.encode(waveforms(), LENGTHS).layers for each in (before, after))
    assert torch.equal(first[0], second[0]) and not torch.allclose(first[1], second[1])


@pytest.mark.parametrize("kind", [Wav2Vec2Model, Wav2Vec2ForPreTraining, Wav2Vec2ForCTC])
def test_every_published_form_is_read(tmp_path: Path, kind: type, caplog: pytest.LogCaptureFixture) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(Wav2Vec2Config(**SHAPE)).eval()
    model.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    encoder = load_convolutional(tmp_path)
    body = getattr(model, "wav2vec2", model)
    with torch.no_grad():
        expected = body(waveforms()[:1]).last_hidden_state
        found = encoder.encode(waveforms()[:1], LENGTHS[:1]).features
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert caplog.text == ""  # no table of what the encoder has no use for


def test_rate_and_scale_come_from_the_folder(tmp_path: Path) -> None:
    encoder = load_convolutional(seeded_folder(tmp_path / "m", sampling_rate=8000))
    assert encoder.sample_rate_hz == encoder.untrained(0).sample_rate_hz == 8000
    with torch.no_grad():
        quiet, loud = (encoder.encode(gain * waveforms(), LENGTHS).features for gain in (0.1, 1.0))
    torch.testing.assert_close(quiet, loud, rtol=0, atol=1e-3)


def test_untrained_ones_are_of_their_seed(tiny_folder: Path) -> None:
    encoder = load_convolutional(tiny_folder)
    state = torch.get_rng_state()
    first, same, other = (encoder.untrained(seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():
        outputs = [each.encode(waveforms(), LENGTHS).features for each in (encoder, first, same, other)]
    assert torch.equal(outputs[1], outputs[2])
    assert not torch.equal(outputs[1], outputs[3]) and not torch.equal(outputs[0], outputs[1])


def test_a_missing_weight_is_refused(tmp_path: Path) -> None:
    Wav2Vec2Model(Wav2Vec2Config(**{**SHAPE, "num_hidden_layers": 1})).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(DataError, match="16 weights are missing"):
        load_convolutional(tmp_path)
