"""[local]: a convolution with filters of its own at every place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.activations import get_activation
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class LocalOptions(LayerOptions):
    """Keys of [local] (C: parser.c:parse_local)."""

    filters: int = key("output channels", 1)
    size: int = key("side of the filters, in pixels", 1)
    stride: int = key("step between windows, in pixels", 1)
    pad: int = key("pixels added on every side", 0)
    activation: str = key("activation function", "logistic")


class Local(Layer):
    """A locally connected layer.

    Input `(batch, c, h, w)`, output `(batch, filters, h', w')` with
    `h' = (h + 2 pad - size) // stride + 1`, and `w'` likewise; the size is fixed by the weights.
    C: local_layer.c:forward_local_layer.
    """

    Options = LocalOptions
    options: LocalOptions

    def __init__(self, options: LocalOptions, site: Site) -> None:
        super().__init__(options, site)
        self.filters, self.size, self.stride = options.filters, options.size, options.stride
        self.pad = options.pad
        if min(self.filters, self.size, self.stride) < 1 or self.pad < 0:
            raise site.section.error(
                "filters, size and stride must be at least 1 and pad at least 0, got "
                f"{self.filters}, {self.size}, {self.stride} and {self.pad}"
            )
        shape = site.need_image()
        self.activation = get_activation(options.activation, site.section)
        self.height, self.width = self._steps(shape.height), self._steps(shape.width)
        locations = self.height * self.width
        self.biases = site.parameter(self.filters, locations)
        self.weights = site.parameter(
            locations, self.filters, shape.channels * self.size * self.size
        )

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the output's height and width must stay."""
        (shape,) = inputs
        steps = (self._steps(shape.height), self._steps(shape.width))
        if steps != (self.height, self.width):
            raise self.section.error(
                f"has weights for {self.width} x {self.height} places, not for "
                f"{steps[1]} x {steps[0]}: the network's size is fixed"
            )
        self.in_shape, self.out_shape = shape, Shape(self.filters, *steps)

    def _steps(self, length: int) -> int:
        # PARITY: C counts the places as if a pad were size / 2 (local_layer.c:local_out_height)
        # but pads by `pad` pixels; where the two differ it reads memory it never wrote.
        steps = (length - (1 if self.pad else self.size)) // self.stride + 1
        true = (length + 2 * self.pad - self.size) // self.stride + 1
        if steps < 1 or steps != true:
            raise self.section.error(
                f"a {length} pixels long side does not fit size={self.size}, pad={self.pad} "
                f"(pixels), stride={self.stride}"
            )
        return steps

    def forward(self, *inputs: Tensor) -> Tensor:
        """At every place, its own filters times the window, and a bias for each output."""
        windows = F.unfold(image(inputs[0]), self.size, padding=self.pad, stride=self.stride)
        x = torch.matmul(self.weights, windows.permute(2, 1, 0)).permute(2, 1, 0) + self.biases
        return self.activation(x.view(-1, self.filters, self.height, self.width))

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases `(filters, places)`, weights `(places, filters, c * size * size)`."""
        yield "biases", self.biases
        yield "weights", self.weights

    def row(self) -> str:
        """As local_layer.c:make_local_layer prints it: height first."""
        i, o = self.in_shape, self.out_shape
        return (
            f"Local Layer: {i.height} x {i.width} x {i.channels} image, {self.filters} filters -> "
            f"{o.height} x {o.width} x {o.channels} image"
        )
