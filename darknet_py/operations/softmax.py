"""[softmax] of the values of a single pixel."""

from __future__ import annotations

import torch
from torch import nn

from darknet_py.kernels.call import SOFTMAX, Call, Told
from darknet_py.operations import Place, Plain
from darknet_py.shape import Shape


class Shares(Plain):
    """One softmax of all values: the layer itself, and a kernel for maps of a single pixel.

    Input `(batch, n)` or `(batch, n, 1, 1)`, output `(batch, n)`, float32. C: blas.c:softmax.
    """

    def __init__(self, layer: nn.Module, place: Place, temperature: float) -> None:
        """Take the layer, and what divides the values first."""
        super().__init__(layer, place)
        self._temperature = torch.tensor([temperature])

    def tell(self, *shapes: Shape) -> Told | None:
        """The shares of the channels."""
        (shape,) = shapes
        if shape.size != shape.channels:
            return None
        call = Call(kind=SOFTMAX, channels=shape.channels, filters=shape.channels, size=1)
        call.height = call.width = call.out_height = call.out_width = 1
        call.weights = self._temperature.data_ptr()
        return Told(call)
