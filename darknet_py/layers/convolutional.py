"""[convolutional]: a bank of filters, with batch norm and an activation."""

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
class ConvolutionalOptions(LayerOptions):
    """Keys of [convolutional] (C: parser.c:parse_convolutional)."""

    filters: int = key("output channels", 1)
    size: int = key("side of the filters, in pixels", 1)
    stride: int = key("step between windows, in pixels", 1)
    stride_x: int = key("horizontal step (default: stride)", -1, only="alexeyab")
    stride_y: int = key("vertical step (default: stride)", -1, only="alexeyab")
    dilation: int = key("distance between the filter's taps, in pixels", 1, only="alexeyab")
    pad: bool = key("pad by size / 2 on every side; padding is then not read", False)
    padding: int = key("pixels added on every side", 0)
    groups: int = key("channels and filters are split into this many groups", 1)
    batch_normalize: bool = key("batch norm before the activation", False)
    activation: str = key("activation function", "logistic")


class Convolutional(Layer):
    """Convolution, batch norm, activation.

    Input `(batch, c, h, w)`, output `(batch, filters, h', w')` with
    `h' = (h + 2 padding - size) // stride_y + 1`, and `w'` likewise.
    C: convolutional_layer.c:forward_convolutional_layer.
    """

    Options = ConvolutionalOptions
    options: ConvolutionalOptions

    def __init__(self, options: ConvolutionalOptions, site: Site) -> None:
        super().__init__(options, site)
        section, channels = site.section, site.need_image().channels
        self.filters, self.size, self.groups = options.filters, options.size, options.groups
        self.stride_x = options.stride if options.stride_x < 1 else options.stride_x
        self.stride_y = options.stride if options.stride_y < 1 else options.stride_y
        self.dilation = 1 if self.size == 1 else options.dilation
        self.padding = self.size // 2 if options.pad else options.padding
        if min(self.filters, self.size, self.stride_x, self.stride_y, self.dilation) < 1:
            raise section.error("filters, size, stride and dilation must be at least 1")
        if self.padding < 0:
            raise section.error(f"padding must not be negative, got {self.padding}", "padding")
        if self.groups < 1 or channels % self.groups or self.filters % self.groups:
            raise section.error(
                f"groups={self.groups} must divide the {channels} input channels and the "
                f"{self.filters} filters",
                "groups",
            )
        self.activation = get_activation(options.activation, section)
        self.biases = site.parameter(self.filters)
        self.normalizer = (
            BatchNormalizer(self.filters, site.dialect) if options.batch_normalize else None
        )
        self.weights = site.parameter(self.filters, channels // self.groups, self.size, self.size)

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the channels must stay."""
        (shape,) = inputs
        self.in_shape = shape
        self.out_shape = Shape(
            self.filters,
            self._steps(shape.height, self.stride_y),
            self._steps(shape.width, self.stride_x),
        )

    def _steps(self, length: int, stride: int) -> int:
        # PARITY: C leaves the dilation out of this and pads by padding * dilation
        # (convolutional_layer.c:convolutional_out_height); both agree for odd sizes with pad=1.
        steps = (length + 2 * self.padding - self.size) // stride + 1
        reach = self.dilation * (self.size - 1) + 1
        true = (length + 2 * self.padding * self.dilation - reach) // stride + 1
        if steps < 1 or steps != true:
            raise self.section.error(
                f"a {length} pixels long side does not fit size={self.size}, "
                f"padding={self.padding}, dilation={self.dilation}"
            )
        return steps

    def forward(self, *inputs: Tensor) -> Tensor:
        """Convolve, normalise, activate."""
        (x,) = inputs
        biases = self.biases if self.normalizer is None else None
        x = F.conv2d(
            image(x),
            self.weights,
            biases,
            (self.stride_y, self.stride_x),
            self.padding * self.dilation,
            self.dilation,
            self.groups,
        )
        if self.normalizer is not None:
            x = self.normalizer(x, self.biases)
        return self.activation(x)

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases, batch norm, weights `(filters, c / groups, size, size)`."""
        yield "biases", self.biases
        if self.normalizer is not None:
            yield from self.normalizer.arrays()
        yield "weights", self.weights

    def row(self) -> str:
        """As convolutional_layer.c:make_convolutional_layer prints it."""
        i, o, size, billions = self.in_shape, self.out_shape, self.size, self.operations / 1e9
        if self.dialect.name == "pjreddie":
            return (
                f"conv  {self.filters:5d} {size:2d} x{size:2d} /{self.stride_x:2d}  "
                f"{i.width:4d} x{i.height:4d} x{i.channels:4d}   ->  "
                f"{o.width:4d} x{o.height:4d} x{o.channels:4d}  {billions:5.3f} BFLOPs"
            )
        groups = f"/{self.groups:4d} " if self.groups > 1 else "      "
        if self.stride_x != self.stride_y:
            window = f"{size:2d}x{size:2d}/{self.stride_x:2d}x{self.stride_y:2d} "
        else:
            dilation = f"({self.dilation})" if self.dilation > 1 else "   "
            window = f"{size:2d} x{size:2d}/{self.stride_x:2d}{dilation}"
        return (
            f"conv  {self.filters:5d}{groups}{window}"
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {billions:5.3f} BF"
        )

    @property
    def operations(self) -> int:
        """Two for each multiplication."""
        return 2 * self.weights.numel() * self.out_shape.height * self.out_shape.width
