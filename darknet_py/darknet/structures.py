"""C's structures as Python classes, with the attribute names that scripts use."""

from __future__ import annotations

import ctypes as ct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from darknet_py.errors import DarknetError

FloatPtr = ct.POINTER(ct.c_float)
IntPtr = ct.POINTER(ct.c_int)


@dataclass
class BOX:
    """A box by its centre and sides (C: box)."""

    x: float = 0.0
    y: float = 0.0
    w: float = 0.0
    h: float = 0.0


@dataclass
class DETECTION:
    """One box and its score for every class (C: detection).

    `prob` is a ctypes array, as `mask`, `uc` and `embeddings` are in C; these stay None here.
    """

    bbox: BOX = field(default_factory=BOX)
    classes: int = 0
    best_class_idx: int = -1
    prob: Any = None
    mask: Any = None
    objectness: float = 0.0
    sort_class: int = 0
    uc: Any = None
    points: int = 0
    embeddings: Any = None
    embedding_size: int = 0
    sim: float = 0.0
    track_id: int = 0


@dataclass
class DETNUMPAIR:
    """The boxes of one image of a batch, and how many there are (C: det_num_pair)."""

    num: int = 0
    dets: list[DETECTION] = field(default_factory=list)


@dataclass
class IMAGE:
    """A picture (C: image): `data` holds float32 from 0 to 1, channel by channel, row by row.

    `data` may be a ctypes array, a `POINTER(c_float)` or a numpy array.
    """

    w: int = 0
    h: int = 0
    c: int = 0
    data: Any = None

    def pixels(self) -> np.ndarray:
        """The values `(c, h, w)`, where they lie.

        Raises:
            DarknetError: there are none, or too few.
        """
        return read_floats(self.data, self.c * self.h * self.w).reshape(self.c, self.h, self.w)


@dataclass
class METADATA:
    """How many classes there are, and their names, as bytes (C: metadata)."""

    classes: int = 0
    names: list[bytes] = field(default_factory=list)


def read_floats(source: Any, count: int) -> np.ndarray:
    """The first `count` float32 values of a ctypes array or pointer, an array or a list.

    Ctypes memory and float32 arrays are not copied.

    Raises:
        DarknetError: there are fewer.
    """
    is_pointer = hasattr(source, "contents")
    if source is None or (is_pointer and not source):
        raise DarknetError(f"{count} values are needed, got none: the image was freed")
    if is_pointer:  # its length is not known, as in C
        source = (ct.c_float * count).from_address(ct.addressof(source.contents))
    if isinstance(source, ct.Array):
        values: np.ndarray = np.frombuffer(memoryview(source).cast("B"), np.float32)
    else:
        values = np.asarray(source, np.float32).reshape(-1)
    if values.size < count:
        raise DarknetError(f"{count} values are needed, got {values.size}")
    return values[:count]


def float_array(values: np.ndarray) -> ct.Array[ct.c_float]:
    """A ctypes array over contiguous float32 values: an index gives a Python float, as in C."""
    flat = np.require(values, np.float32, ["C", "W"]).reshape(-1)
    return (ct.c_float * flat.size).from_buffer(flat.data)


def c_array(ctype: type[Any], values: Iterable[Any]) -> Any:
    """A ctypes array of `values`."""
    items = list(values)
    return (ctype * len(items))(*items)
