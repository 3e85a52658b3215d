"""[cost]: the distance between the output and the truth, for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Delta, Layer, Shape, Site, Step, flat
from darknet_py.losses.cost import cost_of
from darknet_py.options import LayerOptions, key

TYPES = {
    "pjreddie": ("sse", "masked", "smooth", "L1", "seg", "wgan"),
    "alexeyab": ("sse", "masked", "smooth"),
}
"""What each fork calls the distances that it knows (cost_layer.c:get_cost_type)."""


@dataclass(frozen=True)
class CostOptions(LayerOptions):
    """Keys of [cost] (C: parser.c:parse_cost)."""

    type: str = key("the distance: sse, masked, smooth; pjreddie also L1, seg, wgan", "sse")
    scale: float = key("multiplies the gradient", 1.0)
    ratio: float = key("share of the smallest gradients that are set to 0", 0.0)
    noobj: float = key("multiplies the gradient where the truth is 0 (seg)", 1.0, only="pjreddie")
    thresh: float = key("gradients of a smaller size are set to 0", 0.0, only="pjreddie")


class Cost(Layer):
    """A training loss; its output `(batch, n)` is 0 while there is no truth.

    C: cost_layer.c:forward_cost_layer.
    """

    Options = CostOptions
    options: CostOptions

    def __init__(self, options: CostOptions, site: Site) -> None:
        super().__init__(options, site)
        # PARITY: C says "going with SSE" for a type it does not know (cost_layer.c:get_cost_type).
        self.cost_type = options.type
        if self.cost_type not in TYPES[site.dialect.name]:
            site.section.warn(f"unknown cost type {options.type!r}, sse is used", "type")
            self.cost_type = "sse"

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        self.in_shape, self.out_shape = inputs[0], Shape(inputs[0].size, 0, 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Zeros: what C leaves in the output where no truth is given."""
        return torch.zeros_like(flat(inputs[0]))

    def delta(
        self, inputs: Sequence[Tensor], output: Tensor, truth: Tensor, step: Step
    ) -> Delta | None:
        """The distance's step direction, times `scale`."""
        # PARITY: ratio finds a threshold and then puts 0 in its place (C: forward_cost_layer_gpu).
        options, (x,) = self.options, inputs
        direction, cost = cost_of(
            self.cost_type,
            flat(x),
            truth.view(output.shape),
            noobj=options.noobj,
            thresh=options.thresh,
            smooth=options.smooth,
        )
        return Delta((direction * options.scale).view(x.shape), cost)

    def row(self) -> str:
        """As cost_layer.c:make_cost_layer prints it."""
        return f"cost                                           {self.in_shape.size:4d}"
