"""A convolution whose batch norm is folded in, with an activation and perhaps a sum behind it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py import activations
from darknet_py.activations import Activation
from darknet_py.operations import Operation, Place, Slot, onednn
from darknet_py.operations.activation import AFTER_SUM, ONEDNN, activate, mish
from darknet_py.operations.addition import Addition

SMALL = 4_000_000
"""Multiplications up to which a 1 x 1 convolution is quicker as a plain matrix product."""


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
        geometry: tuple[list[int], list[int], list[int], int],
        activation: Activation,
        place: Place,
    ) -> None:
        """Take the arrays of one layer.

        Args:
            weights: `(filters, channels / groups, height, width)`, float32.
            biases: `(filters,)`.
            geometry: padding, stride, dilation (vertical and horizontal each), groups.
            activation: behind it.
            place: where it runs.
        """
        self.weights, self.biases = place.to(weights.detach()), place.to(biases.detach())
        self.geometry, self.activation, self.place = geometry, activation, place
        self.joined: Addition | None = None
        self._packed: dict[torch.Size, Tensor | None] = {}
        padding, stride, dilation, self.groups = geometry
        self.pointwise = weights.shape[2:] == (1, 1) and (padding, stride, self.groups) == (
            [0, 0],
            [1, 1],
            1,
        )
        self._arguments = (stride, padding, dilation, self.groups)
        self.can_write = self.separate
        self.attributes = ONEDNN.get(activation, ONEDNN[activations.linear])

    @property
    def separate(self) -> bool:
        """Whether the activation runs on its own."""
        return not self.place.fused or self.activation not in ONEDNN

    def followed_by(self, addition: Operation) -> Operation | None:
        """This one with the sum inside, where oneDNN or the blocks of Mish take it along."""
        if not isinstance(addition, Addition) or self.joined is not None:
            return None
        linear, last = self.activation is activations.linear, addition.activation
        if self.place.fused and linear and last in AFTER_SUM:
            pass
        elif not (self.activation is activations.mish and last is activations.linear):
            return None
        self.joined = addition
        return self

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Convolve, activate, add."""
        x = inputs[0]
        if x.dim() != 4:
            x = x[:, :, None, None]
        if x.dtype != self.place.dtype:
            x = x.to(self.place.dtype)
        if self.place.fused:
            y = self._fused(x, inputs[1:])
            if y is not None and not self.separate:
                return y
        else:
            y = None
        if y is None:
            y = F.conv2d(x, self.weights, self.biases, *self._arguments)
            if self.joined is not None and self.activation is activations.linear:
                return activate(self.joined.activation, y.add_(inputs[1]))
        target = None if out is None else out.like(y)
        if self.joined is not None:
            return mish(y, target, inputs[1])
        return activate(self.activation, y, target)

    def _fused(self, x: Tensor, others: tuple[Tensor, ...]) -> Tensor | None:
        """OneDNN's convolution with what it takes along; None: it has none of this kind."""
        packed = self._pack(x)
        if packed is None:
            return None
        shared = (packed, self.biases, *self.geometry)
        y: Tensor
        if self.joined is not None and self.activation is activations.linear:
            other = others[0].to(self.place.dtype)
            y = onednn.WITH_SUM(x, other, *shared, *AFTER_SUM[self.joined.activation])
        else:
            y = onednn.POINTWISE(x, *shared, *self.attributes)
        return y

    def _pack(self, x: Tensor) -> Tensor | None:
        if x.shape not in self._packed:
            packed = None
            try:
                packed = onednn.pack(self.weights, self.geometry, x.shape)
                onednn.POINTWISE(x, packed, self.biases, *self.geometry, *self.attributes)
            except RuntimeError:  # no such primitive, as for some of 16 bits
                packed = None
            self._packed[x.shape] = packed
        return self._packed[x.shape]
