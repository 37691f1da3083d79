"""ConvNeXt V2 blocks: against the published implementation, and blind to what is hidden."""

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from audiorig.models.convnext import ConvNeXtBlock, DepthwiseConv, GlobalResponseNorm, Slots


def random_block(width: int = 24, kernel: int = 7) -> ConvNeXtBlock:
    torch.manual_seed(0)
    block = ConvNeXtBlock(width, kernel)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block


def everything(num_items: int, num_latents: int) -> Slots:
    return Slots.whole(torch.ones(num_items, num_latents, dtype=torch.bool))


def test_block_equals_timm() -> None:
    convnext = pytest.importorskip("timm.models.convnext", reason="timm is not installed: run `make oracles`")
    ours, num_latents = random_block(), 40
    theirs = convnext.ConvNeXtBlock(24, kernel_size=7, use_grn=True, ls_init_value=None, conv_mlp=False)
    # Theirs is two-dimensional: with one row, only the middle row of its 7 x 7 kernel sees anything.
    kernel = torch.zeros(24, 1, 7, 7)
    kernel[:, :, 3] = ours.conv.weight.squeeze(2)
    theirs.load_state_dict(
        {
            "conv_dw.weight": kernel,
            "conv_dw.bias": ours.conv.bias,
            "norm.weight": ours.norm.weight,
            "norm.bias": ours.norm.bias,
            "mlp.fc1.weight": ours.expand.weight,
            "mlp.fc1.bias": ours.expand.bias,
            "mlp.grn.weight": ours.response.gamma,
            "mlp.grn.bias": ours.response.beta,
            "mlp.fc2.weight": ours.contract.weight,
            "mlp.fc2.bias": ours.contract.bias,
        }
    )
    tokens = torch.randn(3, num_latents, 24)
    expected = theirs(tokens.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
    difference = (ours(tokens, everything(3, num_latents)) - expected).abs().max()
    assert difference < 1e-5 * expected.abs().max()


def test_only_visible_slots_equal_the_masked_grid() -> None:
    """Computing visible latents alone gives what a dense grid with zeros in the gaps gives."""
    block, generator = random_block(), torch.Generator().manual_seed(1)
    is_visible = torch.rand(5, 50, generator=generator) < 0.4
    grid = torch.randn(5, 50, 24, generator=generator)
    sparse = Slots.only(is_visible)
    alone = sparse.scatter(block(sparse.gather(grid), sparse))
    dense = block(grid * is_visible[..., None], Slots.whole(is_visible)) * is_visible[..., None]
    torch.testing.assert_close(alone, dense, atol=1e-5, rtol=1e-5)


def test_slots_find_their_way_back() -> None:
    is_visible = torch.tensor([[True, False, True, True], [False, False, False, True], [False] * 4])
    slots, grid = Slots.only(is_visible), torch.arange(12.0).reshape(3, 4, 1) + 1
    assert slots.is_valid.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert slots.gather(grid)[..., 0].tolist() == [[1, 3, 4], [8, 0, 0], [0, 0, 0]]
    assert torch.equal(slots.scatter(slots.gather(grid)), grid * is_visible[..., None])


def test_a_fixed_number_of_slots_changes_nothing() -> None:
    """More slots than an item sees are filled up, and give what no item has too few of."""
    block, is_visible = random_block(), torch.rand(4, 30, generator=torch.Generator().manual_seed(2)) < 0.3
    grid = torch.randn(4, 30, 24)
    found = []
    for slots in (Slots.only(is_visible), Slots.only(is_visible, 20)):
        found.append(slots.scatter(block(slots.gather(grid), slots)))
    assert slots.is_valid.shape == (4, 20)
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
    with pytest.raises(AssertionError, match="more than it has slots"):
        Slots.only(is_visible, 3)


def test_knowing_that_all_slots_are_valid_changes_no_bit() -> None:
    block, slots = random_block(), everything(3, 20)
    unknown = dataclasses.replace(slots, is_full=False)
    assert slots.is_full
    assert slots.mask is None
    tokens = torch.randn(3, 20, 24)
    outcome = [_output_and_gradients(block, tokens, each) for each in (slots, unknown)]
    for known, asked in zip(*outcome, strict=True):
        assert torch.equal(known, asked)


def test_gradients_are_the_same_bits_every_time() -> None:
    block, is_visible = random_block(kernel=31), torch.rand(4, 60, generator=torch.Generator().manual_seed(3)) < 0.4
    slots = Slots.only(is_visible)
    tokens = slots.gather(torch.randn(4, 60, 24))
    outcome = [_output_and_gradients(block, tokens, slots) for _ in range(3)]
    for first, *others in zip(*outcome, strict=True):
        assert all(torch.equal(first, other) for other in others)


def _output_and_gradients(block: ConvNeXtBlock, tokens: Tensor, slots: Slots) -> list[Tensor]:
    tokens = tokens.clone().requires_grad_()
    output = block(tokens, slots)
    return [output, *torch.autograd.grad(output.square().sum(), [tokens, *block.parameters()])]


def test_what_is_hidden_may_be_no_number() -> None:
    """A NaN at a hidden position reaches neither values nor gradients, also where slots are fillers."""
    is_visible = torch.tensor([[True, False, True, True], [False, False, False, True]])
    block, slots = random_block(), Slots.only(is_visible)
    grid = torch.where(is_visible[..., None], torch.randn(2, 4, 24), torch.nan).requires_grad_()
    output = slots.scatter(block(slots.gather(grid), slots))
    gradient = torch.autograd.grad(output.sum(), grid)[0]
    assert torch.isfinite(output).all()
    assert torch.isfinite(gradient).all()
    assert not gradient[~is_visible].any()


@pytest.mark.parametrize("kernel", [1, 7, 31])
def test_depthwise_convolution_is_conv1d(kernel: int) -> None:
    conv, grid = DepthwiseConv(6, kernel), torch.randn(2, 20, 6)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.bias)
    expected = functional.conv1d(grid.transpose(1, 2), conv.weight[:, :, 0], conv.bias, padding=kernel // 2, groups=6)
    torch.testing.assert_close(conv(grid), expected.transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_response_norm_is_per_item() -> None:
    """A loud neighbour in the batch, or behind the end, changes nothing, bit for bit."""
    norm = GlobalResponseNorm(8)
    torch.nn.init.ones_(norm.gamma)
    tokens, is_valid = torch.randn(2, 10, 8), torch.ones(2, 10, dtype=torch.bool)
    is_valid[0, 6:] = False
    before = norm(tokens, is_valid)
    louder = tokens.clone()
    louder[1] *= 1000
    louder[0, 6:] = 1e6
    assert torch.equal(norm(louder, is_valid)[0, :6], before[0, :6])


def test_response_norm_of_nothing_has_a_finite_gradient() -> None:
    norm = GlobalResponseNorm(4)
    tokens = torch.zeros(1, 3, 4, requires_grad=True)
    norm(tokens, torch.zeros(1, 3, dtype=torch.bool)).sum().backward()
    assert torch.isfinite(tokens.grad).all()
