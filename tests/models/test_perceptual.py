"""The perceptual loss: known values, no phase, and gradients that are finite come what may."""

import copy
import math
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from audiorig.config import SpectrogramConfig
from audiorig.models.masks import draw_spans
from audiorig.models.perceptual import NUM_BANDS, PerceptualLoss, mel_bands
from audiorig.models.spectrogram import log_magnitude

STFT = SpectrogramConfig()
LOSS = PerceptualLoss(STFT, 24000)


def frames(num_items: int = 2, num_frames: int = 40, seed: int = 0) -> Tensor:
    """Log magnitudes of noise that comes and goes, (B, M, 513)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_items, (num_frames - 1) * STFT.hop, generator=generator)
    swell = 0.05 + 0.05 * torch.sin(torch.arange(noise.shape[1]) / 2000)
    return log_magnitude(noise * swell, STFT)


def hidden(text: str, num_items: int = 2) -> Tensor:
    """A mask from a drawing: # is hidden."""
    return torch.tensor([[letter == "#" for letter in text]] * num_items)


MASK = hidden("....########....########........####....")


def test_the_truth_costs_nothing() -> None:
    truth = frames()
    assert LOSS(truth.clone(), truth, MASK) == pytest.approx([0, 0], abs=1e-6)


def test_a_constant_factor_has_a_known_loss() -> None:
    """Twice the magnitude: log 2 in every band, s = 1, and changes at the borders alone."""
    truth = frames()
    parts = LOSS.parts(truth + math.log(2), truth, MASK)
    assert parts.mel == pytest.approx([math.log(2)] * 2, rel=1e-5)
    assert parts.convergence == pytest.approx([math.log(2)] * 2, rel=1e-5)
    borders, touched = 6, 8 + 8 + 4 + 3
    assert parts.change == pytest.approx([math.log(2) * borders / touched] * 2, rel=1e-5)


def test_the_whole_weighs_convergence_less() -> None:
    truth, guess = frames(seed=0), frames(seed=1)
    parts = LOSS.parts(guess, truth, MASK)
    torch.testing.assert_close(LOSS(guess, truth, MASK), parts.mel + 0.1 * parts.convergence + parts.change)


def plain(guess: Tensor, truth: Tensor, is_hidden: Tensor) -> list[float]:
    """The definition, for one item (M, F), with nothing saved."""
    guess, truth = torch.where(is_hidden[:, None], guess, truth).double().exp(), truth.double().exp()
    touches = is_hidden[1:] | is_hidden[:-1]
    mel, change = [], []
    for number in NUM_BANDS:
        bank = mel_bands(STFT, 24000, number).double()
        error = (guess @ bank).log() - (truth @ bank).log()
        mel.append(error[is_hidden].abs().mean())
        change.append(error.diff(dim=0)[touches].abs().mean())
    s = (guess - truth)[is_hidden].norm() / truth[is_hidden].norm()
    return [float(torch.stack(mel).mean()), float(s.log1p()), float(torch.stack(change).mean())]


def test_packing_changes_nothing() -> None:
    truth, guess = frames(seed=0), frames(seed=1)
    masks = torch.cat([MASK[:1], hidden("#" * 11 + "." * 20 + "#" * 9, 1)])
    parts = torch.stack(LOSS.parts(guess, truth, masks), 1)
    for item in range(2):
        assert parts[item] == pytest.approx(plain(guess[item], truth[item], masks[item]), rel=1e-4)


def test_visible_frames_and_other_items_do_not_count() -> None:
    truth, guess = frames(seed=0), frames(seed=1).requires_grad_()
    before = LOSS(guess, truth, MASK)
    before[0].backward()
    assert guess.grad is not None
    assert (guess.grad[0][MASK[0]] != 0).any(1).all()
    assert (guess.grad[0][~MASK[0]] == 0).all()
    assert (guess.grad[1] == 0).all()
    spoilt = torch.where(MASK[..., None], guess.detach(), torch.full_like(truth, 50.0))
    torch.testing.assert_close(LOSS(spoilt, truth, MASK), before.detach())


def test_bins_that_are_not_scored_do_not_count() -> None:
    truth, guess = frames(seed=0), frames(seed=1)
    is_scored = torch.arange(513) < 342  # 16-kHz audio at 24 kHz
    before = LOSS(guess, truth, MASK, is_scored)
    guess[..., 342:] = 7.0
    torch.testing.assert_close(LOSS(guess, truth, MASK, is_scored), before)
    assert (LOSS(guess, truth, MASK) > before + 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("number", [-1e4, -20.0, 0.0, 30.0, 1e4])
@pytest.mark.parametrize("truth", ["speech", "silence"])
@pytest.mark.parametrize("mask", ["#" * 40, "." * 40, "....########....########........####...."])
def test_loss_and_gradient_are_always_finite(dtype: torch.dtype, number: float, truth: str, mask: str) -> None:
    """Silence, all hidden, nothing hidden (as in padding), and predictions far from anything."""
    target = frames() if truth == "speech" else torch.full((2, 40, 513), math.log(STFT.floor))
    target[1] = math.log(STFT.floor)
    guess = torch.full_like(target, number, dtype=dtype).requires_grad_()
    loss = LOSS(guess, target.to(dtype), hidden(mask))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert (loss < 60).all()
    loss.sum().backward()
    assert guess.grad is not None and torch.isfinite(guess.grad).all()
    if "#" not in mask:
        assert (loss == 0).all()
        assert (guess.grad == 0).all()


def test_equal_silence_has_a_finite_gradient() -> None:
    silence = torch.full((1, 40, 513), math.log(STFT.floor))
    guess = silence.clone().requires_grad_()
    loss = LOSS(guess, silence, MASK[:1])
    loss.sum().backward()
    assert loss.item() < 1e-3
    assert guess.grad is not None and torch.isfinite(guess.grad).all()


def test_autocast_does_not_reach_it() -> None:
    truth, guess = frames(seed=0), frames(seed=1)
    plain_loss = LOSS(guess, truth, MASK)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(LOSS(guess, truth, MASK), plain_loss)


def test_an_untrained_guess_costs_about_one_each() -> None:
    truth = frames(4)
    guess = truth.mean((0, 1)).expand_as(truth)
    parts = torch.stack(LOSS.parts(guess, truth, MASK.repeat(2, 1)))
    assert (parts > 0.1).all()
    assert (parts < 3).all()


def test_an_item_does_not_depend_on_its_batch() -> None:
    truth, guess = frames(3, seed=0), frames(3, seed=1)
    masks = torch.cat([MASK, MASK.flip(1)[:1]])
    together = LOSS(guess, truth, masks)
    for item in range(3):
        alone = LOSS(guess[item : item + 1], truth[item : item + 1], masks[item : item + 1])
        torch.testing.assert_close(alone[0], together[item])


@pytest.mark.parametrize(("n_fft", "rate"), [(1024, 24000), (256, 24000), (2048, 8000)])
def test_bands_are_means_of_bins(n_fft: int, rate: int) -> None:
    """Empty bands of short transforms are gone: a constant spectrum has the same level in each."""
    stft = SpectrogramConfig(n_fft=n_fft, hop=n_fft // 4, window=n_fft)
    for number in NUM_BANDS:
        bank = mel_bands(stft, rate, number)
        assert bank.shape[0] == n_fft // 2 + 1
        assert bank.shape[1] <= number
        torch.testing.assert_close(bank.sum(0), torch.ones(bank.shape[1]))
    assert n_fft > 256 or mel_bands(stft, rate, 160).shape[1] < 160
    flat = torch.full((3, n_fft // 2 + 1), 0.5)
    bands = PerceptualLoss(stft, rate).bands(flat.device)
    torch.testing.assert_close(bands.levels(flat), torch.full((3, len(bands.shares)), math.log(0.5)))
    assert float(bands.shares.sum()) == pytest.approx(1)


def test_it_survives_being_built_on_the_meta_device() -> None:
    """As ``from_pretrained`` does it."""
    truth, guess = frames(seed=0), frames(seed=1)
    with torch.device("meta"):
        loss = PerceptualLoss(STFT, 24000)
        loss.bands(torch.device("cpu"))
    assert torch.equal(loss(guess, truth, MASK), LOSS(guess, truth, MASK))
    assert torch.equal(copy.deepcopy(loss)(guess, truth, MASK), LOSS(guess, truth, MASK))
    assert not list(loss.parameters()) and not loss.state_dict()


def test_it_is_cheap() -> None:
    """About 8 ms on one core where this was written; 200 allow for a slow, busy one."""
    masks = np.stack([draw_spans(np.random.default_rng(item), 128, 0.6, 8, 16) for item in range(6)])
    is_hidden = torch.from_numpy(masks).repeat_interleave(2, 1)
    truth, guess = frames(6, 256, 0), frames(6, 256, 1).requires_grad_()
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        LOSS(guess, truth, is_hidden).sum().backward()
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.2
