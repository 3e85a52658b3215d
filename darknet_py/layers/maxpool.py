"""[maxpool]: the largest value of a sliding window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.antialiasing import Blur
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.operations import Operation, Place, Plain
from darknet_py.operations.pool import Pool
from darknet_py.options import LayerOptions, key
from darknet_py.window import Window


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
    antialiasing: int = key(
        "run at stride 1, then blur with the stride: 1: 3 x 3 pixels, 2: 2 x 2 pixels",
        0,
        only="alexeyab",
    )
    maxpool_depth: bool = key("pool over channels instead", False, only="alexeyab")
    out_channels: int = key("with maxpool_depth: output channels", 1, only="alexeyab")
    maxpool_zero_nonmax: bool = key(
        "set values that are no maximum to 0 (on a GPU)", False, only="alexeyab"
    )


class MaxPool(Layer):
    """Max pooling.

    Input `(batch, c, h, w)`, output `(batch, c, h', w')` with
    `h' = (h + padding - size) // stride_y + 1`, and `w'` likewise. With `maxpool_depth`, output
    `(batch, out_channels, h, w)`, map g being the largest of the maps g, g + out_channels, ...
    C: maxpool_layer.c:forward_maxpool_layer.
    """

    Options = MaxPoolOptions
    options: MaxPoolOptions

    def __init__(self, options: MaxPoolOptions, site: Site) -> None:
        super().__init__(options, site)
        channels = site.need_image().channels
        stride_y = options.stride if options.stride_y is None else options.stride_y
        stride_x = options.stride if options.stride_x is None else options.stride_x
        size = options.stride if options.size is None else options.size
        padding = size - 1 if options.padding is None else options.padding
        self.window = Window(size, stride_y, stride_x, padding, site.section)
        self.depth = options.out_channels if options.maxpool_depth else 0
        if options.maxpool_depth and not 1 <= self.depth <= channels:
            raise site.section.error(
                f"out_channels must be from 1 to the {channels} input channels, got {self.depth}",
                "out_channels",
            )
        self.blur: Blur | None = None
        if options.antialiasing:
            if self.depth:
                raise site.section.error("antialiasing does not go with maxpool_depth")
            self.blur = Blur(options.antialiasing, stride_y, stride_x)
            self.window = Window(size, 1, 1, padding, site.section)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        if self.depth:
            self.host_shape = self.out_shape = Shape(self.depth, shape.height, shape.width)
            return
        height, width = self.window.sides(shape.height, shape.width)
        self.host_shape = Shape(shape.channels, height, width)
        if self.blur is not None:
            height, width = self.blur.sides(height, width, self.section)
        self.out_shape = Shape(shape.channels, height, width)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The window maxima."""
        x = image(inputs[0])
        if self.depth:
            return self._pool_channels(x)
        x = self.window.max(x)
        return x if self.blur is None else self.blur(x)

    def _pool_channels(self, x: Tensor) -> Tensor:
        missing = -x.shape[1] % self.depth
        x = F.pad(x, (0, 0, 0, 0, 0, missing), value=-math.inf)
        return x.view(x.shape[0], -1, self.depth, *x.shape[2:]).amax(1)

    def lower(self, place: Place) -> Operation:
        """The same maxima, found faster where the window is of a common kind."""
        window = self.window
        strides = (window.stride_y, window.stride_x)
        if self.depth or self.blur is not None:
            return Plain(self, place)
        return Pool(window.max, window.size, strides, window.padding)

    def row(self) -> str:
        """As maxpool_layer.c:make_maxpool_layer prints it."""
        i, o, size = self.in_shape, self.host_shape, self.window.size
        if self.dialect.name == "pjreddie":
            return (
                f"max          {size} x {size} / {self.window.stride_x}  "
                f"{i.width:4d} x{i.height:4d} x{i.channels:4d}   ->  "
                f"{o.width:4d} x{o.height:4d} x{o.channels:4d}"
            )
        row = (
            f"{'max-depth' if self.depth else 'max':<17}{self.window}"
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {self.operations / 1e9:5.3f} BF"
        )
        if self.blur is None:
            return row
        return f"{row}\n{self.blur.row(o.channels, o.height, o.width, self.section)}"

    @property
    def operations(self) -> int:
        """One for each value compared (AlexeyAB; pjreddie counts none)."""
        if self.dialect.name == "pjreddie":
            return 0
        o = self.host_shape
        return self.window.size**2 * self.in_shape.channels * o.height * o.width
