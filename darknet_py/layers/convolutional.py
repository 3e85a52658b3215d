"""[convolutional]: a bank of filters, with batch norm and an activation."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional as F

from darknet_py.activations import IN_PLACE, get_activation
from darknet_py.antialiasing import Blur
from darknet_py.batchnorm import BatchNormalizer, CrossIteration
from darknet_py.binary import filter_means, mean_signs, signs
from darknet_py.excitation import excite, find_strength, mark_objects
from darknet_py.filling import give_up
from darknet_py.gemm import convolve_in_order
from darknet_py.layers.base import Layer, Shape, Site, Step, image
from darknet_py.layers.convolutional_options import UNSHARED
from darknet_py.layers.convolutional_options import (
    ConvolutionalOptions as ConvolutionalOptions,
)
from darknet_py.operations import Operation, Place, Plain
from darknet_py.operations.convolution import Convolution
from darknet_py.operations.native_convolution import NativeConvolution, find_kind
from darknet_py.rounding import activate_in_order


class Convolutional(Layer):
    """Convolution, batch norm, activation.

    Input `(batch, c, h, w)`, output `(batch, filters, h', w')` with
    `h' = (h + 2 padding - size) // stride_y + 1`, and `w'` likewise. With `antialiasing` the
    strides are those of a blur behind the activation. With `share_index` the arrays are those of
    `bank`, another layer. `in_c_order` sums as C's loops do (gemm.py), `fused` as
    those of a C built for processors that fuse product and sum.
    C: convolutional_layer.c:forward_convolutional_layer.
    """

    Options = ConvolutionalOptions
    options: ConvolutionalOptions
    means: Tensor
    fixed_weights: Tensor
    fixed_biases: Tensor

    def __init__(self, options: ConvolutionalOptions, site: Site) -> None:
        super().__init__(options, site)
        section, channels = site.section, site.need_image().channels
        self.filters, self.size, self.channels = options.filters, options.size, channels
        # PARITY: groups below 1 count as 1 (C: AlexeyAB's make_convolutional_layer).
        self.groups = max(options.groups, 1)
        if options.xnor and not site.dialect.xnor_groups:
            self.groups = 1
        self.stride_x = options.stride if options.stride_x < 1 else options.stride_x
        self.stride_y = options.stride if options.stride_y < 1 else options.stride_y
        self.dilation = 1 if self.size == 1 else options.dilation
        self.padding = self.size // 2 if options.pad else options.padding
        self._check()
        self.blur: Blur | None = None
        if options.antialiasing:
            self.blur = Blur(options.antialiasing, self.stride_y, self.stride_x)
            self.stride_x = self.stride_y = 1
        self.activation = get_activation(options.activation, section)
        self.activate_fresh = IN_PLACE.get(options.activation, self.activation)
        self.normalized = options.batch_normalize or options.cbn
        self.bits = self.in_c_order = self.fused = self.lends = False
        self.strength = 0.0
        self._shared: tuple[Convolutional, ...] = ()  # a tuple: its layer is no submodule of this
        if options.share_index != UNSHARED:
            self._shared = (self._find_shared(site),)
            self.bank.lends = True
            return
        self.biases = site.parameter(self.filters)
        self.normalizer = BatchNormalizer(self.filters, site.dialect) if self.normalized else None
        if options.cbn and self.normalizer is not None:
            self.normalizer.across = CrossIteration()
        self.weights = site.parameter(self.filters, channels // self.groups, self.size, self.size)

    def _check(self) -> None:
        error, options = self.section.error, self.options
        if min(self.filters, self.size, self.stride_x, self.stride_y, self.dilation) < 1:
            raise error("filters, size, stride and dilation must be at least 1")
        if self.padding < 0:
            raise error(f"padding must not be negative, got {self.padding}", "padding")
        if self.channels % self.groups or self.filters % self.groups:
            raise error(
                f"groups={self.groups} must divide the {self.channels} input channels and the "
                f"{self.filters} filters",
                "groups",
            )
        deforms = options.sway + options.rotate + options.stretch + options.stretch_sway
        if deforms > 1:
            raise error("only one of sway, rotate, stretch and stretch_sway may be 1")
        if deforms and self.size == 1:
            raise error("sway, rotate, stretch and stretch_sway need size=3 or more, got 1")

    def _find_shared(self, site: Site) -> Convolutional:
        index = site.source(self.options.share_index, "share_index")
        host = site.layers[index]
        if not isinstance(host, Convolutional):
            raise self.section.error(
                f"share_index names layer {index}, a [{host.section.type}], not a [convolutional]",
                "share_index",
            )
        for name in ("size", "channels", "filters", "groups"):
            ours, theirs = getattr(self, name), getattr(host, name)
            if ours != theirs:
                raise self.section.error(
                    f"{name} is {ours}, but layer {index}, whose weights share_index takes, "
                    f"has {theirs}",
                    "share_index",
                )
        if self.normalized and not host.normalized:
            raise self.section.error(
                f"batch_normalize=1 needs it in layer {index}, too, whose arrays are shared",
                "batch_normalize",
            )
        return host

    @property
    def bank(self) -> Convolutional:
        """The layer that holds this one's biases, weights and batch norm: itself, if not shared."""
        return self._shared[0].bank if self._shared else self

    def resize(self, *inputs: Shape) -> None:
        """Set the shapes; the channels must stay."""
        (shape,) = inputs
        self.in_shape = shape
        height = self._steps(shape.height, self.stride_y)
        width = self._steps(shape.width, self.stride_x)
        self.host_shape = Shape(self.filters, height, width)
        if self.blur is not None:
            height, width = self.blur.sides(height, width, self.section)
        self.out_shape = Shape(self.filters, height, width)

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
        """Convolve, normalise, activate, blur."""
        x = image(inputs[0])
        if self.bits:
            x = self._convolve_bits(x)
            x = self.activation(x)
            return x if self.blur is None else self.blur(x)
        return self.finish(self.multiply(x))

    def multiply(self, x: Tensor) -> Tensor:
        """What comes before batch norm and activation."""
        bank = self.bank
        weights: Tensor = bank.weights
        if self.options.xnor:
            x, weights = signs(x), mean_signs(weights)
        return self._convolve(x, weights, None if self.normalized else bank.biases)

    def finish(self, x: Tensor) -> Tensor:
        """Batch norm, activation and blur."""
        bank = self.bank
        if self.normalized and bank.normalizer is not None:
            x = bank.normalizer(x, bank.biases)
        x = self._activate(x) if self.training else self.activation(x)
        if self.training and self.strength:
            x = excite(x, mark_objects(self.truth, 6, *x.shape[2:]), self.strength)
        return x if self.blur is None else self.blur(x)

    def _activate(self, x: Tensor) -> Tensor:
        """The activation of a value nobody else reads."""
        if self.in_c_order:
            name, dialect = self.options.activation, self.dialect.name
            return activate_in_order(name, x, self.activation, dialect)
        return self.activate_fresh(x)

    def begin(self, step: Step, truth: Tensor) -> None:
        """See how much objects are excited, and where in the iteration this is."""
        if self.options.assisted_excitation:
            self.strength = find_strength(int(self.options.assisted_excitation), step)
            self.truth = truth
        if self.options.cbn and self.bank.normalizer is not None:
            across = self.bank.normalizer.across
            if across is not None:
                across.subdivision = step.subdivision

    def _convolve(self, x: Tensor, weights: Tensor, biases: Tensor | None) -> Tensor:
        stride, padding = (self.stride_y, self.stride_x), self.padding * self.dilation
        rest = (biases, stride, padding, self.dilation, self.groups)
        if self.in_c_order:
            return convolve_in_order(x, weights, *rest, fused=self.fused)
        return F.conv2d(x, weights, *rest)

    def lower(self, place: Place) -> Operation:
        """One operation with the batch norm folded in; itself where C's order or bits count."""
        if self.bits or self.in_c_order or self.options.xnor or self.blur is not None:
            return Plain(self, place)
        bank, shape = self.bank, self.in_shape
        weights, biases = bank.weights.detach(), bank.biases.detach()
        alone = place.consumes and not bank.lends
        if self.normalized and bank.normalizer is not None:
            weights, biases = bank.normalizer.fold(weights, biases, in_place=alone)
        padding, stride = [self.padding * self.dilation] * 2, [self.stride_y, self.stride_x]
        geometry = (padding, stride, [self.dilation] * 2, self.groups)
        sides = (shape.height, shape.width) if shape.is_image else (1, 1)
        arrays = (weights, biases, geometry, self.activation, place)
        kind = find_kind(weights.shape, *arrays[2:], sides, first=self.index == 0)
        operation: Operation
        if kind is None:
            operation = Convolution(*arrays, sides, owned=alone)
        else:
            operation = NativeConvolution(*arrays, kind)
        if alone:
            give_up(bank.weights)
        return operation

    def use_bits(self) -> None:
        """Go on with the weights of now, batch norm folded in; with xnor, with their signs.

        C: network.c:fuse_conv_batchnorm, convolutional_layer.c:binary_align_weights.
        """
        bank, self.bits = self.bank, True
        weights, biases = bank.weights.detach(), bank.biases.detach()
        if self.normalized and bank.normalizer is not None:
            weights, biases = bank.normalizer.fold(weights, biases)
        self.matching = self.options.xnor and self.stride_x == self.stride_y
        if self.matching:
            self.register_buffer("means", filter_means(weights).view(-1, 1, 1), persistent=False)
            weights, biases = signs(weights), biases.view(-1, 1, 1)
        self.register_buffer("fixed_weights", weights, persistent=False)
        self.register_buffer("fixed_biases", biases, persistent=False)

    def _convolve_bits(self, x: Tensor) -> Tensor:
        """What C counts as equal bits (C: gemm.c:gemm_nn_custom_bin_mean_transposed)."""
        if not self.matching:
            return self._convolve(x, self.fixed_weights, self.fixed_biases)
        # PARITY: a padding pixel is a bit that is 0, so -1 (C: gemm.c:im2col_cpu_custom).
        x = F.pad(signs(x), (self.padding,) * 4, value=-1.0)
        x = F.conv2d(x, self.fixed_weights, None, self.stride_x, 0, 1, self.groups)
        return x * self.means + self.fixed_biases

    def arrays(self) -> Iterator[tuple[str, Tensor]]:
        """Biases, batch norm, weights `(filters, c / groups, size, size)`; none if shared."""
        if self._shared:
            return
        yield "biases", self.biases
        if self.normalizer is not None:
            yield from self.normalizer.arrays()
        yield "weights", self.weights

    def draw(self, weights: Tensor, scale: float) -> None:
        """As the dialect's `convolution_start` says."""
        if self.dialect.convolution_start == "normal":
            weights.normal_(std=scale)
        elif self.options.activation.startswith("normalize_channels"):
            weights.fill_(1.0)
        else:
            super().draw(weights, scale)

    def row(self) -> str:
        """As convolutional_layer.c:make_convolutional_layer prints it."""
        i, o, size, billions = self.in_shape, self.host_shape, self.size, self.operations / 1e9
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
        row = (
            f"{self._kind():<6}{self.filters:5d}{groups}{window}"
            f"{i.width:4d} x{i.height:4d} x{i.channels:4d} -> "
            f"{o.width:4d} x{o.height:4d} x{o.channels:4d} {billions:5.3f} BF"
        )
        if self.blur is None:
            return row
        return f"{row}\n{self.blur.row(o.channels, o.height, o.width, self.section)}"

    def _kind(self) -> str:
        if self.options.xnor:
            return "convXB" if self.options.bin_output else "convX"
        if self._shared:
            return "convS"
        return "convAE" if int(self.options.assisted_excitation) else "conv"

    @property
    def operations(self) -> int:
        """Two for each multiplication, without the blur's; AlexeyAB counts 32 bits as one."""
        count = 2 * self.bank.weights.numel() * self.host_shape.height * self.host_shape.width
        return count // 32 if self.options.xnor and self.dialect.name == "alexeyab" else count
