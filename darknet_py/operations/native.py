"""Operations by the kernels of our own (kernels/), where a C++ compiler could make them."""

from __future__ import annotations

import ctypes
from ctypes import c_long, c_void_p
from functools import lru_cache

import torch
from torch import Tensor

from darknet_py import kernels
from darknet_py.kernels.call import Call
from darknet_py.shape import Shape


@lru_cache
def find_library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernels, if there are any for this type."""
    found = kernels.library()
    if found is None or dtype not in (torch.float32, torch.bfloat16):
        return None
    if dtype == torch.bfloat16 and not found.has_half():
        return None
    found.pack.restype = found.expand.restype = c_long
    found.run.argtypes = (c_void_p, c_long)
    return found


def find_pitch(x: Tensor) -> int | None:
    """The values from pixel to pixel of maps whose channels are last; None: they lie otherwise.

    Args:
        x: `(batch, c, h, w)`, perhaps some channels of larger maps.
    """
    batch, channels, height, width = x.shape
    along_batch, along, down, across = x.stride()
    if along != 1 and channels > 1:
        return None
    if width > 1:
        pitch = across
    elif height > 1:
        pitch = down
    else:
        pitch = along_batch if batch > 1 else channels
    rows = height > 1 and down != width * pitch
    if rows or (batch > 1 and along_batch != height * width * pitch):
        return None
    return pitch


def lay_out(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, int]:
    """A map as kernels read it, `(batch, c, h, w)`, and its pitch."""
    x = x.to(dtype)
    if x.dim() != 4:
        x = x[:, :, None, None]
    pitch = find_pitch(x)
    if pitch is None:
        x = x.contiguous(memory_format=torch.channels_last)
        pitch = x.shape[1]
    return x, pitch


def lay_out_picture(x: Tensor) -> tuple[Tensor, int]:
    """The same for a kernel that also reads planes in C's order: their pitch is 1."""
    x = x.to(torch.float32)
    return (x, 1) if x.is_contiguous() else lay_out(x, torch.float32)


def new_map(batch: int, shape: Shape, dtype: torch.dtype) -> Tensor:
    """Room for a map with its channels last."""
    size = (batch, shape.channels, max(shape.height, 1), max(shape.width, 1))
    return torch.empty(size, dtype=dtype, memory_format=torch.channels_last)


def pack(call: Call, source: Tensor, dtype: torch.dtype, *, expanded: bool = False) -> Tensor:
    """Weights as a kernel wants them (kernels/kernels.cpp: pack, expand)."""
    library = find_library(torch.bfloat16 if call.half else torch.float32)
    if library is None:
        raise RuntimeError("there are no kernels")
    function, told = library.expand if expanded else library.pack, ctypes.byref(call)
    packed = torch.empty(function(told, None, None), dtype=dtype)
    function(told, c_void_p(source.data_ptr()), c_void_p(packed.data_ptr()))
    return packed
