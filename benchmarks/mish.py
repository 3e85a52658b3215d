"""Mish in all the ways that torch has: python benchmarks/mish.py [--threads N] [--compiled].

Prints milliseconds for a map of 64 x 208 x 208 (the largest of yolov4 at 416) and one of
256 x 52 x 52, and the largest error against double precision. All ways take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.operations import activation

SIZES = [(64, 208, 208), (256, 52, 52)]
ROUNDS = 25


def one_exponential(x: Tensor) -> Tensor:
    """`x n / (n + 2)` with `n = e^x (e^x + 2)`, step by step over the whole map."""
    e = x.clamp(max=20).exp_()
    n = e * (e + 2)
    return x * n / (n + 2)


def in_blocks(x: Tensor) -> Tensor:
    """As prepared networks do it."""
    return activation.mish(x, torch.empty_like(x))


def time_ways(ways: dict[str, Callable[[Tensor], Tensor]], x: Tensor) -> None:
    """Print a line for each way."""
    exact, times = F.mish(x.double()), {name: list[float]() for name in ways}
    errors = {name: float((way(x) - exact).abs().max()) for name, way in ways.items()}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            way(x)
            start = time.perf_counter()
            way(x)
            times[name].append(1e3 * (time.perf_counter() - start))
    for name, found in times.items():
        least, median = min(found), statistics.median(found)
        print(f"  {name:32} {least:7.2f} {median:7.2f} ms   error {errors[name]:.1e}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compiled", action="store_true", help="with torch.compile: needs g++")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "F.mish": F.mish,
        "one exponential, whole map": one_exponential,
        "one exponential, in blocks": in_blocks,
        "F.silu (to compare)": F.silu,
    }
    if arguments.compiled:
        ways["one exponential, compiled"] = torch.compile(one_exponential)
    with torch.inference_mode():
        for channels, height, width in SIZES:
            x = 3 * torch.randn(1, channels, height, width)
            x = x.to(memory_format=torch.channels_last)
            print(f"{channels} x {height} x {width}, {arguments.threads} threads: least, median")
            time_ways(ways, x)
        print("the same in bfloat16")
        time_ways(ways, x.bfloat16())


if __name__ == "__main__":
    main()
