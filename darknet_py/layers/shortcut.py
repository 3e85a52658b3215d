"""[shortcut]: the outputs of layers added to one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darknet_py.activations import get_activation
from darknet_py.layers.base import Layer, Shape, Site, flat, image
from darknet_py.operations import Operation, Place, Plain
from darknet_py.operations.addition import Addition, PartialAddition, common_block
from darknet_py.options import LayerOptions, key

WEIGHTS_TYPES = {"none": 0, "per_feature": 1, "per_layer": 1, "per_channel": 2}
NORMALIZATIONS = {"none": 0, "relu": 1, "avg_relu": 1, "softmax": 2}
"""The names a cfg may use, and the numbers that C prints for them."""


@dataclass(frozen=True)
class ShortcutOptions(LayerOptions):
    """Keys of [shortcut] (C: parser.c:parse_shortcut)."""

    from_: tuple[int, ...] = key(
        "layers that are added (pjreddie: one); a negative one counts back from this layer"
    )
    activation: str = key("activation function", "linear")
    alpha: float = key("multiplies the layer before this one", 1.0, only="pjreddie")
    beta: float = key("multiplies the layer that is added", 1.0, only="pjreddie")
    weights_type: str = key(
        "trained weights: none, per_feature (or per_layer: one for each layer), per_channel",
        "none",
        only="alexeyab",
    )
    weights_normalization: str = key(
        "how the weights are made to sum to 1: none, relu (or avg_relu), softmax",
        "none",
        only="alexeyab",
    )


class Shortcut(Layer):
    """The layer before this one plus others, then an activation.

    Inputs: the layer before, then those of `from`. The output has the shape of the first.
    Where sizes differ, `Dialect.shortcut` says what is added to what.
    C: shortcut_layer.c:forward_shortcut_layer, blas.c:shortcut_cpu, shortcut_multilayer_cpu.
    """

    Options = ShortcutOptions
    options: ShortcutOptions
    weights: nn.Parameter | None
    from_shapes: tuple[Shape, ...]

    def __init__(self, options: ShortcutOptions, site: Site) -> None:
        super().__init__(options, site)
        section, numbers = site.section, options.from_
        if not numbers:
            raise section.error("from names no layer", "from")
        if len(numbers) > 1 and site.dialect.shortcut == "sampled":
            # PARITY: this fork reads the first number of the list only (C: parser.c).
            section.warn("only the first layer of from is added; dialect alexeyab adds all", "from")
            numbers = numbers[:1]
        if site.index == 0:
            raise section.error("there is no layer before this one")
        self.sources = (site.index - 1, *(site.source(number, "from") for number in numbers))
        self.activation = get_activation(options.activation, section)
        for name, known in (
            ("weights_type", WEIGHTS_TYPES),
            ("weights_normalization", NORMALIZATIONS),
        ):
            if getattr(options, name) not in known:
                found = getattr(options, name)
                raise section.error(
                    f"{name} must be one of {', '.join(known)}, got {found!r}", name
                )
        self.weights_type = WEIGHTS_TYPES[options.weights_type]
        self.normalization = NORMALIZATIONS[options.weights_normalization]
        self.weights = None
        if self.weights_type:
            columns = site.input.channels if self.weights_type == 2 else 1
            self.weights = site.parameter(len(self.sources), columns, 1, 1)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes."""
        self.in_shape = self.out_shape = inputs[0]
        self.from_shapes = inputs[1:]
        if self.dialect.shortcut == "sampled" and not _have_one_ratio(inputs[1], inputs[0]):
            raise self.section.error(
                f"{inputs[1]} cannot be added to {inputs[0]}: width and height must be in the "
                "same ratio",
                "from",
            )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Add and activate."""
        x, *others = (image(x) for x in inputs)
        if self.dialect.shortcut == "sampled":
            return self.activation(self._add_sampled(x, others[0]))
        factors = None if self.weights is None else self._normalized(self.weights)
        out = x if factors is None else x * factors[0]
        for number, other in enumerate(others, start=1):
            added = _first_values(other, x)
            out = out + (added if factors is None else added * factors[number])
        return self.activation(out)

    def _normalized(self, weights: Tensor) -> Tensor:
        """The weights, of shape `(inputs, c or 1, 1, 1)`, as they are multiplied with."""
        if self.normalization == 0:
            return weights
        is_softmax = self.normalization == 2
        positive = (weights - weights.amax(0)).exp() if is_softmax else F.relu(weights)
        return positive / (1e-4 + positive.sum(0))

    def _add_sampled(self, x: Tensor, other: Tensor) -> Tensor:
        """`alpha x + beta other` on the block that both have (`common_block`), x elsewhere."""
        alpha, beta = self.options.alpha, self.options.beta
        block, part = common_block(x, other)
        total = alpha * block + beta * part
        if block.shape[2:] == x.shape[2:]:
            channels = block.shape[1]
            return torch.cat([total, x[:, channels:]], 1) if channels < x.shape[1] else total
        out = x.clone()
        common_block(out, other)[0].copy_(total)
        return out

    def lower(self, place: Place) -> Operation:
        """A plain sum of two maps, where it is one."""
        sampled = self.dialect.shortcut == "sampled"
        if sampled and (self.options.alpha, self.options.beta) != (1, 1):
            return Plain(self, place, direct=True)
        if self.weights is not None or len(self.sources) != 2:
            return Plain(self, place)
        if self.from_shapes[0] == self.in_shape:
            return Addition(self.activation)
        return PartialAddition(self.activation, sampled=sampled)

    @torch.no_grad()
    def initialize(self) -> None:
        """Weights start at 1."""
        if self.weights is not None:
            self.weights.fill_(1.0)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """The weights `(inputs, channels or 1)`, if any."""
        if self.weights is not None:
            yield "weights", self.weights

    def row(self) -> str:
        """As shortcut_layer.c:make_shortcut_layer and parser.c:parse_shortcut print it."""
        o = self.out_shape
        if self.dialect.name == "pjreddie":
            f = self.from_shapes[0]
            return (
                f"res  {self.sources[1]:3d}                {f.width:4d} x{f.height:4d} "
                f"x{f.channels:4d}   ->  {o.width:4d} x{o.height:4d} x{o.channels:4d}"
            )
        names = "".join(f"{source}, " for source in self.sources[1:])
        lines = [
            f"Shortcut Layer: {names} wt = {self.weights_type}, wn = {self.normalization}, "
            f"outputs:{o.width:4d} x{o.height:4d} x{o.channels:4d} {self.operations / 1e9:5.3f} BF"
        ]
        for f in self.from_shapes:
            if f != o:
                lines.append(
                    f" ({o.width:4d} x{o.height:4d} x{o.channels:4d}) + "
                    f"({f.width:4d} x{f.height:4d} x{f.channels:4d}) "
                )
        return "\n".join(lines)

    @property
    def operations(self) -> int:
        """One for each value added, two with weights (AlexeyAB; pjreddie counts none)."""
        if self.dialect.name == "pjreddie":
            return 0
        return self.out_shape.size * (len(self.sources) - 1) * (2 if self.weights_type else 1)


def _have_one_ratio(shape: Shape, target: Shape) -> bool:
    """Whether width and height give the same strides (C: the asserts of blas.c:shortcut_cpu)."""
    height, width, target_height, target_width = (
        max(side, 1) for side in (shape.height, shape.width, target.height, target.width)
    )
    return (
        width // target_width == height // target_height
        and target_width // width == target_height // height
    )


def _first_values(x: Tensor, like: Tensor) -> Tensor:
    """The first values of each sample of `x` in the shape of `like`; zeros where it has fewer."""
    if x.shape[1:] == like.shape[1:]:
        return x
    # PARITY: whatever the shapes, values are added in memory order; after a strided shortcut
    # that mixes up rows and channels (C: blas.c:shortcut_multilayer_cpu).
    count = like[0].numel()
    values = flat(x)[:, :count]
    return F.pad(values, (0, count - values.shape[1])).view_as(like)
