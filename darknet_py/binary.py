"""Binary inputs and weights of `xnor=1` convolutions.

Source: Rastegari et al. 2016, "XNOR-Net"; C: convolutional_layer.c:binarize_weights,
binarize_cpu. Gradients pass straight through: those of inputs where `|x| < 1` alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def signs(x: Tensor) -> Tensor:
    """1 where `x` is above 0, else -1."""
    binary = torch.where(x > 0, 1.0, -1.0).to(x.dtype)
    if not (x.requires_grad and torch.is_grad_enabled()):
        return binary
    open_part = x.clamp(-1, 1)
    return open_part - open_part.detach() + binary


def mean_signs(weights: Tensor) -> Tensor:
    """Every filter of `(filters, ...)` as its signs times the mean of its absolute values."""
    means = filter_means(weights).view(-1, *[1] * (weights.dim() - 1))
    binary = torch.where(weights > 0, means, -means).detach()
    if not (weights.requires_grad and torch.is_grad_enabled()):
        return binary
    return weights - weights.detach() + binary


def filter_means(weights: Tensor) -> Tensor:
    """The mean absolute value of each filter."""
    return weights.abs().flatten(1).double().mean(1).to(weights.dtype)
