"""Codes of frozen random projections."""

import numpy as np
import pytest
import torch
from torch import Tensor

from audiorig.config import SpectrogramConfig
from audiorig.models.spectrogram import log_magnitude
from audiorig.models.teachers.bestrq import NUM_MELS, BestRQ, mel_filters

STFT = SpectrogramConfig()
HOP, RATE = STFT.hop, 24000


def speech_like(num_samples: int, seed: int) -> Tensor:
    """A voice of ten harmonics under two moving formants, in syllables, above a little noise; (T,)."""
    generator = np.random.default_rng(seed)
    time = np.arange(num_samples) / RATE
    pitch = 120 * 2 ** generator.uniform(0, 1) * (1 + 0.2 * np.sin(2 * np.pi * 1.3 * time + generator.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = [500 + 300 * np.sin(2 * np.pi * 2.1 * time + 6 * seed), 1700 + 700 * np.sin(2 * np.pi * 1.7 * time)]
    voice = np.zeros(num_samples)
    for harmonic in range(1, 40):
        gain = sum(np.exp(-(((harmonic * pitch - centre) / 150) ** 2)) for centre in formants)
        voice += (gain + 0.02) * np.sin(harmonic * phase) / harmonic**0.5
    syllables = 0.02 + np.clip(np.sin(2 * np.pi * 3.1 * time + seed), 0, 1)
    noise = generator.standard_normal(num_samples)
    return torch.from_numpy((0.1 * voice * syllables + 0.003 * noise).astype(np.float32))


def all_real(frames: Tensor, stride: int) -> Tensor:
    return torch.ones(len(frames), frames.shape[1] // stride, dtype=torch.bool)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """Log magnitudes (6, 128, F)."""
    return log_magnitude(torch.stack([speech_like(127 * HOP, seed) for seed in range(6)]), STFT)


@pytest.mark.parametrize(("stride", "codebooks"), [(2, 2), (4, 1), (3, 4)])
def test_codes_have_their_shape(frames: Tensor, stride: int, codebooks: int) -> None:
    codes = BestRQ(STFT, RATE, stride, codebooks, 64)(frames, all_real(frames, stride))
    assert codes.shape == (6, 128 // stride, codebooks) and codes.dtype == torch.int64
    assert int(codes.min()) >= 0 and int(codes.max()) < 64


def test_a_code_is_the_nearest_entry(frames: Tensor) -> None:
    """Against the paper's definition, spelt out: unit vectors, Euclidean distance."""
    teacher = BestRQ(STFT, RATE, 2, 2, 32)
    codes = teacher(frames, all_real(frames, 2))
    stacks = teacher.standardised_mel(frames, all_real(frames, 2)).reshape(6, 64, 2 * NUM_MELS)
    for index in range(2):
        projected = torch.nn.functional.normalize(stacks @ teacher.projections[index], dim=-1)
        distances = (projected[:, :, None] - teacher.codebooks[index]).norm(dim=-1)
        assert torch.equal(codes[..., index], distances.argmin(-1))


def test_mel_bands_have_mean_0_and_deviation_1(frames: Tensor) -> None:
    mel = BestRQ(STFT, RATE, 2).standardised_mel(frames, all_real(frames, 2))
    torch.testing.assert_close(mel.mean(1), torch.zeros(6, NUM_MELS), atol=1e-4, rtol=0)
    deviation = mel.std(1, correction=0)
    assert float(deviation.max()) < 1.001
    is_alive = ((2 * frames).exp() @ mel_filters(STFT.n_fft, RATE)).log().std(1) > 0.61  # above the least deviation
    assert is_alive.float().mean() > 0.4
    torch.testing.assert_close(deviation[is_alive], torch.ones(int(is_alive.sum())), atol=1e-3, rtol=0)


def test_blocks_of_bands_are_the_whole_filterbank(frames: Tensor) -> None:
    teacher = BestRQ(STFT, RATE, 2)
    whole = ((2 * frames).exp() @ mel_filters(STFT.n_fft, RATE)).log()
    deviation = whole.std(1, correction=0, keepdim=True).clamp_min(2 * STFT.min_std)
    expected = (whole - whole.mean(1, keepdim=True)) / deviation
    torch.testing.assert_close(teacher.standardised_mel(frames, all_real(frames, 2)), expected, atol=1e-3, rtol=0)


def test_padding_and_neighbours_change_no_code(frames: Tensor) -> None:
    teacher = BestRQ(STFT, RATE, 2)
    alone = teacher(frames[:1, :80], torch.ones(1, 40, dtype=torch.bool))
    padded = frames.clone()
    padded[0, 80:] = float(np.log(STFT.floor))
    is_real = all_real(frames, 2)
    is_real[0, 40:] = False
    together = teacher(padded, is_real)
    assert torch.equal(together[0, :40], alone[0])
    assert not together[0, 40:].any()
    padded[0, 80:] = 5.0  # whatever stands there
    assert torch.equal(teacher(padded, is_real), together)
    assert torch.equal(teacher(padded.flip(0), is_real.flip(0)).flip(0), together)


def test_gain_and_channel_change_no_code(frames: Tensor) -> None:
    """An augmented item has the codes of the item, as long as nothing sinks to the floor."""
    teacher = BestRQ(STFT, RATE, 2)
    codes = teacher(frames, all_real(frames, 2))
    louder = teacher(frames + 0.7, all_real(frames, 2))  # 6 dB
    assert (louder == codes).float().mean() > 0.999  # ties apart
    tilt = torch.linspace(-0.5, 0.5, frames.shape[-1])  # smooth over a band's width
    assert (teacher(frames + tilt, all_real(frames, 2)) == codes).float().mean() > 0.97


def test_silence_has_codes_too() -> None:
    frames = torch.full((2, 16, 513), float(np.log(STFT.floor)))
    codes = BestRQ(STFT, RATE, 2)(frames, torch.tensor([[True] * 8, [False] * 8]))
    assert (codes == codes[0, 0]).all() or not codes[1].any()
    assert torch.isfinite(BestRQ(STFT, RATE, 2).standardised_mel(frames, torch.zeros(2, 8, dtype=torch.bool))).all()


@pytest.mark.parametrize("stride", [2, 4])
def test_many_codes_are_used(frames: Tensor, stride: int) -> None:
    """Perplexity of 2 x 512 codes over 768 (384) stacks of six synthetic voices; real speech has 90 to 210."""
    codes = BestRQ(STFT, RATE, stride)(frames, all_real(frames, stride))
    for index in range(2):
        shares = torch.bincount(codes[..., index].flatten(), minlength=512) / codes[..., index].numel()
        perplexity = torch.exp(torch.special.entr(shares).sum())
        assert perplexity > 40, f"codebook {index}: {perplexity:.0f}"


def test_the_seed_is_all_that_is_drawn() -> None:
    state = torch.random.get_rng_state()
    first, again, other = BestRQ(STFT, RATE), BestRQ(STFT, RATE), BestRQ(STFT, RATE, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.projections, again.projections) and torch.equal(first.codebooks, again.codebooks)
    assert not torch.equal(first.projections, other.projections)
    assert not torch.equal(first.projections[0], first.projections[1])
    torch.testing.assert_close(first.codebooks.norm(dim=-1), torch.ones(2, 512))


def test_it_is_saved_and_never_trained(frames: Tensor) -> None:
    teacher, other = BestRQ(STFT, RATE, 2, 2, 64), BestRQ(STFT, RATE, 2, 2, 64, seed=5)
    assert list(teacher.parameters()) == []
    assert set(teacher.state_dict()) == {"mel_filters", "projections", "codebooks"}
    other.load_state_dict(teacher.state_dict())
    assert torch.equal(other(frames, all_real(frames, 2)), teacher(frames, all_real(frames, 2)))


def test_autocast_changes_no_code(frames: Tensor) -> None:
    teacher = BestRQ(STFT, RATE, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = teacher(frames, all_real(frames, 2))
    assert torch.equal(inside, teacher(frames, all_real(frames, 2)))


def test_it_can_be_built_on_the_meta_device_and_with_a_short_transform() -> None:
    with torch.device("meta"):  # as from_pretrained does
        assert BestRQ(STFT, RATE).mel_filters.shape == (513, NUM_MELS)
    short = SpectrogramConfig(n_fft=64, hop=16, window=64)
    codes = BestRQ(short, RATE, 2)(torch.randn(1, 8, 33), torch.ones(1, 4, dtype=torch.bool))
    assert codes.shape == (1, 4, 2)
