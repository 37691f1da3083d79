"""Windows of long audio: they tile it, and where nothing looks at a whole item, no seam is left."""

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from audiorig.evaluate.windows import Geometry, cut
from audiorig.models.encoder import PatchEncoder, WaveMAEConfig
from audiorig.models.encoders.convolutional import ConvolutionalEncoder

SHAPE = {"width": 12, "depth": 3, "kernel": 3, "wide_kernel": 7, "decoder_width": 8, "decoder_kernel": 3}


def encoder(norms_work: bool, stride: int = 2) -> PatchEncoder:
    """An encoder with or without what looks at a whole item: level removal and response norms."""
    torch.manual_seed(0)
    model = PatchEncoder(WaveMAEConfig(model={**SHAPE, "stride": stride, "remove_level": norms_work})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("conv.weight", "expand.weight", "contract.weight")):
                parameter.normal_(std=0.3)
            elif name.endswith("gamma"):
                parameter.fill_(0.5 if norms_work else 0.0)
    return model


def in_windows(model: PatchEncoder, waveform: torch.Tensor, max_sec: float) -> tuple[torch.Tensor, int]:
    """Features (N, D) of a waveform (T,), put together from windows, and how many those are."""
    parts, numbers = [], []
    with torch.no_grad():
        for window in cut(0, len(waveform), Geometry.of(model), max_sec):
            stop = len(waveform) if window.num_samples < 0 else window.start + window.num_samples
            frames = model.encode(waveform[None, window.start : stop]).features[0]
            kept = frames[window.skip :] if window.is_last else frames[window.skip : window.skip + window.keep]
            numbers.append(window.first + np.arange(len(kept)))
            parts.append(kept)
    assert np.array_equal(np.concatenate(numbers), np.arange(len(np.concatenate(numbers))))
    return torch.cat(parts), len(parts)


def noise(seconds: float) -> torch.Tensor:
    return 0.1 * torch.randn(int(seconds * 24000), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("seconds", [2.0, 2.01, 7.9, 13.333])
def test_windows_are_seamless_where_nothing_looks_at_a_whole_item(seconds, stride) -> None:
    model, waveform = encoder(norms_work=False, stride=stride), noise(seconds)
    with torch.no_grad():
        whole = model.encode(waveform[None]).features[0]
    pieces, count = in_windows(model, waveform, 2.0)
    assert count == 1 if seconds <= 2 else count > 1
    assert pieces.shape == whole.shape
    assert (pieces - whole).abs().max() < 1e-5 * whole.abs().max()


def test_less_overlap_would_leave_a_seam() -> None:
    """A click changes latents as far as the reach, on both sides, and no further."""
    model, waveform = encoder(norms_work=False), noise(5.0)
    geometry = Geometry.of(model)
    assert geometry.reach == 1 + 1 + 3 + 1
    poked = waveform.clone()
    place = 100 * geometry.latent_samples
    poked[place + 200 : place + 300] += 1.0
    with torch.no_grad():
        changed = (model.encode(poked[None]).features != model.encode(waveform[None]).features)[0].any(1)
    touched = torch.nonzero(changed)[:, 0]
    assert (100 - touched.min(), touched.max() - 100) == (6, 6)


def test_the_seam_of_steady_audio_is_small_and_of_unsteady_audio_is_not() -> None:
    """What is left comes from the level and the response norms, which see a window instead of the file."""
    model = encoder(norms_work=True)
    steady = noise(20.0)
    unsteady = steady * torch.where(torch.arange(len(steady)) < len(steady) // 2, 1.0, 0.01)
    errors = []
    for waveform in (steady, unsteady):
        with torch.no_grad():
            whole = model.encode(waveform[None]).features[0]
        pieces, _ = in_windows(model, waveform, 5.0)
        errors.append(float((pieces - whole).norm() / whole.norm()))
    assert errors[0] < 0.05
    assert errors[1] > 5 * errors[0]


def test_windows_of_hours_are_alike_and_bounded() -> None:
    geometry = Geometry(24000, 256, 2, 43)
    windows = list(cut(3, 5 * 3600 * 24000, geometry, 60.0))
    assert {window.file for window in windows} == {3}
    assert max(window.expected for window in windows) <= 60 * 24000
    assert min(window.expected for window in windows) > 50 * 24000
    assert sum(window.keep for window in windows[:-1]) == windows[-1].first
    assert sum(geometry.new_sec(window) for window in windows) == pytest.approx(5 * 3600)


def test_centres_lie_between_the_frames_of_a_latent() -> None:
    assert Geometry(24000, 256, 2, 0).centres_sec(np.array([0, 1])) == pytest.approx([128 / 24000, 640 / 24000])
    assert Geometry(24000, 256, 4, 0).centres_sec(np.array([1])) == pytest.approx([(4 + 1.5) * 256 / 24000])


# ------------------------------------------------------------------------ wav2vec2

KERNELS = {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_dim": [4] * 7}
TINY = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24},
    **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2},
}


def wav2vec2(**settings) -> ConvolutionalEncoder:
    """Without normalisation, and without attention to the rest of an item."""
    torch.manual_seed(0)
    body = Wav2Vec2Model(Wav2Vec2Config(**TINY, **KERNELS, feat_extract_norm="layer", **settings)).eval()
    with torch.no_grad():
        for layer in body.encoder.layers:
            layer.attention.out_proj.weight.zero_()
    return ConvolutionalEncoder(body, 16000, do_normalize=False)


def test_the_published_convolutions_see_400_samples_and_step_by_320() -> None:
    geometry = Geometry.of(wav2vec2())
    assert (geometry.hop, geometry.field, geometry.latent_hz, geometry.reach) == (320, 400, 50.0, 9)
    for num_samples in (0, 399, 400, 719, 720, 16000, 128000):
        assert geometry.num_latents(num_samples) == wav2vec2().num_frames(num_samples)
    assert geometry.centres_sec(np.array([0, 50])) == pytest.approx([199.5 / 16000, 1 + 199.5 / 16000])


@pytest.mark.parametrize("seconds", [1.9, 2.0, 4.567, 8.0])
def test_windows_of_wav2vec2_are_seamless_but_for_attention(seconds) -> None:
    model, waveform = wav2vec2(), 0.1 * torch.randn(int(seconds * 16000), generator=torch.Generator().manual_seed(1))
    parts = []
    with torch.no_grad():
        whole = model.encode(waveform[None], torch.tensor([len(waveform)])).features[0]
        for window in cut(0, len(waveform), Geometry.of(model), 2.0):
            stop = len(waveform) if window.num_samples < 0 else window.start + window.num_samples
            piece = waveform[None, window.start : stop]
            frames = model.encode(piece, torch.tensor([piece.shape[1]])).features[0]
            parts.append(frames[window.skip :] if window.is_last else frames[window.skip : window.skip + window.keep])
    assert len(parts) == (1 if seconds <= 2 else len(parts)) > 0
    assert torch.cat(parts).shape == whole.shape
    assert (torch.cat(parts) - whole).abs().max() < 1e-4 * whole.abs().max()
