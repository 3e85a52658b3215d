"""[deconvolutional]: a transposed convolution (pjreddie)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from darknet_py.activations import get_activation
from darknet_py.batchnorm import BatchNormalizer
from darknet_py.layers.base import Layer, Shape, Site, image
from darknet_py.options import LayerOptions, key


@dataclass(frozen=True)
class DeconvolutionalOptions(LayerOptions):
    """Keys of [deconvolutional] (C: parser.c:parse_deconvolutional)."""

    filters: int = key("output channels", 1, only="pjreddie")
    size: int = key("side of the filters, in pixels", 1, only="pjreddie")
    stride: int = key("step between windows in the output, in pixels", 1, only="pjreddie")
    pad: bool = key("cut size / 2 off every side; padding is then not read", False, only="pjreddie")
    padding: int = key("pixels cut off every side", 0, only="pjreddie")
    batch_normalize: bool = key("batch norm before the activation", False, only="pjreddie")
    activation: str = key("activation function", "logistic", only="pjreddie")


class Deconvolutional(Layer):
    """Transposed convolution, batch norm, activation.

    Input `(batch, c, h, w)`, output `(batch, filters, h', w')` with
    `h' = (h - 1) stride + size - 2 padding`, and `w'` likewise.
    C: deconvolutional_layer.c:forward_deconvolutional_layer.
    """

    Options = DeconvolutionalOptions
    options: DeconvolutionalOptions

    def __init__(self, options: DeconvolutionalOptions, site: Site) -> None:
        super().__init__(options, site)
        section, channels = site.section, site.need_image().channels
        self.filters, self.size, self.stride = options.filters, options.size, options.stride
        self.padding = self.size // 2 if options.pad else options.padding
        if min(self.filters, self.size, self.stride) < 1:
            raise section.error("filters, size and stride must be at least 1")
        if self.padding < 0:
            raise section.error(f"padding must not be negative, got {self.padding}", "padding")
        self.activation = get_activation(options.activation, section)
        self.biases = site.parameter(self.filters)
        self.normalizer = (
            BatchNormalizer(self.filters, site.dialect) if options.batch_normalize else None
        )
        self.weights = site.parameter(channels, self.filters, self.size, self.size)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the channels must stay."""
        (shape,) = inputs
        self.in_shape = shape
        self.out_shape = Shape(self.filters, self._side(shape.height), self._side(shape.width))

    def _side(self, length: int) -> int:
        side = (length - 1) * self.stride + self.size - 2 * self.padding
        if side < 1:
            raise self.section.error(
                f"padding={self.padding} leaves nothing of a {length} pixels long side"
            )
        return side

    def forward(self, *inputs: Tensor) -> Tensor:
        """Convolve backwards, normalise, activate."""
        biases = self.biases if self.normalizer is None else None
        x = F.conv_transpose2d(image(inputs[0]), self.weights, biases, self.stride, self.padding)
        if self.normalizer is not None:
            x = self.normalizer(x, self.biases)
        return self.activation(x)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases, batch norm, weights `(c, filters, size, size)`."""
        # PARITY: as C saves them; C's loader divides by zero (parser.c:load_convolutional_weights).
        yield "biases", self.biases
        if self.normalizer is not None:
            yield from self.normalizer.arrays()
        yield "weights", self.weights

    def draw(self, weights: Tensor, scale: float) -> None:
        """Normal, with a deviation of .02, whatever the size (make_deconvolutional_layer)."""
        weights.normal_(std=0.02)

    def row(self) -> str:
        """As deconvolutional_layer.c:make_deconvolutional_layer prints it."""
        i, o, size = self.in_shape, self.out_shape, self.size
        return (
            f"deconv{self.filters:5d} {size:2d} x{size:2d} /{self.stride:2d}  "
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d}   ->  "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d}"
        )
