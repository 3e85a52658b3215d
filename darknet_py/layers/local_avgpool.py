"""[local_avgpool]: the mean of a sliding window (AlexeyAB)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class LocalAvgPoolOptions(LayerOptions):
    """Keys of [local_avgpool] (C: parser.c:parse_local_avgpool)."""

    stride: int = key("step between windows, in pixels", 1, only="alexeyab")
    stride_x: int | None = key("horizontal step (default: stride)", None, only="alexeyab")
    stride_y: int | None = key("vertical step (default: stride)", None, only="alexeyab")
    size: int | None = key("side of the window, in pixels (default: stride)", None, only="alexeyab")
    padding: int | None = key(
        "pixels added to height and to width, in all (default: size - 1)", None, only="alexeyab"
    )


class LocalAvgPool(Layer):
    """Average pooling; what lies outside the image is left out of the mean.

    Input `(batch, c, h, w)`, output `(batch, c, h', w')` with
    `h' = (h + padding - size) // stride_y + 1`, and `w'` likewise.
    C: maxpool_layer.c:forward_local_avgpool_layer.
    """

    Options = LocalAvgPoolOptions
    options: LocalAvgPoolOptions

    def __init__(self, options: LocalAvgPoolOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        self.stride_x = options.stride if options.stride_x is None else options.stride_x
        self.stride_y = options.stride if options.stride_y is None else options.stride_y
        self.size = options.stride if options.size is None else options.size
        self.padding = self.size - 1 if options.padding is None else options.padding
        if min(self.size, self.stride_x, self.stride_y) < 1 or self.padding < 0:
            raise site.section.error(
                f"size and stride must be at least 1 and padding at least 0, got size={self.size}, "
                f"stride={self.stride_x}x{self.stride_y}, padding={self.padding}"
            )
        if (self.padding + 1) // 2 >= self.size:
            raise site.section.error(
                f"padding={self.padding} leaves windows of size={self.size} without a pixel"
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

    @property
    def work(self) -> int:
        """The padded input."""
        i, padding = self.in_shape, self.padding
        return i.channels * (i.height + padding) * (i.width + padding) if padding else 0

    def forward(self, *inputs: Tensor) -> Tensor:
        """The window means."""
        (x,) = inputs
        x = image(x)
        stride = (self.stride_y, self.stride_x)
        if not self.padding:
            return F.avg_pool2d(x, self.size, stride)
        before = self.padding // 2
        after = self.padding - before
        sides = (before, after, before, after)
        inside = F.pad(x.new_ones(1, 1, *x.shape[2:]), sides)
        total = F.avg_pool2d(F.pad(x, sides), self.size, stride)
        return total / F.avg_pool2d(inside, self.size, stride)

    def row(self) -> str:
        """As maxpool_layer.c:make_maxpool_layer prints it."""
        i, o, size = self.in_shape, self.out_shape, self.size
        window = f" {size:2d}x{size:2d}/{self.stride_x:2d}   "
        if self.stride_x != self.stride_y:
            window = f"{size:2d}x{size:2d}/{self.stride_x:2d}x{self.stride_y:2d} "
        return (
            f"avg              {window}{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {self.operations / 1e9:5.3f} BF"
        )

    @property
    def operations(self) -> int:
        """One for each value of a window."""
        return self.size**2 * self.in_shape.channels * self.out_shape.height * self.out_shape.width
