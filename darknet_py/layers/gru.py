"""[gru]: the gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Shape, Site
from darknet_py.layers.connected import Connected, ConnectedOptions
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class GRUOptions(LayerOptions):
    """Keys of [gru] (C: parser.c:parse_gru)."""

    output: int = key("how many outputs, and values of the state", 1)
    batch_normalize: bool = key("batch norm in every part", False)
    tanh: bool = key("the candidate passes through tanh, not logistic", False, only="pjreddie")


class GRU(Recurrent):
    """`h' = z h + (1 - z) candidate(uh x + wh (r h))` with `z, r = logistic(u x + w h)`.

    Input flattened to `(batch, n)`, output and state `(batch, output)`.
    Source: Cho et al. 2014; C: gru_layer.c:forward_gru_layer.
    """

    Options = GRUOptions
    options: GRUOptions

    def __init__(self, options: GRUOptions, site: Site) -> None:
        super().__init__(options, site)
        self.outputs = options.output
        part = ConnectedOptions(
            output=self.outputs, activation="linear", batch_normalize=options.batch_normalize
        )
        for gate in "zrh":
            self.parts[f"u{gate}"] = Connected(part, site.part(site.input))
            self.parts[f"w{gate}"] = Connected(part, site.part(Shape(self.outputs, 0, 0)))
        # PARITY: the candidate is logistic unless tanh=1, which AlexeyAB does not read
        # (C: gru_layer.c:forward_gru_layer).
        self.candidate = torch.tanh if options.tanh else torch.sigmoid

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the number of inputs must stay."""
        (shape,) = inputs
        state = Shape(self.outputs, 0, 0)
        self.resize_parts(uz=shape, ur=shape, uh=shape, wz=state, wr=state, wh=state)
        self.in_shape, self.out_shape = shape, state

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, output)`."""
        return len(x), self.outputs

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output, which is the new state too."""
        (h,) = memory
        z = torch.sigmoid(self.apply_part("uz", x) + self.apply_part("wz", h))
        r = torch.sigmoid(self.apply_part("ur", x) + self.apply_part("wr", h))
        candidate = self.candidate(self.apply_part("uh", x) + self.apply_part("wh", r * h))
        h = z * h + (1 - z) * candidate
        return h, h

    def file_order(self) -> tuple[str, ...]:
        """As the dialect orders the u and w parts, z r h each."""
        return tuple(letter + gate for letter in self.dialect.gru_parts for gate in "zrh")

    def title(self) -> str:
        """As gru_layer.c:make_gru_layer prints it."""
        return f"GRU Layer: {self.in_shape.size} inputs, {self.outputs} outputs"
