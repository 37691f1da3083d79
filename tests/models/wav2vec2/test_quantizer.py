"""The quantizer: the published choice, noise that belongs to an item, gradients that are finite."""

import math

import pytest
import torch
from torch import Tensor
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

from audiorig.models.wav2vec2.quantizer import KeyedQuantizer, gumbel_noise, perplexity

CONFIG = Wav2Vec2Config(conv_dim=[12], conv_kernel=[4], conv_stride=[2], num_codevectors_per_group=8, codevector_dim=6)


@pytest.fixture
def pair() -> tuple[KeyedQuantizer, Wav2Vec2GumbelVectorQuantizer]:
    """Ours and transformers', of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours, theirs = KeyedQuantizer(CONFIG), Wav2Vec2GumbelVectorQuantizer(CONFIG)
        torch.nn.init.uniform_(theirs.codevectors)
        ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def frames(count: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(count, 12, generator=torch.Generator().manual_seed(seed))


def test_without_noise_it_is_transformers_own(pair) -> None:
    ours, theirs = pair[0].eval(), pair[1].eval()
    features = frames(40)
    is_hidden = torch.arange(40) % 3 > 0
    expected, expected_perplexity = theirs(features[None], is_hidden[None])
    found = ours(features)
    torch.testing.assert_close(found.vectors, expected[0])
    torch.testing.assert_close(perplexity(found.probabilities, is_hidden.float()), expected_perplexity)


def test_with_the_same_noise_it_is_transformers_own(pair, monkeypatch) -> None:
    """Values and gradients, in training: the global state gives theirs what ours is handed."""
    ours, theirs = pair
    features, noise = frames(40), gumbel_noise(torch.tensor([5]), torch.tensor([40]), 2, 8)

    def with_our_noise(logits: Tensor, tau: float, hard: bool) -> Tensor:
        soft = ((logits + noise.view_as(logits)) / tau).softmax(-1)
        return torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0) - soft.detach() + soft

    monkeypatch.setattr(torch.nn.functional, "gumbel_softmax", with_our_noise)
    expected, expected_perplexity = theirs(features[None], torch.ones(1, 40, dtype=torch.bool))
    found = ours(features, noise)
    torch.testing.assert_close(found.vectors, expected[0])
    torch.testing.assert_close(perplexity(found.probabilities, torch.ones(40)), expected_perplexity)
    direction = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    (expected[0] * direction).sum().backward()
    (found.vectors * direction).sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_codes_tell_vectors_apart(pair) -> None:
    found = pair[0](frames(60), gumbel_noise(torch.tensor([1]), torch.tensor([60]), 2, 8))
    same_code = found.codes[:, None] == found.codes
    same_vector = torch.cdist(found.vectors, found.vectors) < 1e-3
    assert torch.equal(same_code, same_vector)


def test_noise_is_gumbel_and_belongs_to_its_item() -> None:
    keys, counts = torch.tensor([3, 4, 2**62]), torch.tensor([500, 0, 300])
    noise = gumbel_noise(keys, counts, 2, 32)
    assert noise.shape == (800, 2, 32) and noise.isfinite().all()
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)  # Euler's constant
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.03)
    alone = gumbel_noise(keys[2:], counts[2:], 2, 32)
    assert torch.equal(noise[500:], alone)
    assert not torch.equal(noise[:300], alone)


def test_noise_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    gumbel_noise(torch.tensor([3]), torch.tensor([10]), 2, 4)
    assert torch.equal(before, torch.get_rng_state())


def test_a_cold_choice_follows_the_scores(pair) -> None:
    """Noise is added before the temperature divides, so codes are drawn by their probability at any temperature."""
    quantizer = pair[0]
    features = frames(1).expand(4000, -1)
    noise = gumbel_noise(torch.tensor([7]), torch.tensor([4000]), 2, 8)
    for temperature in (0.1, 2.0):
        quantizer.temperature = temperature
        found = quantizer(features, noise)
        drawn = torch.bincount(found.codes % 8, minlength=8) / 4000  # of the first group
        torch.testing.assert_close(drawn, found.probabilities[0, 0].detach(), atol=0.03, rtol=0)


def test_perplexity_counts_codes_in_use() -> None:
    rows = torch.tensor([[0, 1], [1, 1], [2, 1], [3, 1], [5, 2]])
    one_hot = torch.nn.functional.one_hot(rows, 6).float()
    assert float(perplexity(one_hot, torch.tensor([1.0, 1, 1, 1, 0]))) == pytest.approx(4 + 1)
    assert float(perplexity(torch.full((7, 2, 6), 1 / 6), torch.ones(7))) == pytest.approx(12)


def test_perplexity_of_nothing_and_of_dead_codes_has_finite_gradients() -> None:
    for weights in (torch.zeros(5), torch.ones(5)):
        scores = torch.zeros(5, 2, 4)
        scores[..., 0] = 1000  # the others' probabilities are 0 to the last bit
        scores.requires_grad_()
        value = perplexity(scores.softmax(-1), weights)
        value.backward()
        assert value.item() == pytest.approx(2) and scores.grad.isfinite().all()
