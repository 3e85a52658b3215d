"""[rnn]: the simple recurrent layer, three connected layers around a state."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Shape, Site
from darknet_py.layers.connected import Connected, ConnectedOptions
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class RNNOptions(LayerOptions):
    """Keys of [rnn] (C: parser.c:parse_rnn)."""

    output: int = key("how many outputs", 1)
    hidden: int | None = key(
        "how many values the state has (pjreddie, whose cfgs give it: as many as outputs)",
        None,
        only="alexeyab",
        alexeyab=1,
        decisive=False,
    )
    activation: str = key("activation function", "logistic")
    batch_normalize: bool = key("batch norm before the activations", False)
    logistic: int = key(
        "activation of the state's own layer: 1 logistic, 2 loggy, else `activation`",
        0,
        only="alexeyab",
    )
    shortcut: bool = key("add the old state to the new one", False)


class RNN(Recurrent):
    """`state = input_layer(x) + self_layer(state)`, the output is `output_layer(state)`.

    Input flattened to `(batch, n)`, output `(batch, output)`; the state is `(batch, hidden)`.
    C: rnn_layer.c:forward_rnn_layer.
    """

    Options = RNNOptions
    options: RNNOptions

    def __init__(self, options: RNNOptions, site: Site) -> None:
        super().__init__(options, site)
        self.outputs = options.output
        self.forgets = not site.dialect.recurrent_keeps_state
        self.hidden = options.output if options.hidden is None else options.hidden
        own = {1: "logistic", 2: "loggy"}.get(options.logistic, options.activation)
        state = Shape(self.hidden, 0, 0)
        for name, shape, outputs, activation in (
            ("input_layer", site.input, self.hidden, options.activation),
            ("self_layer", state, self.hidden, own),
            ("output_layer", state, self.outputs, options.activation),
        ):
            part = ConnectedOptions(
                output=outputs, activation=activation, batch_normalize=options.batch_normalize
            )
            self.parts[name] = Connected(part, site.part(shape))

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the number of inputs must stay."""
        (shape,) = inputs
        state = Shape(self.hidden, 0, 0)
        self.resize_parts(input_layer=shape, self_layer=state, output_layer=state)
        side = 1 if self.dialect.recurrent_is_image else 0
        self.in_shape, self.out_shape = shape, Shape(self.outputs, side, side)

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, hidden)`."""
        return len(x), self.hidden

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output and the new state."""
        (before,) = memory
        state = self.next_state(x, before, bypass=self.options.shortcut)
        return self.apply_part("output_layer", state), state

    def title(self) -> str:
        """As rnn_layer.c:make_rnn_layer prints it."""
        return f"RNN Layer: {self.in_shape.size} inputs, {self.outputs} outputs"
