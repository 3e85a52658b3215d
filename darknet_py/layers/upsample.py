"""[upsample]: every pixel repeated, or blocks of pixels summed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Shape, Site, flat, image
from darknet_py.operations import Operation, Place, Plain
from darknet_py.operations.joining import Repetition
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class UpsampleOptions(LayerOptions):
    """Keys of [upsample] (C: parser.c:parse_upsample)."""

    stride: int = key("how often a pixel is repeated each way; negative: size of summed blocks", 2)
    scale: float = key("multiplies the values", 1.0)


class Upsample(Layer):
    """Nearest neighbour upsampling, or its opposite.

    Input `(batch, c, h, w)`; output `(batch, c, h * stride, w * stride)`, or for a negative
    stride `(batch, c, h // -stride, w // -stride)`, the sums of blocks.
    C: upsample_layer.c:forward_upsample_layer, blas.c:upsample_cpu.
    """

    Options = UpsampleOptions
    options: UpsampleOptions

    def __init__(self, options: UpsampleOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        self.stride, self.reverse = abs(options.stride), options.stride < 0
        if self.stride == 0:
            raise site.section.error("stride must not be 0", "stride")

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        if not self.reverse:
            sides = shape.height * self.stride, shape.width * self.stride
        else:
            sides = shape.height // self.stride, shape.width // self.stride
        if min(sides) < 1:
            raise self.section.error(f"stride={-self.stride} leaves nothing of {shape}", "stride")
        self.out_shape = Shape(shape.channels, *sides)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Repeat, or sum; then scale."""
        x = image(inputs[0])
        x = self._sums(x) if self.reverse else F.interpolate(x, scale_factor=self.stride)
        return x if self.options.scale == 1 else x * self.options.scale

    def _sums(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        stride, height, width = self.stride, height // self.stride, width // self.stride
        # PARITY: where the stride does not divide a side, C reads the map as if its rows were
        # that much shorter (blas.c:upsample_cpu), so that columns shift from row to row.
        used = flat(x)[:, : channels * height * width * stride**2]
        return used.reshape(-1, channels, height, stride, width, stride).sum((3, 5))

    def lower(self, place: Place) -> Operation:
        """Itself; repeated pixels may be written where they are wanted."""
        if self.reverse or self.options.scale != 1:
            return Plain(self, place, direct=not self.reverse, fresh=True)
        return Repetition(self.stride)

    def row(self) -> str:
        """As upsample_layer.c:make_upsample_layer prints it."""
        i, o = self.in_shape, self.out_shape
        name = "downsample" if self.reverse else "upsample  "
        gap, arrow = ("     ", "->") if self.dialect.name == "alexeyab" else ("", "  -> ")
        return (
            f"{name}         {gap}{self.stride:2d}x  {i.width:4d} x{i.height:4d} x{i.channels:4d} "
            f"{arrow} {o.width:4d} x{o.height:4d} x{o.channels:4d}"
        )
