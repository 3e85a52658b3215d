"""[activation]: an activation function on its own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.activations import get_activation
from darknet_py.layers.base import Layer, Site
from darknet_py.operations import Operation, Place
from darknet_py.operations.addition import Activated
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ActivationOptions(LayerOptions):
    """Keys of [activation] (C: parser.c:parse_activation)."""

    activation: str = key("activation function", "linear")


class Activation(Layer):
    """One function for every value. C: activation_layer.c:forward_activation_layer."""

    Options = ActivationOptions
    options: ActivationOptions
    overwrites = True

    def __init__(self, options: ActivationOptions, site: Site) -> None:
        super().__init__(options, site)
        self.activation = get_activation(options.activation, site.section)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Activate."""
        return self.activation(inputs[0])

    def lower(self, place: Place) -> Operation:
        """The function, in place where it can be."""
        return Activated(self.activation)

    def row(self) -> str:
        """As activation_layer.c:make_activation_layer prints it."""
        return f"Activation Layer: {self.in_shape.size} inputs"
