"""Activations as inference runs them: by oneDNN's names, in place, and Mish in blocks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.operations.native import find_pitch

BLOCK = 1 << 18
"""Values of a block for each thread: few enough for the cache, and many beside what it takes to
start a step."""

_ONE = torch.ones(())  # as a number it would not be what addcmul takes

ONEDNN: dict[Activation, tuple[str, list[float], str]] = {
    activations.linear: ("none", [], ""),
    activations.leaky: ("leaky_relu", [0.1], ""),
    activations.relie: ("leaky_relu", [0.01], ""),
    activations.logistic: ("sigmoid", [], ""),
    activations.swish: ("swish", [], ""),
    activations.hardtan: ("hardtanh", [-1.0, 1.0], ""),
    F.relu: ("relu", [], ""),
    F.relu6: ("hardtanh", [0.0, 6.0], ""),
    torch.tanh: ("tanh", [], ""),
}
"""What oneDNN calls the activations that it fuses with a convolution, and their constants."""

NUMBERS: dict[Activation, int] = {
    activations.linear: 0,
    activations.leaky: 1,
    activations.relie: 2,
    F.relu: 3,
    F.relu6: 4,
    activations.hardtan: 5,
    activations.logistic: 6,
    activations.swish: 7,
    activations.mish: 8,
}
"""What our own kernels call the activations that they know (kernels/vector.h)."""

AFTER_SUM: dict[Activation, tuple[str, float, str | None, list[float], str]] = {
    activations.linear: ("add", 1.0, None, [], ""),
    F.relu: ("add", 1.0, "relu", [], ""),
}
"""The activations that it fuses with a sum after a convolution: all that its call needs."""

_IN_PLACE: dict[Activation, Callable[[Tensor], Tensor]] = {
    activations.linear: lambda x: x,
    activations.leaky: lambda x: F.leaky_relu_(x, 0.1),
    activations.relie: lambda x: F.leaky_relu_(x, 0.01),
    activations.logistic: torch.sigmoid_,
    activations.swish: lambda x: F.silu(x, inplace=True),
    activations.hardtan: lambda x: x.clamp_(-1, 1),
    F.relu: torch.relu_,
    F.relu6: lambda x: x.clamp_(0, 6),
    torch.tanh: torch.tanh_,
}


def activate(function: Activation, x: Tensor, out: Tensor | None = None) -> Tensor:
    """`function(x)`, in the memory of `out`, else of `x`, where that is possible.

    Args:
        function: one of activations.py.
        x: may be overwritten.
        out: where the result is wanted.
    """
    if function is activations.mish and x.device.type == "cpu":
        return mish(x, out)
    if out is None:
        return _IN_PLACE.get(function, function)(x)
    if function is activations.linear:
        return out.copy_(x)
    return out.copy_(_IN_PLACE.get(function, function)(x))


def mish(
    x: Tensor, out: Tensor | None = None, added: Tensor | None = None, *, negated: bool = False
) -> Tensor:
    """`x * tanh(log(1 + e^x))` on the CPU, and `added` on top of it.

    With `m = -x` and `q = 1 / (1 + e^-m)` it is `m - 2 m / (1 + q^2)` (error: 1.3e-6). The three
    steps run block by block, so that a block stays in the cache: six times faster than torch's own.

    Args:
        x: `(batch, c, h, w)`, channels last in memory, or dense in any other way.
        out: where the result goes; None: into `x`. It may be a part of some channels.
        added: of the size and layout of `x`.
        negated: `x` is `m` itself, which saves a step.
    """
    out = x if out is None else out
    parts = [_rows(part) for part in (x, out, x if added is None else added)]
    rows, targets, extra = parts
    if (
        rows is None
        or targets is None
        or extra is None
        or len({p.shape for p in parts if p is not None}) > 1
    ):
        y = F.mish(-x if negated else x)
        return out.copy_(y if added is None else y.add_(added))
    step = max(BLOCK * torch.get_num_threads() // rows.shape[1], 1)
    scratch = torch.empty(min(step, len(rows)), rows.shape[1])
    half = x.dtype != torch.float32
    values = torch.empty_like(scratch) if half or not negated else scratch
    for start in range(0, len(rows), step):
        block, target = rows[start : start + step], targets[start : start + step]
        q, room = scratch[: len(block)], values[: len(block)]
        if half:
            block = room.copy_(block)
        if not negated:
            block = torch.neg(block, out=room)
        torch.sigmoid(block, out=q)
        torch.addcmul(_ONE, q, q, out=q)
        sink = block if half else target
        torch.addcdiv(block, block, q, value=-2, out=sink)
        if added is not None:
            sink.add_(extra[start : start + step])
        if half:
            target.copy_(block)
    return out


def _rows(x: Tensor) -> Tensor | None:
    """`x` as a matrix in memory's order, a view; None: it has gaps between its pixels' rows.

    Images whose channels are last in memory are `(pixels, channels)`, all else is one column.
    """
    if x.dim() == 4 and x.shape[1] > 1:
        pitch = find_pitch(x)
        if pitch is not None:
            batch, channels, height, width = x.shape
            return x.as_strided((batch * height * width, channels), (pitch, 1))
    return x.view(-1, 1) if x.is_contiguous() else None
