"""Two maps of one size added, and an activation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.kernels.call import ADD, MULTIPLY, Call, Told
from darknet_py.operations import Operation, Slot
from darknet_py.operations.activation import NUMBERS, ONEDNN, activate
from darknet_py.shape import Shape


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

    def tell(self, *shapes: Shape) -> Told | None:
        """A sum, pixel by pixel."""
        a, b = shapes
        return _tell(ADD, self.activation, a, b, 1) if a == b else None


class PartialAddition(Operation):
    """`activation(a + b)` where `b` is of another size.

    With `sampled` (pjreddie) the block that both have is added (`common_block`); else (AlexeyAB)
    the first values of `b` in C's order.

    PARITY: see layers/shortcut.py:_first_values (C: blas.c:shortcut_cpu, shortcut_multilayer_cpu).
    """

    fresh = True
    reusable = (0,)

    def __init__(self, activation: Activation, *, sampled: bool) -> None:
        self.activation, self.sampled = activation, sampled

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Add and activate."""
        a, b = (x if x.dim() == 4 else x[:, :, None, None] for x in inputs)
        y = a.clone() if self.reuse is None else a
        if self.sampled or a.shape[2:] == b.shape[2:]:
            block, part = common_block(y, b)
            block.add_(part)
            return activate(self.activation, y)
        count, plane = a[0].numel(), b[0, 0].numel()
        values = b[:, : -(-count // plane)].flatten(1)[:, :count]  # rounded up to whole maps
        values = F.pad(values, (0, count - values.shape[1])).view(a.shape)
        return activate(self.activation, y.add_(values))

    def tell(self, *shapes: Shape) -> Told | None:
        """A sum with the channels, and every n-th pixel, that both maps have."""
        a, b = shapes
        stride = max(b.width // max(a.width, 1), 1)
        if (a.height * stride, a.width * stride) != (b.height, b.width):
            return None
        if stride > 1 and not self.sampled:
            return None
        return _tell(ADD, self.activation, a, b, stride)


def _tell(kind: int, activation: Activation, a: Shape, b: Shape, stride: int) -> Told | None:
    """A call for map `a` and other map `b`, of which every n-th pixel counts; 0: it is only one."""
    if activation not in NUMBERS:
        return None
    call = Call(kind=kind, first=NUMBERS[activation], size=min(stride, 1))
    call.channels, call.height, call.width = a.channels, max(a.height, 1), max(a.width, 1)
    call.filters, call.out_height, call.out_width = b.channels, max(b.height, 1), max(b.width, 1)
    call.stride_y = call.stride_x = max(stride, 1)
    return Told(call, 0, 1)


def common_block(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The parts of two maps that pjreddie's shortcut adds up, views of one shape.

    Of a larger `other` every n-th pixel is taken; a smaller one is spread over x's n-th. Of the
    channels both have the first are taken (C: blas.c:shortcut_cpu).

    Args:
        x: `(batch, c, h, w)`, what is added to.
        other: `(batch, c', h', w')`; width and height in the same ratio to x's.
    """
    stride, spread = max(other.shape[3] // x.shape[3], 1), max(x.shape[3] // other.shape[3], 1)
    channels, height, width = map(min, x.shape[1:], other.shape[1:])
    block = x[:, :channels, : height * spread : spread, : width * spread : spread]
    return block, other[:, :channels, : height * stride : stride, : width * stride : stride]


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

    def tell(self, *shapes: Shape) -> Told | None:
        """A product, of pixels or of each channel and one number."""
        a, b = shapes
        pixel = a.channels == b.channels and max(a.height, 1) * max(a.width, 1) == 1
        if a != b and not pixel:
            return None
        told = _tell(MULTIPLY, self.activation, b, a, 1 if a == b else 0)
        return None if told is None else Told(told.call, 1, 0)


class Activated(Operation):
    """`activation(x)`."""

    reusable = (0,)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Activate."""
        (x,) = inputs
        return self.activation(x) if self.reuse is None else activate(self.activation, x)
