"""The largest values of windows, found the fast way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.kernels.call import AVERAGE, MAXIMUM, Call, Told
from darknet_py.operations import Operation, Slot
from darknet_py.shape import Shape

WIDE = 5
"""Windows of this side and more are faster as a column of rows."""


class Pool(Operation):
    """The maximum of each window.

    torch's own max pooling finds the places of the maxima, too, and looks at every value of every
    window: two maxima of two maps do 2 x 2 windows faster, and a row's and then a column's
    maximum the large windows of stride 1. The values are the same.
    """

    fresh = traceable = True

    def __init__(
        self,
        pool: Callable[[Tensor], Tensor],
        size: int,
        strides: tuple[int, int],
        padding: int,
    ) -> None:
        """Take the kind of window.

        Args:
            pool: does it whatever the kind.
            size: of the window.
            strides: down and across.
            padding: pixels added in all.
        """
        self.pool, self.strides, self.padding = pool, strides, padding
        self.quarters = size == 2 and strides == (2, 2) and padding <= 1
        self.cross = size % 2 == 1 and size >= WIDE and strides == (1, 1) and padding == size - 1
        self.size, self.margin = size, size // 2

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Pool."""
        (x,) = inputs
        if x.dim() != 4:
            x = x[:, :, None, None]
        height, width = x.shape[2:]
        if self.quarters and height % 2 == 0 and width % 2 == 0:
            rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
            return torch.maximum(rows[..., ::2], rows[..., 1::2])
        if self.cross and x.device.type == "cpu":
            rows = F.max_pool2d(x, (1, self.size), 1, (0, self.margin))
            return F.max_pool2d(rows, (self.size, 1), 1, (self.margin, 0))
        return self.pool(x)

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same by max pooling alone, which oneDNN does fast."""
        (x,) = inputs
        if x.dim() != 4:
            x = x[:, :, None, None]
        if self.quarters and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0:
            return F.max_pool2d(x, 2, 2)
        if self.cross:
            return F.max_pool2d(x, self.size, 1, self.margin)
        return self.pool(x)

    def tell(self, *shapes: Shape) -> Told | None:
        """The largest of each window's values that are inside the map."""
        (shape,) = shapes
        call = Call(
            kind=MAXIMUM, channels=shape.channels, filters=shape.channels, size=self.size,
            height=max(shape.height, 1), width=max(shape.width, 1), dilation=1,
            stride_y=self.strides[0], stride_x=self.strides[1], padding=self.padding // 2,
        )  # fmt: skip
        call.out_height = (call.height + self.padding - self.size) // call.stride_y + 1
        call.out_width = (call.width + self.padding - self.size) // call.stride_x + 1
        return Told(call)


class Mean(Operation):
    """The mean of each channel."""

    fresh = traceable = True

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Take the means."""
        (x,) = inputs
        return x.mean((2, 3), keepdim=True) if x.dim() == 4 else x[:, :, None, None]

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same."""
        return self(*inputs)

    def tell(self, *shapes: Shape) -> Told | None:
        """A mean, for each channel."""
        (shape,) = shapes
        call = Call(kind=AVERAGE, channels=shape.channels, filters=shape.channels)
        call.height, call.width = max(shape.height, 1), max(shape.width, 1)
        call.out_height = call.out_width = 1
        return Told(call)
