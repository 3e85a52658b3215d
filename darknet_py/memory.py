"""How much memory a network needs, and how much it may."""

from __future__ import annotations

import os
from collections.abc import Sequence

from darknet_py.errors import DarknetError
from darknet_py.layers import Layer, Shape

MEMORY_LIMIT = 4 * 2**30
"""Bytes that arrays and live outputs may need, unless DARKNET_PY_MEMORY_LIMIT (GiB) says else."""


def find_last_readers(layers: Sequence[Layer]) -> dict[int, int]:
    """For each layer that is read (-1: the image), the last layer that reads it."""
    return {source: index for index, layer in enumerate(layers) for source in layer.sources}


def find_peak(layers: Sequence[Layer], image: Shape) -> int:
    """The most values that are alive at once while one image runs."""
    last_reader, alive, now, peak = find_last_readers(layers), {-1: image.size}, 0, 0
    for index, layer in enumerate(layers):
        alive[index] = layer.out_shape.size
        now = sum(alive.values()) + layer.work
        peak = max(peak, now)
        for source in {index, *layer.sources}:
            if last_reader.get(source, -1) <= index:
                alive.pop(source, None)
    return peak


def find_memory_limit() -> int:
    """`DARKNET_PY_MEMORY_LIMIT` in bytes, else `MEMORY_LIMIT`.

    Raises:
        DarknetError: it is no number.
    """
    text = os.environ.get("DARKNET_PY_MEMORY_LIMIT")
    if not text:
        return MEMORY_LIMIT
    try:
        return int(float(text) * 2**30)
    except (OverflowError, ValueError):
        message = f"DARKNET_PY_MEMORY_LIMIT must be a number of GiB, got {text!r}"
        raise DarknetError(message) from None
