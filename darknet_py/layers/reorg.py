"""[reorg]: blocks of pixels moved into channels, in Darknet's historical order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.layers.base import Layer, Shape, Site, flat, image
from darknet_py.operations import Operation, Place, Plain
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ReorgOptions(LayerOptions):
    """Keys of [reorg] (C: parser.c:parse_reorg, AlexeyAB's parse_reorg_old)."""

    stride: int = key("side of the blocks, in pixels", 1)
    reverse: bool = key("channels back into blocks of pixels", False)
    flatten: bool = key("only swap channels and positions: channels last", False, only="pjreddie")
    extra: int = key("only append this many zeros to the flat input", 0, only="pjreddie")


class Reorg(Layer):
    """YOLOv2's passthrough layer.

    Input `(batch, c, h, w)`, output `(batch, c s^2, h / s, w / s)`, or with reverse
    `(batch, c / s^2, h s, w s)`. C: reorg_layer.c (AlexeyAB: reorg_old_layer.c), blas.c:reorg_cpu.
    """

    Options = ReorgOptions
    options: ReorgOptions
    overwrites = True

    def __init__(self, options: ReorgOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        if options.stride < 1:
            raise site.section.error(f"stride must be at least 1, got {options.stride}", "stride")
        if options.extra < 0:
            raise site.section.error(f"extra must not be negative, got {options.extra}", "extra")

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        channels, height, width = shape.channels, shape.height, shape.width
        stride, options = self.options.stride, self.options
        if options.extra:
            self.out_shape = Shape(shape.size + options.extra, 0, 0)
            return
        needs_sides = not options.reverse and (height % stride or width % stride)
        needs_channels = channels % stride**2 and (options.reverse or not options.flatten)
        if needs_sides or needs_channels:
            raise self.section.error(
                f"stride={stride} does not fit {shape}: width and height must be multiples of "
                f"{stride} and channels of {stride**2}",
                "stride",
            )
        if options.reverse:
            self.out_shape = Shape(channels // stride**2, height * stride, width * stride)
        else:
            self.out_shape = Shape(channels * stride**2, height // stride, width // stride)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Reorder."""
        x = image(inputs[0])
        options, stride = self.options, self.options.stride
        channels, height, width = x.shape[1:]
        few = channels // stride**2
        if options.flatten:
            matrix = (height * width, channels) if options.reverse else (channels, height * width)
            x = x.reshape(-1, *matrix).transpose(1, 2)
        elif options.reverse and not options.extra:
            x = x.reshape(-1, stride, stride, few, height, width).permute(0, 3, 4, 1, 5, 2)
        elif not options.extra:
            # PARITY: the input is read as if it were (c / s^2, h s, w s), which mixes rows and
            # channels; the YOLOv2 weights were trained so (C: blas.c:reorg_cpu).
            x = x.reshape(-1, few, height, stride, width, stride).permute(0, 3, 5, 1, 2, 4)
        if options.extra:
            return F.pad(flat(x), (0, options.extra))
        if options.reverse:
            return x.reshape(-1, few, height * stride, width * stride)
        return x.reshape(-1, channels * stride**2, height // stride, width // stride)

    def lower(self, place: Place) -> Operation:
        """Itself, on any layout and precision."""
        return Plain(self, place, direct=True)

    def row(self) -> str:
        """As reorg_layer.c:make_reorg_layer, AlexeyAB's reorg_old_layer.c, print it."""
        i, o, stride = self.in_shape, self.out_shape, self.options.stride
        if self.options.extra:
            return f"reorg              {i.size:4d}   ->  {o.size:4d}"
        name = "reorg          " if self.dialect.name == "pjreddie" else "reorg_old          "
        return (
            f"{name}    /{stride:2d}  {i.width:4d} x{i.height:4d} x{i.channels:4d}   ->  "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d}"
        )
