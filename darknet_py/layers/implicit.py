"""[implicit]: trained values that do not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Layer, Shape, Site
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ImplicitOptions(LayerOptions):
    """Keys of [implicit] (C: parser.c:parse_implicit)."""

    mean: float | None = key("mean of the starting values (default: 0; [implicit_mul]: 1)", None)
    std: float = key("starting values differ from the mean by up to this", 0.2)
    filters: int = key("output channels", 128)
    atoms: int = key("values in each channel", 1)


class Implicit(Layer):
    """Output `(batch, filters, atoms, 1)`: the weights, whatever the input.

    Source: Wang et al., "You Only Learn One Representation", 2021;
    C: representation_layer.c:forward_implicit_layer.
    """

    Options = ImplicitOptions
    options: ImplicitOptions

    def __init__(self, options: ImplicitOptions, site: Site) -> None:
        super().__init__(options, site)
        self.weights = site.parameter(options.filters, options.atoms, 1)
        self.mean = 1.0 if site.section.type == "implicit_mul" else 0.0
        if options.mean is not None:
            self.mean = options.mean

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        self.in_shape = inputs[0]
        self.out_shape = Shape(self.options.filters, self.options.atoms, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The weights, once for each sample."""
        return self.weights.repeat(inputs[0].shape[0], 1, 1, 1)

    @torch.no_grad()
    def initialize(self) -> None:
        """Weights start within `std` of `mean`."""
        spread = abs(self.options.std)
        self.weights.uniform_(self.mean - spread, self.mean + spread)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """The weights `(filters, atoms)`."""
        yield "weights", self.weights

    def row(self) -> str:
        """As representation_layer.c:make_implicit_layer prints it."""
        options = self.options
        return (
            f"implicit Layer: {options.filters} x {options.atoms} \t "
            f"mean={self.mean:.2f}, std={options.std:.2f} "
        )
