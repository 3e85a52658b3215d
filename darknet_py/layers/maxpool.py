"""[maxpool]: the largest value of a sliding window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class MaxPoolOptions(LayerOptions):
    """Keys of [maxpool] (C: parser.c:parse_maxpool)."""

    stride: int = key("step between windows, in pixels", 1)
    stride_x: int | None = key("horizontal step (default: stride)", None, only="alexeyab")
    stride_y: int | None = key("vertical step (default: stride)", None, only="alexeyab")
    size: int | None = key("side of the window, in pixels (default: stride)", None)
    padding: int | None = key(
        "pixels added to height and to width, in all (default: size - 1)", None
    )


class MaxPool(Layer):
    """Max pooling.

    Input `(batch, c, h, w)`, output `(batch, c, h', w')` with
    `h' = (h + padding - size) // stride_y + 1`, and `w'` likewise.
    C: maxpool_layer.c:forward_maxpool_layer.
    """

    Options = MaxPoolOptions
    options: MaxPoolOptions

    def __init__(self, options: MaxPoolOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        self.stride_x = options.stride if options.stride_x is None else options.stride_x
        self.stride_y = options.stride if options.stride_y is None else options.stride_y
        self.size = options.stride if options.size is None else options.size
        self.padding = self.size - 1 if options.padding is None else options.padding
        if min(self.size, self.stride_x, self.stride_y) < 1 or self.padding < 0:
            raise site.section.error(
                f"size and stride must be at least 1 and padding at least 0, got size={self.size}, "
                f"stride={self.stride_x}, padding={self.padding}"
            )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        self.out_shape = Shape(
            shape.channels,
            self._steps(shape.height, self.stride_y),
            self._steps(shape.width, self.stride_x),
        )

    def _steps(self, length: int, stride: int) -> int:
        steps = (length + self.padding - self.size) // stride + 1
        if steps < 1:
            raise self.section.error(
                f"size={self.size} is larger than the {length} pixels it pools"
            )
        return steps

    def forward(self, *inputs: Tensor) -> Tensor:
        """The window maxima."""
        (x,) = inputs
        x = image(x)
        # PARITY: padding is a total; the odd pixel goes to the bottom and right
        # (C: maxpool_layer.c:forward_maxpool_layer, w_offset = -pad/2).
        before = self.padding // 2
        after = self.padding - before
        if self.padding:
            x = F.pad(x, (before, after, before, after), value=-math.inf)
        return F.max_pool2d(x, self.size, (self.stride_y, self.stride_x))

    def row(self) -> str:
        """As maxpool_layer.c:make_maxpool_layer prints it."""
        i, o, size = self.in_shape, self.out_shape, self.size
        if self.dialect.name == "pjreddie":
            return (
                f"max          {size} x {size} / {self.stride_x}  "
                f"{i.width:4d} x{i.height:4d} x{i.channels:4d}   ->  "
                f"{o.width:4d} x{o.height:4d} x{o.channels:4d}"
            )
        stride = f" {size:2d}x{size:2d}/{self.stride_x:2d}   "
        if self.stride_x != self.stride_y:
            stride = f"{size:2d}x{size:2d}/{self.stride_x:2d}x{self.stride_y:2d} "
        return (
            f"max              {stride}{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {self.operations / 1e9:5.3f} BF"
        )

    @property
    def operations(self) -> int:
        """One for each value compared (AlexeyAB; pjreddie counts none)."""
        return 0 if self.dialect.name == "pjreddie" else self.size**2 * self.out_shape.size
