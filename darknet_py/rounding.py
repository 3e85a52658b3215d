"""Batch norm and activations with the very rounding of C's loops, to compare training with C."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def give_value(x: Tensor, value: Tensor) -> Tensor:
    """`x` and its gradients, with another rounding of the same value."""
    x.data.copy_(value)
    return x


def moments_in_order(x: Tensor, *, sample: bool) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of `(batch, channels, ...)`, value by value.

    The variance divides by N, with `sample` by N - 1.
    C: blas.c:mean_cpu and variance_cpu, which squares and adds in double and keeps a float.
    """
    rows = x.detach().transpose(0, 1).flatten(1).cpu().numpy()
    count = rows.shape[1]
    mean = np.add.accumulate(rows, axis=1, dtype=np.float32)[:, -1] * np.float32(1 / count)
    squares = np.square((rows - mean[:, None]).T.astype(np.float64, order="C"))
    variance = np.zeros(len(rows), np.float32)
    for square in squares:
        np.add(variance, square, out=variance, casting="same_kind")
    variance *= np.float32(1 / (count - 1 if sample else count))
    return torch.from_numpy(mean).to(x), torch.from_numpy(variance).to(x)


def normalize_in_order(x: Tensor, mean: Tensor, variance: Tensor, *, inside: bool) -> Tensor:
    """`x` less its mean, divided by its deviation in double precision.

    The deviation is `sqrt(variance + 1e-5)`, or without `inside` `sqrt(variance) + 1e-6`.
    C: blas.c:normalize_cpu.
    """
    one = torch.tensor(1e-5 if inside else 1e-6)
    deviation = (variance + one).double().sqrt() if inside else variance.double().sqrt() + one
    shape = (1, -1, *[1] * (x.dim() - 2))
    return ((x - mean.view(shape)).double() / deviation.view(shape)).to(x.dtype)


def activate_in_order(
    name: str, x: Tensor, activation: Callable[[Tensor], Tensor], dialect: str
) -> Tensor:
    """`activation` of `x` with the value that C's of that name gives."""
    value = _activate(name, x.detach().contiguous().flatten(), dialect)
    out = activation(x)
    return out if value is None else give_value(out, value.view(x.shape))


def _activate(name: str, values: Tensor, dialect: str) -> Tensor | None:
    if name == "leaky":
        # PARITY: .1 is a double, but for AlexeyAB's vectors of eight, which leave the last eight
        # values to the plain loop (C: activations.h, gemm.c:activate_array_cpu_custom).
        start = max(values.numel() - 1, 0) // 8 * 8 if dialect == "alexeyab" else 0
        wide = values[start:].double()
        out = F.leaky_relu(values, 0.1)
        out[start:] = torch.where(wide > 0, wide, wide * 0.1)
        return out
    if name == "mish":
        # PARITY: tanh by way of 1, which costs digits near 0 (C: activations.h:tanh_activate).
        e = _exactly(torch.exp, values)
        soft = _exactly(torch.log, e + 1)
        soft = torch.where(values < -20, e, torch.where(values > 20, values, soft))
        return values * (2 / (_exactly(torch.exp, -2 * soft) + 1) - 1)
    return None


def _exactly(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The float32 that is nearest to a function's value: the same one on every processor."""
    return function(x.double()).to(x.dtype)
