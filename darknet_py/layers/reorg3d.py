"""[reorg3d]: blocks of pixels moved into channels, in the plain order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class Reorg3dOptions(LayerOptions):
    """Keys of [reorg3d] (C: AlexeyAB's parser.c:parse_reorg)."""

    stride: int = key("side of the blocks, in pixels", 1)
    reverse: bool = key("channels back into blocks of pixels", False)


class Reorg3d(Layer):
    """Space to depth: output channel `(row * s + column) * c + k` is input channel k.

    `row` and `column` are those inside the block. Input `(batch, c, h, w)`, output
    `(batch, c s^2, h / s, w / s)`, or with reverse `(batch, c / s^2, h s, w s)`.
    C: AlexeyAB's reorg_layer.c:forward_reorg_layer.
    """

    Options = Reorg3dOptions
    options: Reorg3dOptions
    overwrites = True

    def __init__(self, options: Reorg3dOptions, site: Site) -> None:
        super().__init__(options, site)
        site.need_image()
        if options.stride < 1:
            raise site.section.error(f"stride must be at least 1, got {options.stride}", "stride")

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        (shape,) = inputs
        self.in_shape = shape
        channels, height, width, stride = (
            shape.channels,
            shape.height,
            shape.width,
            self.options.stride,
        )
        if self.options.reverse:
            if channels % stride**4:
                raise self.section.error(
                    f"reverse with stride={stride} needs a multiple of {stride**4} channels, "
                    f"got {channels}",
                    "stride",
                )
            self.out_shape = Shape(channels // stride**2, height * stride, width * stride)
            return
        if height % stride or width % stride:
            raise self.section.error(f"stride={stride} must divide {width} x {height}", "stride")
        self.out_shape = Shape(channels * stride**2, height // stride, width // stride)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Reorder."""
        x = image(inputs[0])
        stride, (channels, height, width) = self.options.stride, x.shape[1:]
        if not self.options.reverse:
            height, width = height // stride, width // stride
            parts = x.reshape(-1, channels, height, stride, width, stride)
            moved = parts.permute(0, 3, 5, 1, 2, 4)
            return moved.reshape(-1, channels * stride**2, height, width)
        # PARITY: not the inverse: the input is read as if it already had the output's shape
        # (C: AlexeyAB's reorg_layer.c, reorg_cpu with out_w, out_h, out_c).
        channels, height, width = channels // stride**2, height * stride, width * stride
        parts = x.reshape(-1, stride, stride, channels // stride**2, height, width)
        moved = parts.permute(0, 3, 4, 1, 5, 2)
        return moved.reshape(-1, channels, height, width)

    def row(self) -> str:
        """As AlexeyAB's reorg_layer.c:make_reorg_layer prints it."""
        i, o = self.in_shape, self.out_shape
        return (
            f"reorg                    /{self.options.stride:2d} "
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d}"
        )
