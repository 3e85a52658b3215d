"""Convolutions by the kernels of our own."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from darknet_py.activations import Activation
from darknet_py.kernels.call import (
    DENSE,
    DEPTHWISE,
    PICTURE,
    WIDEST,
    WINDOWS,
    WINOGRAD,
    Call,
    Told,
)
from darknet_py.operations import Operation, Place, Slot
from darknet_py.operations.activation import NUMBERS, ONEDNN
from darknet_py.operations.addition import Addition
from darknet_py.operations.native import find_library, lay_out, lay_out_picture, new_map, pack
from darknet_py.shape import Shape

NARROW, WIDE = 64, 40
"""Channels up to which windows had better be read where they are, and pixels of an output row from
which on. With more channels pixels lie too far apart; in short rows too many windows reach beyond.
"""

Geometry = tuple[list[int], list[int], list[int], int]
"""Padding, stride, dilation (vertical and horizontal each), groups."""

SMALL = 1 << 14
"""Filters times channels up to which transformed weights are held: they take 16 / 9 of the room."""

FEW = 48
"""Pixels below which transforming the weights anew each time does not pay."""


def find_kind(
    shape: torch.Size,
    geometry: Geometry,
    activation: Activation,
    place: Place,
    sides: tuple[int, int],
    *,
    first: bool = False,
) -> int | None:
    """The kind of kernel that is faster than oneDNN's here; None: there is none.

    Args:
        shape: of the weights.
        geometry: padding, stride, dilation, groups.
        activation: behind it.
        place: where it runs.
        sides: height and width of the input.
        first: that is the network's own, of float32 whatever the type.
    """
    if not place.native or activation not in NUMBERS:
        return None
    filters, channels, size, _ = shape
    if geometry[3] > 1:
        alone = channels == 1 and filters == geometry[3] and geometry[2] == [1, 1]
        return DEPTHWISE if alone and geometry[1][0] == geometry[1][1] else None
    short = place.dtype != torch.float32
    if size == 3 and geometry[:3] == ([1, 1], [1, 1], [1, 1]):
        wide = min(filters, channels) >= (24 if short else 16)
        if wide and (_holds(filters, channels, short) or sides[0] * sides[1] >= FEW):
            return WINOGRAD
    if channels < 8 and 1 < size <= 7 and geometry[2] == [1, 1] and (first or not short):
        return PICTURE
    stride = geometry[1][1]
    if size > 1 and geometry[2] == [1, 1] and channels <= NARROW and sides[1] >= WIDE * stride:
        return WINDOWS
    alone = activation in ONEDNN
    return None if alone and size > 1 and geometry[1] == [1, 1] else DENSE


def _holds(filters: int, channels: int, short: bool) -> bool:
    """Whether Winograd's transformed weights are held, 16 for 9; those of 16 bits always are."""
    return short or filters * channels <= SMALL


class NativeConvolution(Operation):
    """`activation(x * weights + biases)`; then, if an addition was joined, that."""

    fresh = can_write = True

    def __init__(
        self,
        weights: Tensor,
        biases: Tensor,
        geometry: Geometry,
        activation: Activation,
        place: Place,
        kind: int,
    ) -> None:
        """Take the arrays of one layer.

        Args:
            weights: `(filters, channels, size, size)`, float32.
            biases: `(filters,)`.
            geometry: padding, stride, dilation, and groups: 1, or as many as channels.
            activation: one of `NUMBERS`.
            place: where it runs: on the CPU.
            kind: which kernel, as `find_kind` says.
        """
        (padding, _), (stride_y, stride_x), (dilation, _), groups = geometry
        filters, channels, size, _ = weights.shape
        self.place, self.activation = place, activation
        self.joined: Addition | None = None
        self.biases = torch.zeros(-(-filters // WIDEST) * WIDEST)
        self.biases[:filters] = biases.detach()
        self._call = Call(
            kind=kind, half=place.dtype == torch.bfloat16, biases=self.biases.data_ptr(),
            channels=channels * groups, filters=filters, size=size, stride_y=stride_y,
            stride_x=stride_x, padding=padding, dilation=dilation, first=NUMBERS[activation],
            threads=torch.get_num_threads(),
        )  # fmt: skip
        short = kind in (DENSE, WINDOWS, PICTURE) and self._call.half
        dtype = torch.bfloat16 if short else torch.float32
        self.weights = pack(self._call, weights.detach().contiguous().to(dtype), dtype)
        if kind == WINOGRAD and _holds(filters, channels, bool(self._call.half)):
            self.weights = pack(self._call, self.weights, place.dtype, expanded=True)
            self._call.expanded = self.weights.data_ptr()
        else:
            self._call.weights = self.weights.data_ptr()

    @property
    def reads_planes(self) -> bool:
        """Whether the input may be a float32 picture in C's order, whatever the type."""
        return bool(self._call.kind == PICTURE)

    def followed_by(self, addition: Operation) -> Operation | None:
        """This one with the sum inside."""
        if not isinstance(addition, Addition) or self.joined is not None:
            return None
        if addition.activation not in NUMBERS:
            return None
        self.joined = addition
        self._call.last = NUMBERS[addition.activation]
        return self

    def tell(self, *shapes: Shape) -> Told | None:
        """The call, for one map or, with a sum, two."""
        call = Call.from_buffer_copy(self._call)  # several threads may run this
        call.height, call.width = max(shapes[0].height, 1), max(shapes[0].width, 1)
        reach = 2 * call.padding - call.dilation * (call.size - 1) - 1
        call.out_height = (call.height + reach) // call.stride_y + 1
        call.out_width = (call.width + reach) // call.stride_x + 1
        return Told(call, other=None if self.joined is None else 1)

    def __call__(self, *inputs: Tensor, out: Slot | None = None) -> Tensor:
        """Convolve, activate, add."""
        maps = [lay_out(other, self.place.dtype) for other in inputs[1:]]
        picture = self._call.kind == PICTURE
        x = lay_out_picture(inputs[0]) if picture else lay_out(inputs[0], self.place.dtype)
        maps.insert(0, x)
        told = self.tell(*(Shape(*x.shape[1:]) for x, _ in maps))
        library = find_library(self.place.dtype)
        if told is None or library is None:
            raise RuntimeError("there are no kernels")
        call, batch = told.call, len(inputs[0])
        if out is None:
            shape = Shape(call.filters, call.out_height, call.out_width)
            y, call.y_pitch = new_map(batch, shape, self.place.dtype), call.filters
        else:
            y, call.y_pitch = out.take(batch, call.out_height, call.out_width), out.channels
        call.x, call.x_pitch = maps[0][0].data_ptr(), maps[0][1]
        if self.joined is not None:
            call.other, call.other_pitch = maps[1][0].data_ptr(), maps[1][1]
        call.y, call.batch, call.threads = y.data_ptr(), batch, torch.get_num_threads()
        library.run(ctypes.byref(call), 1)
        return y
