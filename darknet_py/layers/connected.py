"""[connected]: every output reads every input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.activations import get_activation
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.gemm import multiply_in_order
from darknet_py.layers.base import Layer, Shape, Site, flat
from darknet_py.options import LayerOptions, key
from darknet_py.rounding import activate_in_order


@dataclass(frozen=True)
class ConnectedOptions(LayerOptions):
    """Keys of [connected] (C: parser.c:parse_connected)."""

    output: int = key("how many outputs", 1)
    activation: str = key("activation function", "logistic")
    batch_normalize: bool = key("batch norm before the activation", False)


class Connected(Layer):
    """A matrix, batch norm, an activation.

    Input flattened to `(batch, n)`, output `(batch, output)`. `in_c_order` sums as C's loops do.
    C: connected_layer.c:forward_connected_layer.
    """

    Options = ConnectedOptions
    options: ConnectedOptions

    def __init__(self, options: ConnectedOptions, site: Site) -> None:
        super().__init__(options, site)
        self.inputs, self.outputs = site.input.size, options.output
        self.in_c_order = False
        self.activation = get_activation(options.activation, site.section)
        self.biases = site.parameter(self.outputs)
        self.weights = site.parameter(self.outputs, self.inputs)
        self.normalizer = (
            BatchNormalizer(self.outputs, site.dialect) if options.batch_normalize else None
        )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the number of inputs must stay."""
        (shape,) = inputs
        if shape.size != self.inputs:
            raise self.section.error(
                f"takes {self.inputs} inputs, not {shape.size}: the network's size is fixed"
            )
        self.in_shape, self.out_shape = shape, Shape(self.outputs, 1, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """`activation(weights x + biases)`."""
        return self.finish(self.multiply(inputs[0]))

    def multiply(self, x: Tensor) -> Tensor:
        """What comes before batch norm and activation."""
        biases = self.biases if self.normalizer is None else None
        if self.in_c_order:
            return multiply_in_order(flat(x), self.weights, biases)
        return F.linear(flat(x), self.weights, biases)

    def finish(self, x: Tensor) -> Tensor:
        """Batch norm and activation."""
        if self.normalizer is not None:
            x = self.normalizer(x, self.biases)
        if self.training and self.in_c_order:
            name, dialect = self.options.activation, self.dialect.name
            return activate_in_order(name, x, self.activation, dialect)
        return self.activation(x)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases, weights `(outputs, inputs)`, then batch norm: not [convolutional]'s order."""
        yield "biases", self.biases
        yield "weights", self.weights
        if self.normalizer is not None:
            yield from self.normalizer.arrays()

    def row(self) -> str:
        """As connected_layer.c:make_connected_layer prints it."""
        return f"connected                            {self.inputs:4d}  ->  {self.outputs:4d}"
