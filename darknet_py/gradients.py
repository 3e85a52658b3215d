"""The activations whose gradient in C is not the derivative of what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def with_gradient(name: str, x: Tensor, out: Tensor) -> Tensor:
    """`out`, the activation `name` of `x`, with C's gradient where one is asked for."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return out
    replaced: Tensor = _Replaced.apply(x, out.detach(), GRADIENTS[name])  # type: ignore[no-untyped-call]
    return replaced


def _gelu(y: Tensor) -> Tensor:
    # PARITY: taken at the output, not the input (C: activation_kernels.cu:gradient_array_ongpu).
    inner = 0.0356774 * y**3 + 0.797885 * y
    slope = (0.0535161 * y**3 + 0.398942 * y) / inner.cosh().square()
    return 0.5 * inner.tanh() + slope + 0.5


def _normalize_channels(y: Tensor) -> Tensor:
    # PARITY: the output itself, 1 where that is 0
    # (C: activation_kernels.cu:gradient_array_normalize_channels_kernel).
    return torch.where(y > 0, y, 1.0)


def _normalize_channels_softmax(y: Tensor) -> Tensor:
    # PARITY: each channel on its own
    # (C: activation_kernels.cu:gradient_array_normalize_channels_softmax_kernel).
    return y * (1 - y)


def _revleaky(y: Tensor) -> Tensor:
    # PARITY: the inverse of the slope (C: activation_kernels.cu:gradient_array_revleaky_kernel).
    return torch.where(y > 0, 1.0, 10.0)


GRADIENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": _gelu,
    "normalize_channels": _normalize_channels,
    "normalize_channels_softmax": _normalize_channels_softmax,
    "revleaky": _revleaky,
}
"""By name, the gradient as a function of the activation's output."""


class PassOn(torch.autograd.Function):
    """A value computed apart from the graph; gradients reach `x` unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, out: Tensor) -> Tensor:
        """`out`."""
        ctx.shape = x.shape
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient in the shape of `x`."""
        return gradients[0].reshape(ctx.shape), None


class Share(torch.autograd.Function):
    """`x` as it is; `others`, of its shape, get its gradient, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *others: Tensor) -> Tensor:
        """`x`."""
        ctx.count = len(others)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The same for all."""
        return tuple(gradients[0] for _ in range(ctx.count + 1))


class _Replaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, out: Tensor, gradient: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.gradient = gradient
        ctx.save_for_backward(out)
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (out,) = ctx.saved_tensors
        return gradients[0] * ctx.gradient(out), None, None
