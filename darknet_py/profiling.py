"""Where a network's time goes: milliseconds of each layer, beside what the machine can do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers import Layer
from darknet_py.layers.convolutional import Convolutional
from darknet_py.lower import Lowered
from darknet_py.network import Network
from darknet_py.operations import Operation, Slot


@dataclass(frozen=True)
class Share:
    """One step of a lowered network: a layer, or several that run as one."""

    layers: tuple[int, ...]
    kind: str
    output: str
    """Its shape, as `76x76x256`."""
    milliseconds: float
    """For a batch; the median of the runs."""
    operations: int
    """For a batch, as C counts them."""

    @property
    def rate(self) -> float:
        """Operations a second, in thousand millions."""
        return self.operations / self.milliseconds / 1e6 if self.milliseconds else 0.0


@dataclass(frozen=True)
class Profile:
    """What was measured."""

    shares: tuple[Share, ...]
    milliseconds: float
    """Of a whole run without clocks inside, for a batch: the median."""
    fastest: float
    """The least that a whole run took."""
    matmul: float
    """The machine's GFLOP/s in a product of matrices, the best of those between the runs."""
    convolution: float
    """The same in a convolution of 3 x 3."""
    batch: int
    threads: int
    dtype: str

    @property
    def peak(self) -> float:
        """The most GFLOP/s that the machine has shown."""
        return max(self.matmul, self.convolution, *(share.rate for share in self.shares))

    @property
    def operations(self) -> int:
        """Of all layers, for a batch."""
        return sum(share.operations for share in self.shares)

    @property
    def measured(self) -> float:
        """The milliseconds of all steps together."""
        return sum(share.milliseconds for share in self.shares)

    def kinds(self) -> list[Share]:
        """The steps of one kind taken together, the slowest kind first."""
        found: dict[str, list[Share]] = {}
        for share in self.shares:
            found.setdefault(share.kind, []).append(share)
        sums = [
            Share(
                tuple(index for share in shares for index in share.layers),
                kind,
                "",
                sum(share.milliseconds for share in shares),
                sum(share.operations for share in shares),
            )
            for kind, shares in found.items()
        ]
        return sorted(sums, key=lambda share: -share.milliseconds)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "milliseconds": self.milliseconds,
            "fastest": self.fastest,
            "operations": self.operations,
            "matmul_gflops": self.matmul,
            "convolution_gflops": self.convolution,
            "batch": self.batch,
            "threads": self.threads,
            "dtype": self.dtype,
            "layers": [
                {
                    "layers": list(share.layers),
                    "kind": share.kind,
                    "output": share.output,
                    "milliseconds": share.milliseconds,
                    "operations": share.operations,
                    "gflops": share.rate,
                    "share": share.milliseconds / self.measured if self.measured else 0.0,
                }
                for share in self.shares
            ],
        }


def profile(network: Network, lowered: Lowered, x: Tensor, seconds: float = 3.0) -> Profile:
    """Run `lowered`, which was made of `network`, on the batch `x` for about that long."""
    clocks: dict[int, list[float]] = {step.index: [] for step in lowered.steps}
    steps = [
        replace(step, operation=_Timed(step.operation, clocks[step.index], x.device))
        for step in lowered.steps
    ]
    timed = Lowered(network, steps, lowered.wanted, lowered.place)
    wait = _waiter(lowered.place.device)
    lowered(x)
    timed(x)
    for times in clocks.values():
        times.clear()
    whole: list[float] = []
    best = {"matmul": 0.0, "convolution": 0.0}
    end = time.perf_counter() + seconds
    while len(whole) < 3 or time.perf_counter() < end:
        for name, rate in _rates(lowered).items():
            best[name] = max(best[name], rate)
        start = time.perf_counter()
        lowered(x)
        wait()
        whole.append(time.perf_counter() - start)
        timed(x)
    shares = tuple(_shares(network, lowered, clocks, len(x)))
    return Profile(
        shares,
        1000 * statistics.median(whole),
        1000 * min(whole),
        best["matmul"],
        best["convolution"],
        len(x),
        torch.get_num_threads(),
        str(lowered.place.dtype).removeprefix("torch."),
    )


class _Timed(Operation):
    """An operation with a clock."""

    def __init__(self, operation: Operation, times: list[float], device: torch.device) -> None:
        self.operation, self.times, self.wait = operation, times, _waiter(device)

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The operation's output."""
        extra: dict[str, Any] = {} if out is None else {"out": out}
        start = time.perf_counter()
        y = self.operation(*inputs, **extra)
        self.wait()
        self.times.append(time.perf_counter() - start)
        return y


def _waiter(device: torch.device) -> Callable[[], None]:
    """What waits until the device has done all that it was told."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


@torch.inference_mode()
def _rates(lowered: Lowered) -> dict[str, float]:
    """GFLOP/s now, in a product of 1024 x 1024 and in a convolution of 256 channels."""
    place = lowered.place
    wait = _waiter(place.device)
    a = torch.ones(1024, 1024, device=place.device, dtype=place.dtype)
    image, weights = place.to(torch.ones(1, 256, 38, 38)), place.to(torch.ones(256, 256, 3, 3))
    work: dict[str, tuple[Callable[[], Tensor], int]] = {
        "matmul": (lambda: a @ a, 2 * 1024**3),
        "convolution": (lambda: F.conv2d(image, weights, padding=1), 2 * 256**2 * 9 * 38**2),
    }
    rates = {}
    for name, (run, operations) in work.items():
        run()
        wait()
        start = time.perf_counter()
        run()
        wait()
        rates[name] = operations / (time.perf_counter() - start) / 1e9
    return rates


def _shares(
    network: Network, lowered: Lowered, clocks: dict[int, list[float]], batch: int
) -> Iterator[Share]:
    steps = {step.index for step in lowered.steps}
    for step in lowered.steps:
        layer = network[step.index]
        layers = [layer]
        if getattr(step.operation, "joined", None) is not None:
            layers = [network[s] for s in layer.sources if s >= 0 and s not in steps][:1] + layers
        times = clocks[step.index]
        shape = layer.out_shape
        sides = (shape.width, shape.height, shape.channels)
        yield Share(
            tuple(one.index for one in layers),
            " + ".join(map(_kind, layers)) + (" (in place)" if step.written else ""),
            "x".join(str(side) for side in sides if shape.is_image) or str(shape.size),
            1000 * statistics.median(times) if times else 0.0,
            batch * sum(one.operations for one in layers),
        )


def _kind(layer: Layer) -> str:
    name = layer.section.type
    if isinstance(layer, Convolutional):
        name = f"conv {layer.size}x{layer.size}"
        step = max(layer.stride_x, layer.stride_y)
        name += f"/{step}" if step > 1 else ""
        name += f" g{layer.groups}" if layer.groups > 1 else ""
        name += f" {layer.options.activation}"
    return name
