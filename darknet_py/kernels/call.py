"""What a kernel is told: the structure of kernels/convolution.h."""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_long, c_void_p
from dataclasses import dataclass

DENSE, WINOGRAD, DEPTHWISE, PICTURE, WINDOWS = range(5)
MAXIMUM, AVERAGE, REPEAT, ADD, MULTIPLY, COPY, SQUASH, SOFTMAX = range(5, 13)
"""The kinds of kernels."""

WIDEST = 32
"""Biases, and other numbers of channels, come in a multiple of this many (kernels/vector.h)."""


class Call(ctypes.Structure):
    """One layer's call."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "other", "y")),
        *((name, c_long) for name in ("x_pitch", "other_pitch", "y_pitch")),
        *((name, c_void_p) for name in ("weights", "expanded", "biases")),
        *((name, c_int) for name in ("kind", "half", "batch", "channels", "height", "width")),
        *((name, c_int) for name in ("filters", "out_height", "out_width", "size")),
        *((name, c_int) for name in ("stride_y", "stride_x", "padding", "dilation")),
        *((name, c_int) for name in ("first", "last", "threads", "joined")),
        ("factors", c_void_p),
    )


@dataclass(frozen=True)
class Told:
    """A call but for its maps' places, the batch and the threads."""

    call: Call
    x: int = 0
    """Which of the operation's inputs is the first map."""
    other: int | None = None
    """Which is the other."""
    start: int = 0
    """The first map's channel that is read first."""
