"""[local_avgpool]: the mean of a sliding window (AlexeyAB)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key
from darknet_py.window import Window


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
        size = options.stride if options.size is None else options.size
        self.window = Window(
            size,
            options.stride if options.stride_y is None else options.stride_y,
            options.stride if options.stride_x is None else options.stride_x,
            size - 1 if options.padding is None else options.padding,
            site.section,
        )
        if self.window.padding > size:
            raise site.section.error(f"padding must not be above size={size}", "padding")

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        self.out_shape = Shape(shape.channels, *self.window.sides(shape.height, shape.width))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The window means."""
        return self.window.mean(image(inputs[0]))

    def row(self) -> str:
        """As maxpool_layer.c:make_maxpool_layer prints it."""
        i, o = self.in_shape, self.out_shape
        return (
            f"avg              {self.window}{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {self.operations / 1e9:5.3f} BF"
        )

    @property
    def operations(self) -> int:
        """One for each value of a window."""
        return self.window.size**2 * self.out_shape.size
