"""oneDNN's fused convolution, as torch brings it; these names of torch may change."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

POINTWISE: Any
"""`(x, weights, biases, padding, stride, dilation, groups, activation, constants, algorithm)`."""
WITH_SUM: Any
"""The same with `other` behind x, and before the activation what is done with it."""


@lru_cache
def can_fuse(dtype: torch.dtype) -> bool:
    """Whether torch has these operations, for this type on this CPU, and they are right."""
    global POINTWISE, WITH_SUM
    try:
        POINTWISE = torch.ops.mkldnn._convolution_pointwise.default
        WITH_SUM = torch.ops.mkldnn._convolution_pointwise.binary
        if not torch._C._has_mkldnn:
            return False
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        return dtype in (torch.float32, torch.bfloat16) and _is_right(dtype)
    except (AttributeError, RuntimeError, TypeError):
        return False


def pack(weights: Tensor, geometry: tuple[Any, ...], size: tuple[int, ...]) -> Tensor:
    """The weights in the layout that oneDNN wants for inputs of this size.

    Args:
        weights: `(filters, channels, height, width)`.
        geometry: padding, stride, dilation (two numbers each), groups.
        size: of the input, `(batch, channels, height, width)`.
    """
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weights, *geometry, list(size))
    return packed


def _is_right(dtype: torch.dtype) -> bool:
    """A convolution of ones, with a sum and an activation, gives what it should."""
    x = torch.ones(1, 2, 3, 5, dtype=dtype).to(memory_format=torch.channels_last)
    weights, biases = torch.ones(4, 2, 1, 1, dtype=dtype), torch.full((4,), -4.0, dtype=dtype)
    geometry = ([0, 0], [1, 1], [1, 1], 1)
    packed = pack(weights, geometry, (1, 2, 3, 5))
    y = POINTWISE(x, packed, biases, *geometry, "leaky_relu", [0.5], "")
    z = WITH_SUM(x, y, packed, biases, *geometry, "add", 1.0, "relu", [], "")
    return bool((y == -1).all() and (z == 0).all() and y.shape == (1, 4, 3, 5))
