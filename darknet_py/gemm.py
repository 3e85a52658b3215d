"""Sums in the order of C's loops: the same float32 rounding, and slow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def convolve_in_order(
    x: Tensor,
    weights: Tensor,
    biases: Tensor | None,
    stride: tuple[int, int],
    padding: int,
    dilation: int,
    groups: int,
) -> Tensor:
    """`F.conv2d`, each output summed term by term: channel, row, column of the filter.

    PyTorch's own sums differ in the last bits, which a network of many layers shows in the sixth
    digit of a probability. C: im2col.c:im2col_cpu, gemm.c:gemm_nn.
    """
    filters, size = weights.shape[0], weights.shape[2:]
    columns = F.unfold(x, size, dilation, padding, stride).chunk(groups, 1)
    rows = weights.reshape(filters, -1, 1).chunk(groups, 0)
    sums = []
    for part, matrix in zip(columns, rows, strict=True):
        total = x.new_zeros(len(x), len(matrix), part.shape[2])
        for term in range(part.shape[1]):
            total += matrix[:, term] * part[:, term : term + 1]
        sums.append(total)
    height = (x.shape[2] + 2 * padding - dilation * (size[0] - 1) - 1) // stride[0] + 1
    result = torch.cat(sums, 1).view(len(x), filters, height, -1)
    return result if biases is None else result + biases.view(-1, 1, 1)


def sum_in_c_order(values: np.ndarray) -> np.ndarray:
    """The sum of each row of a float32 array `(n, count)`, added up as the C program does.

    PARITY: four sums side by side, then the rest (C: utils.c:sum_array as GCC makes it for x86-64).
    """
    whole = values.shape[1] // 4 * 4
    lanes = np.zeros((len(values), 4), np.float32)
    for start in range(0, whole, 4):
        lanes += values[:, start : start + 4]
    total: np.ndarray = (lanes[:, 0] + lanes[:, 2]) + (lanes[:, 1] + lanes[:, 3])
    for column in range(whole, values.shape[1]):
        total = total + values[:, column]
    return total
