"""[lstm]: long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.layers.base import Shape, Site
from darknet_py.layers.connected import Connected, ConnectedOptions
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class LSTMOptions(LayerOptions):
    """Keys of [lstm] (C: parser.c:parse_lstm)."""

    output: int = key("how many outputs, and values of the state", 1)
    batch_normalize: bool = key("batch norm in every part", False)


class LSTM(Recurrent):
    """`cell' = f cell + i g`, output and `state' = o tanh(cell')`.

    `f, i, o = logistic(u x + w state)`, `g = tanh(ug x + wg state)`. Input flattened to
    `(batch, n)`, output `(batch, output)`, as are state and cell.
    Source: Hochreiter & Schmidhuber 1997; C: lstm_layer.c:forward_lstm_layer.
    """

    Options = LSTMOptions
    options: LSTMOptions
    memory = ("state", "cell")

    def __init__(self, options: LSTMOptions, site: Site) -> None:
        super().__init__(options, site)
        self.outputs = options.output
        part = ConnectedOptions(
            output=self.outputs, activation="linear", batch_normalize=options.batch_normalize
        )
        for letter, shape in (("u", site.input), ("w", Shape(self.outputs, 0, 0))):
            for gate in "figo":
                self.parts[letter + gate] = Connected(part, site.part(shape))

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the number of inputs must stay."""
        (shape,) = inputs
        state = Shape(self.outputs, 0, 0)
        self.resize_parts(
            **{f"u{gate}": shape for gate in "figo"}, **{f"w{gate}": state for gate in "figo"}
        )
        side = 1 if self.dialect.recurrent_is_image else 0
        self.in_shape, self.out_shape = shape, Shape(self.outputs, side, side)

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, output)`."""
        return len(x), self.outputs

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output, which is the new state too, and the new cell."""
        h, cell = memory
        f, i, g, o = (
            self.apply_part(f"u{gate}", x) + self.apply_part(f"w{gate}", h) for gate in "figo"
        )
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(cell)
        return h, h, cell

    def file_order(self) -> tuple[str, ...]:
        """The w parts, then the u parts, with the gates in the dialect's order."""
        return tuple(letter + gate for letter in "wu" for gate in self.dialect.lstm_gates)

    def title(self) -> str:
        """As lstm_layer.c:make_lstm_layer prints it."""
        return f"LSTM Layer: {self.in_shape.size} inputs, {self.outputs} outputs"
