"""Arrays filled straight from a file, without a copy on the way."""

from __future__ import annotations

import sys
from io import FileIO
from typing import Any, cast

import torch
from torch import Tensor


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
