"""The fixed blur that AlexeyAB's `antialiasing` puts behind a convolution or a max pool."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.cfg import Section


class Blur:
    """A depthwise blur with the stride that its host gives up.

    Kind 2 is the mean of 2 x 2 pixels without padding, every other the 3 x 3 kernel
    `[1 2 1] x [1 2 1] / 16` with one pixel of padding. It has no weights in a file.
    Source: Zhang 2019; C: convolutional_layer.c:make_convolutional_layer.
    """

    def __init__(self, kind: int, stride_y: int, stride_x: int) -> None:
        self.size = 2 if kind == 2 else 3
        self.padding = self.size - 2
        self.stride_y, self.stride_x = stride_y, stride_x

    def sides(self, height: int, width: int, section: Section) -> tuple[int, int]:
        """Height and width after the blur.

        Raises:
            CfgError: there is nothing to blur.
        """
        margin = 2 * self.padding - self.size
        if min(height, width) + margin < 0:
            raise section.error(f"antialiasing needs at least 2 x 2 pixels, got {width} x {height}")
        return (height + margin) // self.stride_y + 1, (width + margin) // self.stride_x + 1

    def __call__(self, x: Tensor) -> Tensor:
        """`(batch, c, h, w)` blurred, channel by channel."""
        line = torch.tensor([0.5, 0.5] if self.size == 2 else [0.25, 0.5, 0.25])
        kernel = torch.outer(line, line).to(x).expand(x.shape[1], 1, -1, -1)
        stride = (self.stride_y, self.stride_x)
        return F.conv2d(x, kernel, None, stride, self.padding, 1, x.shape[1])

    def row(self, channels: int, height: int, width: int, section: Section) -> str:
        """The second table line that C prints for its host."""
        out_height, out_width = self.sides(height, width, section)
        size = self.size
        window = f"{size:2d} x{size:2d}/{self.stride_x:2d}   "
        if self.stride_x != self.stride_y:
            window = f"{size:2d}x{size:2d}/{self.stride_x:2d}x{self.stride_y:2d} "
        billions = 2 * channels * size**2 * out_height * out_width / 1e9
        return (
            f"AA:  conv  {channels:5d}/{channels:4d} {window}"
            f"{width:4d} x{height:4d} x{channels:4d} -> "
            f"{out_width:4d} x{out_height:4d} x{channels:4d} {billions:5.3f} BF"
        )
