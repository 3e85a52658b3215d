"""A convolution whose batch norm is folded in, with an activation and perhaps a sum behind it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.operations import Operation, Place, Slot, onednn
from darknet_py.operations.activation import AFTER_SUM, ONEDNN, activate, mish
from darknet_py.operations.addition import Addition

Geometry = tuple[list[int], list[int], list[int], int]
"""Padding, stride, dilation (vertical and horizontal each), groups."""


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
    ) -> None:
        """Take the arrays of one layer.

        Args:
            weights: `(filters, channels / groups, height, width)`, float32.
            biases: `(filters,)`.
            geometry: padding, stride, dilation, groups.
            activation: behind it.
            place: where it runs.
            sides: height and width of the input.
        """
        weights = weights.detach()
        self.biases = place.to(biases.detach())
        self.geometry, self.activation, self.place = geometry, activation, place
        self.joined: Addition | None = None
        self.attributes = ONEDNN.get(activation, ONEDNN[activations.linear])
        self.separate = not place.fused or activation not in ONEDNN
        """Whether the activation runs on its own."""
        self.can_write = self.separate
        self._fused = place.fused
        self.weights = self._pack(weights, sides) if place.fused else place.to(weights)

    def _pack(self, weights: Tensor, sides: tuple[int, int]) -> Tensor:
        """In the layout that oneDNN wants for one picture; it suits batches, too."""
        size = (1, weights.shape[1] * self.geometry[3], *sides)
        try:
            return onednn.pack(weights.to(self.place.dtype), self.geometry, size)
        except RuntimeError:  # it has no such primitive
            self._fused = False
            return self.place.to(weights)

    def followed_by(self, addition: Operation) -> Operation | None:
        """This one with the sum inside, where oneDNN or the blocks of Mish take it along."""
        if not isinstance(addition, Addition) or self.joined is not None:
            return None
        linear, last = self.activation is activations.linear, addition.activation
        fusible = self.place.fused and linear and last in AFTER_SUM
        blocks = self.activation is activations.mish and last is activations.linear
        if not fusible and not blocks:
            return None
        self.joined = addition
        return self

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Convolve, activate, add."""
        x, *others = (i if i.dtype == self.place.dtype else self.place.to(i) for i in inputs)
        if x.dim() != 4:
            x = x[:, :, None, None]
        if self._fused:
            try:
                y = self._call_onednn(x, others)
            except RuntimeError:  # it has no such primitive, as for some of 16 bits
                self.weights, self._fused = self.place.to(self.weights.to_dense()), False
            else:
                return self._finish(y, others, out) if self.separate else y
        y = F.conv2d(x, self.weights, self.biases, *self._arguments())
        if self.joined is not None and self.activation is activations.linear:
            return activate(self.joined.activation, y.add_(others[0]))
        return self._finish(y, others, out)

    def _finish(self, y: Tensor, others: list[Tensor], out: Slot | None) -> Tensor:
        target = None if out is None else out.like(y)
        if self.joined is not None:
            return mish(y, target, others[0])
        return activate(self.activation, y, target)

    def _arguments(self) -> tuple[list[int], list[int], list[int], int]:
        padding, stride, dilation, groups = self.geometry
        return stride, padding, dilation, groups

    def _call_onednn(self, x: Tensor, others: list[Tensor]) -> Tensor:
        shared = (self.weights, self.biases, *self.geometry)
        y: Tensor
        if self.joined is not None and self.activation is activations.linear:
            y = onednn.WITH_SUM(x, others[0], *shared, *AFTER_SUM[self.joined.activation])
        else:
            y = onednn.POINTWISE(x, *shared, *self.attributes)
        return y
