"""[avgpool]: the mean of each channel."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Layer, Shape, Site
from darknet_py.operations import Operation, Place
from darknet_py.operations.pool import Mean
from darknet_py.options import LayerOptions


@dataclass(frozen=True)
class AvgPoolOptions(LayerOptions):
    """Keys of [avgpool]: none of its own (C: parser.c:parse_avgpool)."""


class AvgPool(Layer):
    """Global average pooling.

    Input `(batch, c, h, w)` of any size, output `(batch, c, 1, 1)`.
    C: avgpool_layer.c:forward_avgpool_layer.
    """

    Options = AvgPoolOptions
    options: AvgPoolOptions

    def __init__(self, options: AvgPoolOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape, self.out_shape = shape, Shape(shape.channels, 1, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The channel means."""
        (x,) = inputs
        return x.mean((2, 3), keepdim=True) if x.dim() == 4 else x[:, :, None, None]

    def lower(self, place: Place) -> Operation:
        """Means of any layout and precision."""
        return Mean()

    def row(self) -> str:
        """As avgpool_layer.c:make_avgpool_layer prints it."""
        i = self.in_shape
        sides = f"{i.width:4d} x{i.height:4d} x{i.channels:4d}"
        if self.dialect.name == "pjreddie":
            return f"avg                     {sides}   ->  {i.channels:4d}"
        return f"avg                          {sides} ->   {i.channels:4d}"
