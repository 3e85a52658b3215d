"""Two maps of one size added, and an activation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.operations import Operation, Slot
from darknet_py.operations.activation import ONEDNN, activate


class Addition(Operation):
    """`activation(a + b)`."""

    fresh = can_write = True
    reusable = (0, 1)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.traceable = activation in ONEDNN

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Add and activate."""
        a, b = inputs
        if self.activation is activations.linear and out is not None:
            return torch.add(a, b, out=out.like(a))
        kept, added = (b, a) if self.reuse == 1 else (a, b)
        y = kept + added if self.reuse is None else kept.add_(added)
        return activate(self.activation, y, None if out is None else out.like(y))

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same, in memory of its own."""
        a, b = inputs
        return self.activation(a + b)


class PartialAddition(Operation):
    """`activation(a + b)` where `b` is of another size: its first values in C's order are added.

    PARITY: see layers/shortcut.py:_first_values (C: blas.c:shortcut_multilayer_cpu).
    """

    fresh = True
    reusable = (0,)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Add and activate."""
        a, b = (x if x.dim() == 4 else x[:, :, None, None] for x in inputs)
        y = a.clone() if self.reuse is None else a
        if a.shape[2:] == b.shape[2:]:
            channels = min(a.shape[1], b.shape[1])
            y[:, :channels].add_(b[:, :channels])
            return activate(self.activation, y)
        count, plane = a[0].numel(), b[0, 0].numel()
        values = b[:, : -(-count // plane)].flatten(1)[:, :count]  # rounded up to whole maps
        values = F.pad(values, (0, count - values.shape[1])).view(a.shape)
        return activate(self.activation, y.add_(values))


class SampledAddition(Operation):
    """`activation(a + b)` on the block that both have, `activation(a)` elsewhere (pjreddie).

    Of a larger `b` every n-th pixel is taken; a smaller one is spread over `a`'s n-th
    (C: blas.c:shortcut_cpu).
    """

    fresh = True
    reusable = (0,)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Add and activate."""
        a, b = (x if x.dim() == 4 else x[:, :, None, None] for x in inputs)
        y = a.clone() if self.reuse is None else a
        stride, spread = strides(b.shape[3], y.shape[3])
        channels, height, width = map(min, y.shape[1:], b.shape[1:])
        block = y[:, :channels, : height * spread : spread, : width * spread : spread]
        block.add_(b[:, :channels, : height * stride : stride, : width * stride : stride])
        return activate(self.activation, y)


def strides(length: int, target: int) -> tuple[int, int]:
    """How many pixels to step in the map that is added, and in the one it is added to."""
    return max(length // target, 1), max(target // length, 1)


class Product(Operation):
    """`activation(a * b)`; `a` holds one factor for each channel, or pixel, or value of `b`."""

    fresh = can_write = True
    reusable = (1,)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.traceable = activation in ONEDNN

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Multiply and activate."""
        a, b = (x if x.dim() == 4 else x[:, :, None, None] for x in inputs)
        if self.activation is activations.linear and out is not None:
            return torch.mul(b, a, out=out.like(b))
        y = b.mul_(a) if self.reuse == 1 else b * a
        return activate(self.activation, y, None if out is None else out.like(y))

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same, in memory of its own."""
        a, b = (x if x.dim() == 4 else x[:, :, None, None] for x in inputs)
        return self.activation(b * a)


class Activated(Operation):
    """`activation(x)`."""

    reusable = (0,)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Activate."""
        (x,) = inputs
        return self.activation(x) if self.reuse is None else activate(self.activation, x)
