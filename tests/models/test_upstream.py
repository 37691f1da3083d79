"""Wrappers for s3prl and X-ARES: their contracts, and that padding leaves no trace."""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.trained import load_trained
from audiorig.models.upstream import UpstreamExpert, XaresEncoder

SHAPE = {"width": 12, "depth": 3, "decoder_width": 8, "kernel": 3, "wide_kernel": 7, "decoder_kernel": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose response norms are at work."""
    torch.manual_seed(0)
    model = WaveMAE(WaveMAEConfig(model=SHAPE))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gamma", "beta")):
                parameter.normal_(std=0.5)
            elif "contract" in name:
                parameter.normal_(std=0.1)
    path = tmp_path_factory.mktemp("run") / "model"
    model.save_pretrained(path)
    return path


def speechlike(duration_sec: float, rate: int, seed: int = 0) -> torch.Tensor:
    """Tones below 7 kHz whose level moves, float32 (T,)."""
    time = np.arange(int(duration_sec * rate)) / rate
    generator = np.random.default_rng(seed)
    tones = sum(np.sin(2 * np.pi * (f * time + generator.random())) for f in (150, 440, 1700, 5200, 6900))
    return torch.from_numpy((0.05 * tones * (1.2 + np.sin(2 * np.pi * 3 * time + seed))).astype(np.float32))


WAVS = [speechlike(seconds, 16000, seed) for seed, seconds in enumerate((1.0, 0.31, 2.2, 0.9))]


def test_states_have_one_shape_and_the_rate_that_is_said(folder) -> None:
    expert = UpstreamExpert(str(folder.parent), model_config=None, refresh=False)
    found = expert(WAVS)
    assert expert.get_downsample_rates("hidden_states") == 341
    assert len(found["hidden_states"]) == SHAPE["depth"] + 1
    assert {state.shape for state in found["hidden_states"]} == {(4, round(2.2 * 16000 / 341), SHAPE["width"])}
    assert torch.equal(found["last_hidden_state"], found["hidden_states"][-1])


def test_an_item_alone_equals_the_item_in_a_batch(folder) -> None:
    expert = UpstreamExpert(folder).eval()
    with torch.no_grad():
        together = expert(WAVS)["hidden_states"]
        for row, wav in enumerate(WAVS):
            for state, alone in zip(together, expert([wav])["hidden_states"], strict=True):
                num_frames = round(len(wav) / 341)
                assert alone.shape[1] == num_frames
                assert (state[row, :num_frames] - alone[0]).abs().max() < 1e-6 * alone.abs().max()
                assert (state[row, num_frames:] == 0).all()


@pytest.mark.parametrize("seconds", [30.0, 90.0])
def test_long_items_do_not_drift(folder, seconds) -> None:
    """A click late in the file: its frame, counted as s3prl does, lies where the click is."""
    expert = UpstreamExpert(folder).eval()
    wav = torch.zeros(int(seconds * 16000))
    place = int((seconds - 1) * 16000)
    wav[place : place + 50] = 0.5
    with torch.no_grad():
        state = expert([wav])["hidden_states"][0][0]
    assert len(state) == round(len(wav) / 341)
    loudest = (state - state.median(0).values).square().sum(1).argmax()
    # The reach of the first block and of a click that straddles latents; read off one by one, 90 s would be 4.1 off.
    assert abs(float(loudest) - place / 341) < 3.5


def test_states_are_those_of_the_audio_at_24_khz(folder) -> None:
    """Resampled here or by the project's reader: the same features, but for the ends."""
    wav = WAVS[2]
    with torch.no_grad():
        here = UpstreamExpert(folder)([wav])["last_hidden_state"][0]
        there = (
            load_trained(folder).encode(torch.from_numpy(soxr.resample(wav.numpy(), 16000, 24000))[None]).features[0]
        )
    size = min(len(here), len(there))
    cosine = torch.nn.functional.cosine_similarity(here[3 : size - 3], there[3 : size - 3], dim=1)
    assert cosine.min() > 0.98


def test_gradients_reach_the_encoder(folder) -> None:
    """s3prl may fine-tune an upstream."""
    expert = UpstreamExpert(folder)
    expert([WAVS[1]])["last_hidden_state"].sum().backward()
    assert expert.model.blocks[0].expand.weight.grad is not None


def test_a_few_samples_are_a_frame_of_zeros_beside_others(folder) -> None:
    found = UpstreamExpert(folder)([torch.ones(10), WAVS[0]])["last_hidden_state"]
    assert found[0].isfinite().all()
    assert UpstreamExpert(folder)([torch.ones(10)])["last_hidden_state"].shape == (1, 1, SHAPE["width"])


def test_xares_contract(folder) -> None:
    encoder = XaresEncoder(folder)
    assert (encoder.sampling_rate, encoder.output_dim) == (24000, SHAPE["width"])
    assert encoder.hop_size_in_ms == pytest.approx(64 / 3)
    audio = torch.stack([speechlike(2.0, 24000, seed) for seed in range(3)])
    found = encoder(audio)
    assert found.shape == (3, 94, SHAPE["width"])
    assert abs(found.shape[1] - 2000 / encoder.hop_size_in_ms) < 1
    assert encoder(audio[0]).shape == (1, 94, SHAPE["width"])


def test_xares_with_lengths_ignores_padding(folder) -> None:
    encoder = XaresEncoder(folder)
    audio = torch.stack([speechlike(2.0, 24000, seed) for seed in range(2)])
    found = encoder(audio, torch.tensor([48000, 20000]))
    alone = encoder(audio[1, :20000])
    assert (found[1, : alone.shape[1]] - alone[0]).abs().max() < 1e-6 * alone.abs().max()
    assert (found[1, alone.shape[1] :] == 0).all()
