"""Compiled blocks: the same numbers, no second compilation, one sentence where there is no compiler."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audiorig.errors import ConfigError
from audiorig.models.convnext import ConvNeXtBlock, Slots
from audiorig.train.compilation import compile_blocks, uncompiled

WIDTH, LATENTS, VISIBLE = 16, 40, 12


class Stack(nn.Module):
    """Blocks of two kernels, as the encoder has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(ConvNeXtBlock(WIDTH, kernel) for kernel in (3, 3, 7, 3, 3, 7))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)

    def forward(self, grid: Tensor, slots: Slots) -> Tensor:
        tokens = slots.gather(grid)
        for block in self.blocks:
            tokens = block(tokens, slots)
        return slots.scatter(tokens)


def batch(seed: int, num_visible: int = VISIBLE) -> tuple[Tensor, Slots]:
    generator = torch.Generator().manual_seed(seed)
    ranks = torch.rand(3, LATENTS, generator=generator).argsort(1).argsort(1)
    is_visible = ranks < torch.tensor([VISIBLE, VISIBLE, num_visible])[:, None]
    grid = torch.randn(3, LATENTS, WIDTH, generator=generator).requires_grad_()
    return grid, Slots.only(is_visible, VISIBLE)


def gradients(model: nn.Module, seed: int, num_visible: int = VISIBLE) -> list[Tensor]:
    grid, slots = batch(seed, num_visible)
    output = model(grid, slots)
    return [output.detach(), *torch.autograd.grad(output.square().sum(), [grid, *model.parameters()])]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Nothing compiled before, nothing taken from a cache."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch.compiler.reset()
    yield torch.compiler.reset
    torch.compiler.reset()


def test_no_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"'no-such-compiler' is not found.*train\.compile: false"):
        compile_blocks(Stack())


@pytest.mark.slow
def test_a_broken_compiler_is_one_sentence(tmp_path: Path) -> None:
    """In a process of its own: PyTorch looks at CXX once, when it is imported."""
    broken = tmp_path / "broken-c++"
    broken.write_text("#!/bin/sh\necho 'fatal error: Python.h: no such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    command = (
        "from audiorig.models.convnext import ConvNeXtBlock; from audiorig.train.compilation import compile_blocks; "
        "compile_blocks(ConvNeXtBlock(8, 3))"
    )
    environment = {**os.environ, "CXX": str(broken), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("audiorig.errors.ConfigError: train.compile: true needs a working C++ compiler"), done.stderr
    assert "broken-c++" in last


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_compiled_blocks_give_the_same_numbers(fresh: Callable[[], None]) -> None:
    """As the eager ones, whatever the batch holds; and bit for bit the same when compiled again."""
    plain = Stack()
    compiled = copy.deepcopy(plain)
    assert compile_blocks(compiled) == 6
    assert list(compiled.state_dict()) == list(plain.state_dict())
    found = {}
    for seed, num_visible in ((1, VISIBLE), (2, 5), (3, VISIBLE)):
        found[seed] = gradients(compiled, seed, num_visible)
        for ours, theirs in zip(found[seed], gradients(plain, seed, num_visible), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)
    fresh()
    again = copy.deepcopy(plain)
    compile_blocks(again)
    for ours, theirs in zip(gradients(again, 2, 5), found[2], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_nothing_is_compiled_after_the_first_step(fresh: Callable[[], None]) -> None:
    """Batches with and without fillers take the same code, and evaluation takes none of it."""
    model = Stack()
    compile_blocks(model)
    gradients(model, 1)
    with torch.compiler.set_stance("fail_on_recompile"):
        gradients(model, 2)
        gradients(model, 3, num_visible=5)
        with uncompiled(), torch.no_grad():
            model(torch.randn(2, 23, WIDTH), Slots.whole(torch.ones(2, 23, dtype=torch.bool)))
        gradients(model, 4)
