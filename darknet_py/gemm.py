"""Sums in the order of C's loops: the same float32 rounding, and slow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.rounding import give_value

_PLACES = 1 << 14


def convolve_in_order(
    x: Tensor,
    weights: Tensor,
    biases: Tensor | None,
    stride: tuple[int, int],
    padding: int,
    dilation: int,
    groups: int,
    *,
    fused: bool = False,
) -> Tensor:
    """`F.conv2d`, each output summed term by term: channel, row, column of the filter.

    PyTorch's own sums differ in the last bits, which a network of many layers shows in the sixth
    digit of a probability, and training where a value near 0 falls on the other side of a kink.
    Gradients are PyTorch's. `fused`: product and sum are rounded as one, as compilers do it for
    processors that can (-march=native). C: im2col.c:im2col_cpu, gemm.c:gemm_nn.
    """
    with torch.no_grad():
        filters, size = weights.shape[0], weights.shape[2:]
        columns = F.unfold(x, size, dilation, padding, stride).chunk(groups, 1)
        rows = weights.reshape(filters, -1, 1).chunk(groups, 0)
        sums = [_multiply(m, part, fused=fused) for m, part in zip(rows, columns, strict=True)]
        height = (x.shape[2] + 2 * padding - dilation * (size[0] - 1) - 1) // stride[0] + 1
        result = torch.cat(sums, 1).view(len(x), filters, height, -1)
        result = result if biases is None else result.add_(biases.view(-1, 1, 1))
    if not torch.is_grad_enabled():
        return result
    fast = F.conv2d(x, weights, biases, stride, padding, dilation, groups)
    return give_value(fast, result)


def multiply_in_order(x: Tensor, weights: Tensor, biases: Tensor | None) -> Tensor:
    """`F.linear`, each output summed input by input (C: gemm.c:gemm_nt).

    Never fused: GCC takes the products of such a loop eight at a time, before it adds them.
    """
    with torch.no_grad():
        result = _multiply(weights[:, :, None], x.t()[None], fused=False)[0].t()
        result = result if biases is None else result + biases
    return give_value(F.linear(x, weights, biases), result) if torch.is_grad_enabled() else result


def _multiply(matrix: Tensor, columns: Tensor, *, fused: bool) -> Tensor:
    """`(rows, terms, 1)` times `(batch, terms, places)`, a term after the other."""
    total = columns.new_zeros(len(columns), len(matrix), columns.shape[2])
    for place in range(0, columns.shape[2], _PLACES):
        part = columns[:, :, place : place + _PLACES].contiguous()
        height = max(_PLACES // (part.shape[2] * len(part)), 1)
        for row in range(0, len(matrix), height):
            terms = matrix[row : row + height].transpose(0, 1).contiguous()
            block = _add_up(terms, part, fused=fused)
            total[:, row : row + height, place : place + _PLACES] = block
    return total


def _add_up(terms: Tensor, part: Tensor, *, fused: bool) -> Tensor:
    """`(terms, rows, 1)` times `(batch, terms, places)`, small enough for a cache."""
    block = part.new_zeros(len(part), terms.shape[1], part.shape[2])
    if fused:  # a product of floats is exact in double precision
        wide, terms, part = block.double(), terms.double(), part.double()
        for term, factors in enumerate(terms):
            block.copy_(wide.addcmul_(factors, part[:, term : term + 1]))
            wide.copy_(block)
        return block
    product = torch.empty_like(block)
    for term, factors in enumerate(terms):
        torch.mul(factors, part[:, term : term + 1], out=product)
        block += product
    return block


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
