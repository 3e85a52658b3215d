"""Maps joined along their channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from darknet_py.kernels.call import COPY, REPEAT, Call, Told
from darknet_py.operations import Operation, Place, Slot
from darknet_py.shape import Shape


class Concatenation(Operation):
    """The inputs one after the other along the channels; sizes are those of the cfg's input.

    The planner makes it `allocate` first and writes what it can into the parts.
    """

    fresh = traceable = True

    def __init__(self, place: Place) -> None:
        self.place = place

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Join."""
        return torch.cat([x if x.dim() == 4 else x[:, :, None, None] for x in inputs], 1)

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same."""
        return self(*inputs)


class Slice(Operation):
    """Channels `start` to before `end` of `(batch, c, h, w)` or `(batch, c)`, where they lie."""

    traceable = True

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """The part."""
        return inputs[0][:, self.start : self.end]

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same."""
        return self(*inputs)

    def tell(self, *shapes: Shape) -> Told | None:
        """A copy, for those who want one."""
        (shape,) = shapes
        part = Shape(self.end - self.start, shape.height, shape.width)
        return Told(copy_call(part), start=self.start)


def copy_call(shape: Shape) -> Call:
    """A copy of a map of this shape."""
    call = Call(kind=COPY, channels=shape.channels, filters=shape.channels, size=1)
    call.height = call.out_height = max(shape.height, 1)
    call.width = call.out_width = max(shape.width, 1)
    return call


class Repetition(Operation):
    """Every pixel repeated `stride` times each way."""

    fresh = can_write = traceable = True

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Repeat."""
        (x,) = inputs
        x = x if x.dim() == 4 else x[:, :, None, None]
        if out is None:
            return F.interpolate(x, scale_factor=self.stride)
        batch, _, height, width = x.shape
        target = out.take(batch, height * self.stride, width * self.stride)
        for row in range(self.stride):
            for column in range(self.stride):
                target[:, :, row :: self.stride, column :: self.stride].copy_(x)
        return target

    def plain(self, *inputs: Tensor) -> Tensor:
        """The same."""
        return self(*inputs)

    def tell(self, *shapes: Shape) -> Told | None:
        """Copies of pixels."""
        (shape,) = shapes
        call = Call(kind=REPEAT, channels=shape.channels, filters=shape.channels, size=self.stride)
        call.height, call.width = max(shape.height, 1), max(shape.width, 1)
        call.out_height, call.out_width = call.height * self.stride, call.width * self.stride
        return Told(call)
