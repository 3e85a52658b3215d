"""The loss of [softmax]: cross-entropy."""

from __future__ import annotations

from torch import Tensor

UNKNOWN = -1234.0
"""A truth of this value is none (C: SECRET_NUM)."""


def cross_entropy(output: Tensor, truth: Tensor, *, masked: bool) -> tuple[Tensor, Tensor]:
    """The step direction and the cost.

    Both tensors are `(batch, n)`; with `masked`, of a class tree, unknown truths count nothing.
    C: blas_kernels.cu:softmax_x_ent_kernel.
    """
    direction = truth - output
    known = truth != 0
    if masked:
        known &= truth != UNKNOWN
        direction = direction.where(truth != UNKNOWN, 0.0)
    return direction, -output[known].log().sum()


def logistic_cross_entropy(output: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The same for classes that do not exclude each other (C: logistic_x_ent_kernel)."""
    cost = -truth * (output + 1e-7).log() - (1 - truth) * (1 - output + 1e-7).log()
    return truth - output, cost.sum()
