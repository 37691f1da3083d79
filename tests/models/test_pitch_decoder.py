"""The pitch decoder: what it may read, what it learns, what it says."""

import pytest
import torch

from audiorig.config import PitchConfig
from audiorig.models.pitch_decoder import PitchDecoder, unknown_frames


def make_decoder(num_bins: int = 128) -> PitchDecoder:
    torch.manual_seed(0)
    decoder = PitchDecoder(8, 16, 2, num_bins, PitchConfig())
    torch.nn.init.normal_(decoder.block.conv.weight, std=0.1)  # a WaveMAE draws it for its parts
    return decoder


def make_inputs(num_latents: int = 40) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    is_hidden = torch.zeros(1, num_latents, dtype=torch.bool)
    is_hidden[0, 10:16] = True
    return {
        "latents": torch.randn(1, num_latents, 8, generator=generator),
        "hz": (100 + 200 * torch.rand(1, 2 * num_latents, generator=generator)),
        "is_voiced": torch.ones(1, 2 * num_latents, dtype=torch.bool),
        "is_hidden": is_hidden,
        "is_real": torch.ones(1, num_latents, dtype=torch.bool),
    }


def test_hidden_frames_and_three_round_them_are_unknown() -> None:
    """Latents 10 to 15 are frames 20 to 31; what was measured on them reaches frames 17 to 34."""
    unknown = unknown_frames(make_inputs()["is_hidden"], stride=2)[0]
    assert unknown.nonzero().ravel().tolist() == list(range(17, 35))


def test_pitch_of_unknown_frames_is_not_read() -> None:
    """Not its value (the gradient is exactly 0), and not its voicing (no bit changes)."""
    decoder, inputs = make_decoder(), make_inputs()
    unknown = unknown_frames(inputs["is_hidden"], stride=2)
    inputs["hz"].requires_grad_()
    bins, voicing = decoder(**inputs)
    (bins.square().sum() + voicing.square().sum()).backward()
    gradient = inputs["hz"].grad
    assert gradient[unknown].abs().max() == 0
    assert gradient[~unknown].abs().max() > 0
    changed = {**inputs, "is_voiced": inputs["is_voiced"] ^ unknown}
    assert torch.equal(decoder(**changed)[0], bins)


def test_the_visible_curve_reaches_the_gap() -> None:
    """A gap of six latents between two notes is filled by whoever listens to them; a deaf one would not change."""
    decoder, inputs = make_decoder(), make_inputs()
    low, high = (decoder(**{**inputs, "hz": torch.full_like(inputs["hz"], hz)})[0] for hz in (100.0, 300.0))
    assert (low - high).abs().amax(dim=(1, 2)).min() > 0


@pytest.mark.parametrize("hz", [50.0, 60.0, 131.7, 303.0, 549.0])
def test_a_sure_prediction_is_read_within_five_cents(hz: float) -> None:
    decoder = make_decoder()
    centres = torch.linspace(0, decoder.range_cents, decoder.num_bins)
    cents = decoder.position(torch.tensor(hz)) * decoder.range_cents
    bins = -0.5 * ((centres - cents) / 40).square()
    read, _ = decoder.read(bins[None, None], torch.zeros(1, 1))
    if 52 < hz < 500:
        assert abs(1200 * torch.log2(read / hz)) < 5
    else:
        assert abs(1200 * torch.log2(read / hz)) < 40  # the bell is cut at the end of the range


def test_errors_have_known_values() -> None:
    """Guessing costs 1 for voicing and 1 for the bin; being right costs nearly nothing; unvoiced has no bin."""
    decoder = make_decoder()
    hz, voiced = torch.full((1, 2), 200.0), torch.ones(1, 2, dtype=torch.bool)
    flat = torch.zeros(1, 2, decoder.num_bins)
    assert decoder.errors(flat, torch.zeros(1, 2), hz, voiced) == pytest.approx(2.0, rel=1e-5)
    assert decoder.errors(flat, torch.full((1, 2), -30.0), hz, ~voiced) == pytest.approx(0.0, abs=1e-6)
    assert decoder.errors(flat, torch.full((1, 2), 30.0), hz, voiced) == pytest.approx(1.0, rel=1e-5)


def test_it_learns_to_hold_a_note() -> None:
    """Constant notes, hidden in the middle: a few steps bring them back within 50 cents."""
    decoder, inputs = make_decoder(), make_inputs()
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(1)
    for _ in range(150):
        hz = 100 * 2 ** (1.5 * torch.rand(16, 1, generator=generator)).expand(16, 80)
        batch = {name: each.expand(16, *each.shape[1:]) for name, each in inputs.items()}
        batch["hz"] = hz
        bins, voicing = decoder(**batch)
        truth = hz.unflatten(1, (-1, 2))[batch["is_hidden"]]
        loss = decoder.errors(bins, voicing, truth, torch.ones_like(truth, dtype=torch.bool)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    read, is_voiced = decoder.read(bins, voicing)
    assert ((1200 * torch.log2(read / truth)).abs() < 50).float().mean() > 0.9
    assert is_voiced.all()
