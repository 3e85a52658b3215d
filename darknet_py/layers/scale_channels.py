"""[scale_channels]: a map multiplied by one factor for each channel, or for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.activations import get_activation
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.operations import Operation, Place
from darknet_py.operations.addition import Product
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ScaleChannelsOptions(LayerOptions):
    """Keys of [scale_channels] (C: parser.c:parse_scale_channels)."""

    from_: int = key("the layer that is scaled; a negative number counts back from this layer")
    scale_wh: bool = key("one factor for each pixel instead of each channel", False)
    activation: str = key("activation function", "linear")


class ScaleChannels(Layer):
    """The factors are the layer before: `(batch, c, 1, 1)`, or with scale_wh `(batch, 1, h, w)`.

    The output has the shape of `from`, `(batch, c, h, w)`.
    Source: Hu et al., "Squeeze-and-Excitation Networks", 2018; C: scale_channels_layer.c.
    """

    Options = ScaleChannelsOptions
    options: ScaleChannelsOptions

    def __init__(self, options: ScaleChannelsOptions, site: Site) -> None:
        super().__init__(options, site)
        self.sources = (site.index - 1, site.source(options.from_, "from"))
        self.activation = get_activation(options.activation, site.section)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        factors, scaled = inputs
        if self.options.scale_wh:
            wanted = Shape(1, scaled.height, scaled.width)
        else:
            wanted = Shape(scaled.channels, 1, 1)
        if factors != wanted:
            raise self.section.error(
                f"the layer before must give {wanted} factors for {scaled}, got {factors}"
            )
        self.in_shape, self.out_shape = factors, scaled

    def forward(self, *inputs: Tensor) -> Tensor:
        """Multiply and activate."""
        factors, scaled = inputs
        if self.training and self.options.scale_wh:
            # PARITY: every pixel's factor learns from its channels over the number of pixels
            # (C: blas_kernels.cu:backward_scale_channels_kernel).
            share = 1 / (scaled.shape[2] * scaled.shape[3])
            factors = factors.detach() + share * (factors - factors.detach())
        return self.activation(image(factors) * image(scaled))

    def lower(self, place: Place) -> Operation:
        """A product."""
        return Product(self.activation)

    def row(self) -> str:
        """As scale_channels_layer.c:make_scale_channels_layer prints it."""
        return f"scale Layer: {self.sources[1]}"
