"""The memory of large arrays: taken, filled straight from a file, given up."""

from __future__ import annotations

import math
import mmap
import sys
from io import FileIO
from typing import Any, cast

import torch
from torch import Tensor

LARGE = 1 << 20
"""Bytes from which on an array gets pages of its own: the system has them back once it is freed.

The C library's allocator keeps what it was given back where something behind it is in use.
"""


def take_memory(like: Tensor, device: Any) -> Tensor:
    """An array of that shape and type, without values."""
    count, kind = math.prod(like.shape), like.dtype
    if count * kind.itemsize < LARGE or torch.device(device).type != "cpu":
        return torch.empty(like.shape, dtype=kind, device=device)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if sys.platform != "win32" else {}
    pages = mmap.mmap(-1, count * kind.itemsize, **private)
    return torch.frombuffer(pages, dtype=kind, count=count).view(like.shape)


def give_up(array: Tensor) -> None:
    """Free the memory of `array`, whose values are wanted no more: each is no number now."""
    array.data = torch.full((), math.nan, dtype=array.dtype, device=array.device).expand(
        array.shape
    )


def is_given_up(array: Tensor) -> bool:
    """Whether `give_up` took the values, also of what this is a copy of, and none came after."""
    first = array[(0,) * array.dim()]
    return bool(first.isnan()) and bool(array.isnan().all())


def read_into(tensor: Tensor, file: FileIO, start: int) -> bool:
    """Read little-endian float32 from `start` on into the memory of `tensor`.

    Returns:
        Whether it was done: not of a tensor that lies elsewhere or otherwise, nor from a file
        that ends before.
    """
    plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32
    if not plain or not tensor.is_contiguous() or sys.byteorder != "little":
        return False
    room = memoryview(cast("Any", tensor.detach().numpy().reshape(-1))).cast("B")
    file.seek(start)
    while room:
        count = file.readinto(room)
        if not count:
            return False
        room = room[count:]
    return True
