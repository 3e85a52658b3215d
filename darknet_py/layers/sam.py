"""[sam]: two maps multiplied, value by value."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.activations import get_activation
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.operations import Operation, Place
from darknet_py.operations.addition import Product
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class SamOptions(LayerOptions):
    """Keys of [sam] (C: parser.c:parse_sam)."""

    from_: int = key("the layer that is multiplied; a negative number counts back from this layer")
    activation: str = key("activation function", "linear")


class Sam(Layer):
    """Spatial attention: the layer before times `from`, both `(batch, c, h, w)`.

    Source: Bochkovskiy et al., "YOLOv4", 2020, section 3.4; C: sam_layer.c:forward_sam_layer.
    """

    Options = SamOptions
    options: SamOptions

    def __init__(self, options: SamOptions, site: Site) -> None:
        super().__init__(options, site)
        self.sources = (site.index - 1, site.source(options.from_, "from"))
        self.activation = get_activation(options.activation, site.section)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        if inputs[0] != inputs[1]:
            raise self.section.error(
                f"both layers must have one size, got {inputs[0]} and {inputs[1]}", "from"
            )
        self.in_shape = self.out_shape = inputs[0]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Multiply and activate."""
        return self.activation(image(inputs[0]) * image(inputs[1]))

    def lower(self, place: Place) -> Operation:
        """A product."""
        return Product(self.activation)

    def row(self) -> str:
        """As sam_layer.c:make_sam_layer prints it."""
        return f"scale Layer: {self.sources[1]}"
