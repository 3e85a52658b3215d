"""[conv_lstm]: long short-term memory of convolutions (AlexeyAB)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darknet_py.activations import Activation, get_activation
from darknet_py.layers.base import Shape, Site, image
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.convolutional_options import options_of_part
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class ConvLSTMOptions(LayerOptions):
    """Keys of [conv_lstm] (C: parser.c:parse_conv_lstm)."""

    output: int = key("output channels", 1)
    size: int = key("side of the filters, in pixels", 3)
    stride: int = key("step between windows: nothing but 1 works", 1)
    dilation: int = key("distance between the filter's taps, in pixels", 1)
    pad: bool = key("pad by size / 2 on every side; padding is then not read", False)
    padding: int = key("pixels added on every side", 0)
    groups: int = key("groups of every convolution", 1)
    xnor: bool = key("binary weights and inputs", False)
    activation: str = key("activation function of every convolution", "linear")
    batch_normalize: bool = key("batch norm in every convolution", False)
    peephole: bool = key("the gates see the cell too, through convolutions of their own", False)
    bottleneck: bool = key(
        "one convolution of state and input feeds all gates, in place of one for each", False
    )
    state_constrain: int | None = key(
        "largest absolute value of the cell, 0: no limit (default: 32 * [net]'s time_steps)", None
    )
    shortcut: bool = key("with bottleneck: add its first half to the output", False)
    lstm_activation: str = key("with bottleneck: the function in tanh's place", "tanh")
    time_normalizer: float = key(
        "with bottleneck: multiplies the gradient that goes back in time", 1.0
    )


class ConvLSTM(Recurrent):
    """`cell' = f cell + i g`, output and `state' = o tanh(cell')`.

    `f, i, o = logistic(u x + w state + v cell)` (v with peephole only, for o of the new cell),
    `g = tanh(ug x + wg state)`, all convolutions. Input `(batch, c, h, w)`, output, state and
    cell `(batch, output, h, w)`.
    Source: Shi et al. 2015; C: conv_lstm_layer.c:forward_conv_lstm_layer.
    """

    Options = ConvLSTMOptions
    options: ConvLSTMOptions
    memory = ("state", "cell")

    def __init__(self, options: ConvLSTMOptions, site: Site) -> None:
        super().__init__(options, site)
        shape = site.need_image()
        self.filters = options.output
        if options.bottleneck and shape.channels != self.filters:
            raise site.section.error(
                f"bottleneck=1 needs output={shape.channels}, as many channels as the input has, "
                f"got {self.filters}",
                "output",
            )
        limit = options.state_constrain
        self.limit = 32 * site.time_steps if limit is None else limit
        # PARITY: without bottleneck, tanh whatever lstm_activation says, as C's CPU code has it;
        # bottleneck exists in its GPU code alone (conv_lstm_layer.c:forward_conv_lstm_layer_gpu).
        self.squash: Activation = torch.tanh
        if options.bottleneck:
            self.squash = get_activation(options.lstm_activation, site.section)
        self.channels = self._channels(shape.channels)
        part = options_of_part(options, self.filters)
        for name, channels in self.channels.items():
            inputs = Shape(channels, shape.height, shape.width)
            self.parts[name] = Convolutional(part, site.part(inputs))

    def _channels(self, inputs: int) -> dict[str, int]:
        """How many channels each part reads."""
        channels = {f"u{gate}": inputs for gate in "figo"}
        if self.options.bottleneck:
            channels["wf"] = 2 * self.filters
        else:
            channels |= {f"w{gate}": self.filters for gate in "figo"}
        if self.options.peephole:
            channels |= {f"v{gate}": self.filters for gate in "fio"}
        return channels

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the channels must stay."""
        (shape,) = inputs
        sides = shape.height, shape.width
        self.resize_parts(**{name: Shape(count, *sides) for name, count in self.channels.items()})
        self.in_shape, self.out_shape = shape, Shape(self.filters, *sides)
        if self.parts["uf"].out_shape != self.out_shape:
            raise self.section.error(
                "the state must be as wide and high as the input: give stride=1, "
                "an odd size and pad=1"
            )

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, output, h, w)`."""
        return len(x), self.filters, *image(x).shape[2:]

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output, the new state and the new cell."""
        h, cell = memory
        x = image(x)
        if self.options.bottleneck:
            scale = self.options.time_normalizer
            back = h if scale == 1 else h.detach() + scale * (h - h.detach())
            x = self.squash(self.apply_part("wf", torch.cat([back, x], 1)))
        gates = {gate: self.apply_part(f"u{gate}", x) for gate in "figo"}
        if not self.options.bottleneck:
            gates = {gate: value + self.apply_part(f"w{gate}", h) for gate, value in gates.items()}
        f, i, g, o = gates.values()
        if self.options.peephole:
            f, i = f + self.apply_part("vf", cell), i + self.apply_part("vi", cell)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * self.squash(g)
        if self.options.peephole:
            o = o + self.apply_part("vo", cell)
        h = torch.sigmoid(o) * self.squash(cell)
        if self.limit:
            cell = cell.clamp(-self.limit, self.limit)
        # What is not finite would stay in the state for ever; C puts 1/index in its place.
        h, cell = (state.nan_to_num(0.0, 0.0, 0.0) for state in (h, cell))
        return self._bypass(h, x), h, cell

    def _bypass(self, h: Tensor, squeezed: Tensor) -> Tensor:
        """The output: `h`, and with bottleneck and shortcut half of the squeezed input."""
        if not (self.options.bottleneck and self.options.shortcut):
            return h
        half = h[0].numel() // 2
        first = h.flatten(1)[:, :half] + squeezed.flatten(1)[:, :half]
        return torch.cat([first, h.flatten(1)[:, half:]], 1).view_as(h)

    def file_order(self) -> tuple[str, ...]:
        """Peepholes v, state w, input u: the order of parser.c:load_weights_upto."""
        order = ("vf", "vi", "vo", "wf", "wi", "wg", "wo", "uf", "ui", "ug", "uo")
        return tuple(name for name in order if name in self.channels)

    def title(self) -> str:
        """As conv_lstm_layer.c:make_conv_lstm_layer prints it."""
        i = self.in_shape
        return (
            f"CONV_LSTM Layer: {i.height} x {i.width} x {i.channels} image, {self.filters} filters"
        )

    @property
    def indent(self) -> str:
        """None."""
        return ""

    @property
    def operations(self) -> int:
        """Those of the parts, and 12 (with peephole) or 9 for each output."""
        return super().operations + (12 if self.options.peephole else 9) * self.out_shape.size
