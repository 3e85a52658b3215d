"""What a [yolo] head does with its map: the logistic function of some channels, and a stretch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from darknet_py.kernels.call import SQUASH, WIDEST, Call, Told
from darknet_py.operations import Operation, Slot
from darknet_py.shape import Shape


class Squash(Operation):
    """A map's values squashed and stretched, channel by channel; float32, any layout."""

    fresh = True
    reusable = (0,)

    def __init__(
        self, function: Callable[[Tensor], Tensor], squashed: Tensor, scale: Tensor, shift: Tensor
    ) -> None:
        """Take what is done.

        Args:
            function: does it to a tensor that is overwritten.
            squashed: `(channels,)`, which ones the logistic function is for.
            scale: `(channels,)`, a factor for what comes out.
            shift: `(channels,)`, what is added then.
        """
        self.function = function
        channels = len(squashed)
        self._numbers = torch.zeros(3, -(-channels // WIDEST) * WIDEST)
        for row, values in zip(self._numbers, (squashed, scale, shift), strict=True):
            row[:channels] = values

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The function of the input or, if others read that, of a copy."""
        (x,) = inputs
        y = x.to(torch.float32)
        return self.function(y.clone() if y is x and self.reuse is None else y)

    def tell(self, *shapes: Shape) -> Told | None:
        """The same with the numbers above."""
        (shape,) = shapes
        call = Call(kind=SQUASH, channels=shape.channels, filters=shape.channels, size=1)
        call.height = call.out_height = max(shape.height, 1)
        call.width = call.out_width = max(shape.width, 1)
        call.weights = self._numbers.data_ptr()
        return Told(call)
