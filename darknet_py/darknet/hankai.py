"""`darknet.py` as hank-ai's Darknet has it: `from darknet_py.darknet import hankai as darknet`.

Everything is that of `darknet_py.darknet`, but what differs there: `load_network` gives the
network alone, and a class has the same colour every time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from darknet_py import image as images
from darknet_py.darknet import *  # noqa: F403
from darknet_py.darknet.networks import LoadedNetwork, Name, load_net_custom
from darknet_py.darknet.structures import IMAGE, float_array
from darknet_py.dialect import Dialect


def load_network(  # type: ignore[no-redef]
    config_file: Name,
    data_file: Name | None,
    weights: Name,
    batch_size: int = 1,
    *,
    dialect: str | Dialect | None = "alexeyab",
) -> LoadedNetwork:
    """The network alone; `data_file` is not read."""
    return load_net_custom(config_file, weights, 0, batch_size, dialect=dialect)


def load_image(  # type: ignore[no-redef]
    filename: str | bytes | os.PathLike[str], w: int = 0, h: int = 0, c: int = 3
) -> IMAGE:
    """The picture in a file with `c` channels, resized if `w` and `h` are given."""
    pixels = images.to_float(images.load_image(os.fsdecode(filename), c or 3))
    if w and h:
        pixels = images.resize(pixels, w, h)
    height, width, channels = pixels.shape
    return IMAGE(width, height, channels, float_array(images.to_planar(pixels)))


def class_colors(  # type: ignore[no-redef]
    names: Iterable[str],
) -> dict[str, tuple[int, int, int]]:
    """A colour for each name, from its MD5."""
    digests = {name: hashlib.md5(name.encode(), usedforsecurity=False).digest() for name in names}
    return {name: (d[0], d[1], d[2]) for name, d in digests.items()}


class_colours = class_colors
