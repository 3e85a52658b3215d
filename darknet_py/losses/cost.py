"""The distances of [cost]."""

from __future__ import annotations

import torch
from torch import Tensor

from darknet_py.losses.softmax import UNKNOWN


def measure(kind: str, output: Tensor, truth: Tensor, noobj: float) -> tuple[Tensor, Tensor]:
    """The step direction of every value, and its share of the cost.

    `output` and `truth` are `(batch, n)`. C: cost_layer.c:forward_cost_layer_gpu.
    """
    difference = truth - output
    if kind == "smooth":
        # PARITY: as the GPU has it; the CPU turns the sign of large differences round
        # (C: blas_kernels.cu:smooth_l1_kernel, blas.c:smooth_l1_cpu).
        size = difference.abs()
        return difference.clamp(-1, 1), torch.where(size < 1, difference.square(), 2 * size - 1)
    if kind == "L1":
        return torch.where(difference > 0, 1.0, -1.0), difference.abs()
    if kind == "wgan":
        return torch.where(truth > 0, 1.0, -1.0), torch.where(truth != 0, -output, output)
    if kind == "masked":
        difference = difference.where(truth != UNKNOWN, 0.0)
    # PARITY: the gradient is half of the square's (C: blas.c:l2_cpu).
    error = difference.square()
    if kind == "seg":
        factor = torch.where(truth == 0, noobj, 1.0)
        difference, error = difference * factor, error * factor
    return difference, error


def cost_of(
    kind: str, output: Tensor, truth: Tensor, *, noobj: float, thresh: float, smooth: float
) -> tuple[Tensor, Tensor]:
    """The step direction and the cost; `thresh` over the number of values is the least step."""
    inputs = output.shape[1]
    if smooth:
        truth = truth * (1 - smooth) + smooth / inputs
    direction, error = measure(kind, output, truth, noobj)
    if thresh:
        direction = direction.where(direction.abs() >= thresh / inputs, 0.0)
    return direction, error.sum()
