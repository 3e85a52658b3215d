"""[crnn]: a recurrent layer of convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from darknet_py.layers.base import Shape, Site, image
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.convolutional_options import options_of_part
from darknet_py.layers.recurrent import Recurrent
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class CRNNOptions(LayerOptions):
    """Keys of [crnn] (C: parser.c:parse_crnn)."""

    output_filters: int = key("output channels", 1, only="pjreddie")
    hidden_filters: int = key("channels of the state", 1, only="pjreddie")
    output: int | None = key("output channels", None, only="alexeyab", alexeyab=1)
    hidden: int | None = key("channels of the state", None, only="alexeyab", alexeyab=1)
    size: int = key("side of the filters, in pixels", 3, only="alexeyab")
    stride: int = key("step between windows: nothing but 1 works", 1, only="alexeyab")
    dilation: int = key("distance between the filter's taps, in pixels", 1, only="alexeyab")
    pad: bool = key(
        "pad by size / 2 on every side; padding is then not read (pjreddie: always)",
        True,
        only="alexeyab",
        alexeyab=False,
    )
    padding: int = key("pixels added on every side", 0, only="alexeyab")
    groups: int = key("groups of every convolution", 1, only="alexeyab")
    xnor: bool = key("binary weights and inputs", False, only="alexeyab")
    activation: str = key("activation function", "logistic")
    batch_normalize: bool = key("batch norm before the activations", False)
    shortcut: bool = key("add the old state to the new one", False)


class CRNN(Recurrent):
    """`state = input_layer(x) + self_layer(state)`, the output is `output_layer(state)`.

    Input `(batch, c, h, w)`, output `(batch, output, h, w)`, the state `(batch, hidden, h, w)`;
    with the sides swapped where the dialect swaps them.
    C: crnn_layer.c:forward_crnn_layer.
    """

    Options = CRNNOptions
    options: CRNNOptions
    forgets = True

    def __init__(self, options: CRNNOptions, site: Site) -> None:
        super().__init__(options, site)
        shape = self._swap(site.need_image())
        # The dialects name these two keys differently: AlexeyAB's are None in pjreddie's.
        self.hidden = options.hidden_filters if options.hidden is None else options.hidden
        self.filters = options.output_filters if options.output is None else options.output
        state = Shape(self.hidden, shape.height, shape.width)
        for name, inputs, filters in (
            ("input_layer", shape, self.hidden),
            ("self_layer", state, self.hidden),
            ("output_layer", state, self.filters),
        ):
            part = options_of_part(options, filters)
            self.parts[name] = Convolutional(part, site.part(inputs))

    def _swap(self, shape: Shape) -> Shape:
        # PARITY: width and height change places, the values stay where they are
        # (C: pjreddie's parser.c:parse_crnn gives make_crnn_layer w, h for h, w).
        if self.dialect.crnn_swaps_sides:
            return Shape(shape.channels, shape.width, shape.height)
        return shape

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the channels must stay."""
        self.in_shape = inputs[0]
        shape = self._swap(self.in_shape)
        state = Shape(self.hidden, shape.height, shape.width)
        self.resize_parts(input_layer=shape, self_layer=state, output_layer=state)
        self.out_shape = Shape(self.filters, shape.height, shape.width)
        if self.parts["input_layer"].out_shape != state:
            raise self.section.error(
                "the state must be as wide and high as the input: give stride=1, "
                "an odd size and pad=1"
            )

    def state_shape(self, x: Tensor) -> tuple[int, ...]:
        """`(batch, hidden, h, w)`."""
        height, width = image(x).shape[2:]
        sides = (width, height) if self.dialect.crnn_swaps_sides else (height, width)
        return len(x), self.hidden, *sides

    def step(self, x: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The output and the new state."""
        (before,) = memory
        x = image(x)
        if self.dialect.crnn_swaps_sides:
            batch, channels, height, width = x.shape
            x = x.reshape(batch, channels, width, height)
        state = self.next_state(x, before, bypass=self.options.shortcut)
        return self.apply_part("output_layer", state), state

    def title(self) -> str:
        """As crnn_layer.c:make_crnn_layer prints it."""
        shape = self._swap(self.in_shape)
        return (
            f"CRNN Layer: {shape.height} x {shape.width} x {shape.channels} image, "
            f"{self.filters} filters"
        )

    @property
    def indent(self) -> str:
        """AlexeyAB does not indent these."""
        return "\t\t" if self.dialect.name == "pjreddie" else ""

    @property
    def operations(self) -> int:
        """Those of the parts; pjreddie counts none."""
        return 0 if self.dialect.name == "pjreddie" else super().operations
