"""One encoder block, forward and backward: against its two matrix products alone, dense against visible-only.

The limit is what the two pointwise layers take by themselves, with their gradients. Visible-only is
the same block given a quarter of the positions; what it gives is first compared with the dense
block whose input and output are masked. Contenders run interleaved; the best round of each counts.
Times are of the processor with one thread (neighbours then count less), of the wall with more.

    PYTHONPATH=src python benchmarks/encoder.py --rounds 5
"""

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiorig.models.convnext import ConvNeXtBlock, Slots

Contender = Callable[[], object]
HIDDEN_SHARE = 0.75


def blocks(width: int, items: int, latents: int, kernel: int, with_compiled: bool) -> dict[str, Contender]:
    """The block and its limit, in float32 and under bfloat16 autocast."""
    torch.manual_seed(0)
    grid = torch.randn(items, latents, width)
    block = random_block(width, kernel)
    whole = Slots.whole(torch.ones(items, latents, dtype=torch.bool))
    slots = Slots.only(visible(items, latents))
    tokens = slots.gather(grid)
    products = nn.Sequential(nn.Linear(width, 4 * width), nn.Linear(4 * width, width))
    forwards: dict[str, Callable[[], Contender]] = {"eager": lambda: copy.deepcopy(block)}
    if with_compiled:
        forwards["compiled"] = lambda: torch.compile(copy.deepcopy(block), dynamic=False, fullgraph=True)
    found: dict[str, Contender] = {}
    for precision in ("fp32", "bf16"):
        found[f"{precision} products alone"] = step(products, precision, grid)
        for how, make in forwards.items():
            found[f"{precision} {how} dense"] = step(make(), precision, grid, whole)
            found[f"{precision} {how} visible"] = step(make(), precision, tokens, slots)
    return found


def random_block(width: int, kernel: int) -> ConvNeXtBlock:
    """Weights of a size at which every part of the block shows in its output."""
    block = ConvNeXtBlock(width, kernel)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=1 / math.sqrt(parameter[0].numel() if parameter.ndim > 1 else 4))
    return block


def visible(items: int, latents: int) -> Tensor:
    """bool (B, N): as many visible positions in each item, at random places."""
    ranks = torch.rand(items, latents, generator=torch.Generator().manual_seed(1)).argsort(1).argsort(1)
    return ranks >= round(HIDDEN_SHARE * latents)


def step(forward: Callable[..., Tensor], precision: str, tokens: Tensor, *others: object) -> Contender:
    """Forward and backward, down to the input."""
    tokens = tokens.clone().requires_grad_()
    gradient = torch.randn_like(tokens)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            output = forward(tokens, *others)
        output.backward(gradient.to(output.dtype))

    return run


def convolutions(width: int, items: int, latents: int, kernel: int) -> dict[str, Contender]:
    """The depthwise convolution alone, in four ways."""
    weight = torch.randn(width, kernel, requires_grad=True)
    grid, half = torch.randn(items, latents, width), kernel // 2

    def as_height(grid: Tensor) -> Tensor:
        image = grid.unsqueeze(2).permute(0, 3, 1, 2)
        return functional.conv2d(image, weight[:, None, :, None], padding=(half, 0), groups=width).permute(0, 2, 3, 1)

    def as_width(grid: Tensor) -> Tensor:
        image = grid.unsqueeze(1).permute(0, 3, 1, 2)
        return functional.conv2d(image, weight[:, None, None], padding=(0, half), groups=width).permute(0, 2, 3, 1)

    def as_conv1d(grid: Tensor) -> Tensor:
        return functional.conv1d(grid.transpose(1, 2), weight[:, None], padding=half, groups=width).transpose(1, 2)

    def as_shifts(grid: Tensor) -> Tensor:
        padded = functional.pad(grid, (0, 0, half, half))
        return sum((padded[:, at : at + latents] * weight[:, at] for at in range(kernel)), torch.zeros(()))

    ways = {"time as height": as_height, "time as width": as_width, "conv1d": as_conv1d, "shifted sums": as_shifts}

    def over(way: Callable[[Tensor], Tensor]) -> Contender:
        return step(lambda tokens: way(tokens).reshape(tokens.shape), "fp32", grid)

    for way in ways.values():
        torch.testing.assert_close(way(grid).reshape(grid.shape), as_conv1d(grid), atol=1e-4, rtol=1e-4)
    return {f"depthwise {kernel}, {name}": over(way) for name, way in ways.items()}


def largest_difference(width: int, items: int, latents: int, kernel: int) -> float:
    """Between visible-only and the masked dense block: output and all gradients, relative to their largest value."""
    torch.manual_seed(0)
    block, grid, is_visible = random_block(width, kernel), torch.randn(items, latents, width), visible(items, latents)
    weights = torch.randn_like(grid)

    def results(forward: Callable[[Tensor], Tensor]) -> list[Tensor]:
        tokens = grid.clone().requires_grad_()
        output = forward(tokens)
        return [output, *torch.autograd.grad((output * weights).sum(), [tokens, *block.parameters()])]

    def alone(tokens: Tensor) -> Tensor:
        slots = Slots.only(is_visible)
        return slots.scatter(block(slots.gather(tokens), slots))

    def masked(tokens: Tensor) -> Tensor:
        mask = is_visible[..., None]
        return block(tokens * mask, Slots.whole(is_visible)) * mask

    pairs = zip(results(alone), results(masked), strict=True)
    return max(float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()) for ours, theirs in pairs)


def best_times(contenders: dict[str, Contender], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each, the best of all rounds."""
    best = dict.fromkeys(contenders, math.inf)
    for round_number in range(-1, rounds):  # the first compiles and warms up
        for name, run in contenders.items():
            began, on_wall = clock(), time.perf_counter()
            run()
            if round_number >= 0:
                best[name] = min(best[name], clock() - began)
            elif " compiled " in name:
                print(f"{name:32s} first call {time.perf_counter() - on_wall:6.1f} s")
    return best


def ratios(best: dict[str, float], kernel: int) -> Iterator[str]:
    for name in best:
        precision, _, rest = name.partition(" ")
        if rest.endswith(" dense"):
            how = rest.split()[0]
            of_limit = best[f"{precision} products alone"] / best[name]
            yield f"RATIO {precision}_{how}_dense_of_products {of_limit:.2f}"
            yield f"RATIO {precision}_{how}_visible_over_dense {best[name] / best[f'{precision} {how} visible']:.2f}"
    for how in ("eager", "compiled"):
        if f"fp32 {how} dense" in best:
            yield f"RATIO {how}_bf16_over_fp32 {best[f'fp32 {how} dense'] / best[f'bf16 {how} dense']:.2f}"
    for size in (kernel, 31):
        ours = best[f"depthwise {size}, time as height"]
        for way in ("time as width", "conv1d"):
            yield f"RATIO depthwise_{size}_over_{way.replace(' ', '_')} {best[f'depthwise {size}, {way}'] / ours:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--latents", type=int, default=400)
    parser.add_argument("--kernel", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="leave out what needs a C++ compiler")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shape = (options.width, options.items, options.latents)
    difference = largest_difference(*shape, options.kernel)
    assert difference <= 1e-5, f"visible-only differs from the masked dense block by {difference:.1e}"
    contenders = blocks(*shape, options.kernel, not options.no_compile)
    for kernel in (options.kernel, 31):
        contenders |= convolutions(*shape, kernel)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    best = best_times(contenders, options.rounds, clock)
    frames = options.items * options.latents
    flop = 2 * 3 * 2 * 4 * options.width**2 * frames
    for name, seconds in best.items():
        speed = f"{flop / seconds / 1e9:7.0f} GFLOP/s" if "products" in name else ""
        print(f"{name:32s} {1e3 * seconds:8.2f} ms {frames / seconds:10.0f} latents/s {speed}")
    print(f"\nlargest relative difference of visible-only to masked dense: {difference:.1e}")
    for line in ratios(best, options.kernel):
        print(line)


if __name__ == "__main__":
    main()
