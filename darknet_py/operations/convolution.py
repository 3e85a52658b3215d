"""A convolution whose batch norm is folded in, with an activation and perhaps a sum behind it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.operations import Operation, Place, Slot, onednn
from darknet_py.operations.activation import AFTER_SUM, ONEDNN, activate, mish
from darknet_py.operations.addition import Addition
from darknet_py.operations.native_convolution import Geometry

SMALL = 1 << 20
"""Weights of a convolution that is traced, at most: what is compiled holds them once more."""


class Convolution(Operation):
    """`activation(x * weights + biases)`; then, if an addition was joined, that.

    With oneDNN the activation is part of the convolution where it knows it, and so is the sum
    where nothing but it stands between them. Mish runs in blocks right after it.
    """

    fresh = True

    def __init__(
        self,
        weights: Tensor,
        biases: Tensor,
        geometry: Geometry,
        activation: Activation,
        place: Place,
        sides: tuple[int, int],
        *,
        owned: bool = False,
    ) -> None:
        """Take the arrays of one layer.

        Args:
            weights: `(filters, channels / groups, height, width)`, float32.
            biases: `(filters,)`.
            geometry: padding, stride, dilation, groups.
            activation: behind it.
            place: where it runs.
            sides: height and width of the input.
            owned: nobody else reads `weights`, which may be overwritten.
        """
        weights = weights.detach()
        self._negated = activation is activations.mish and place.device.type == "cpu"
        """Whether it computes `-(x * weights + biases)`, from which Mish takes a step less."""
        if self._negated:
            weights, biases = weights.neg_() if owned else -weights, -biases
        self.biases = place.to(biases.detach())
        self.geometry, self.activation, self.place = geometry, activation, place
        self.joined: Addition | None = None
        self.attributes = ONEDNN.get(activation, ONEDNN[activations.linear])
        self.separate = not place.fused or activation not in ONEDNN
        """Whether the activation runs on its own."""
        self.can_write = self.separate
        self._fused = place.fused
        self.weights = self._pack(weights, *sides) if place.fused else place.to(weights)
        self.traceable = self._fused and not self.separate and weights.numel() <= SMALL

    def _pack(self, weights: Tensor, height: int, width: int) -> Tensor:
        """In the layout that oneDNN wants for one picture; it suits batches, too."""
        size = (1, weights.shape[1] * self.geometry[3], height, width)
        try:
            return onednn.pack(weights.to(self.place.dtype), self.geometry, size)
        except RuntimeError:  # it has no such primitive
            self._fused = False
            return self.place.to(weights)

    def followed_by(self, addition: Operation) -> Operation | None:
        """This one with the sum inside, where oneDNN or the blocks of Mish take it along."""
        if not isinstance(addition, Addition) or self.joined is not None:
            return None
        first, last = self.activation, addition.activation
        if self.separate:
            fusible = first is activations.mish and last is activations.linear
        else:
            fusible = first is activations.linear and last in AFTER_SUM
            fusible = fusible or (self.traceable and last in ONEDNN)
        if not fusible:
            return None
        self.joined = addition
        return self

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Convolve, activate, add."""
        x, *others = self._take(inputs)
        if self._fused:
            try:
                y = self._call_onednn(x, others)
            except RuntimeError:  # it has no such primitive, as for some of 16 bits
                self.weights, self._fused = self._dense(), False
            else:
                return self._finish(y, others, out) if self.separate else y
        return self._finish(self._convolve(x), others, out)

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same by the plain convolution and activations."""
        x, *others = self._take(inputs)
        self.weights = self._dense()
        y = self.activation(self._convolve(x))
        return y if self.joined is None else self.joined.plain(y, *others)

    def _take(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        x, *others = (i if i.dtype == self.place.dtype else self.place.to(i) for i in inputs)
        return [x if x.dim() == 4 else x[:, :, None, None], *others]

    def _convolve(self, x: Tensor) -> Tensor:
        padding, stride, dilation, groups = self.geometry
        return F.conv2d(x, self.weights, self.biases, stride, padding, dilation, groups)

    def _dense(self) -> Tensor:
        return self.place.to(self.weights.to_dense()) if self.weights.is_mkldnn else self.weights

    def _finish(self, y: Tensor, others: list[Tensor], out: Slot | None) -> Tensor:
        """What stands behind the convolution."""
        target = None if out is None else out.like(y)
        if self._negated:
            return mish(y, target, others[0] if others else None, negated=True)
        if self.joined is None:
            return activate(self.activation, y, target)
        return activate(self.joined.activation, activate(self.activation, y).add_(others[0]))

    def _call_onednn(self, x: Tensor, others: list[Tensor]) -> Tensor:
        if not self.weights.is_mkldnn:  # `plain` has unpacked them
            self.weights = self._pack(self.weights, x.shape[2], x.shape[3])
        shared, joined = (self.weights, self.biases, *self.geometry), self.joined
        linear = self.activation is activations.linear
        y: Tensor
        if joined is not None and linear and joined.activation in AFTER_SUM:
            y = onednn.WITH_SUM(x, others[0], *shared, *AFTER_SUM[joined.activation])
            return y
        y = onednn.POINTWISE(x, *shared, *self.attributes)
        if joined is None or self.separate:
            return y
        return activate(joined.activation, y.add_(others[0]))
