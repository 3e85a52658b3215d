"""Pictures under the names of C's functions: make, load, fill, resize, draw on."""

from __future__ import annotations

import ctypes as ct
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from darknet_py import image as images
from darknet_py.darknet.coordinates import bbox2points
from darknet_py.darknet.structures import IMAGE, float_array
from darknet_py.draw import draw_captioned_box
from darknet_py.errors import DarknetError


def make_image(w: int, h: int, c: int) -> IMAGE:
    """A black picture."""
    return IMAGE(w, h, c, (ct.c_float * (w * h * c))())


def load_image(filename: str | bytes | os.PathLike[str], w: int = 0, h: int = 0) -> IMAGE:
    """The picture in a file, RGB, resized if `w` and `h` are given (C: load_image_color).

    Raises:
        ImageError: it cannot be read. C gives a black one of 10 x 10 pixels.
    """
    pixels = images.to_float(images.load_image(os.fsdecode(filename)))
    if w and h:
        pixels = images.resize(pixels, w, h)
    return _from_pixels(pixels)


def copy_image_from_bytes(im: IMAGE, data: Any) -> None:
    """Fill a picture from bytes as OpenCV keeps them: `(h, w, c)`, 0 to 255.

    Raises:
        DarknetError: there are too few bytes.
    """
    count = im.h * im.w * im.c
    values = np.frombuffer(data, np.uint8)
    if values.size < count:
        raise DarknetError(f"an image of {im.w} x {im.h} x {im.c} needs {count} bytes, "
                           f"got {values.size}")  # fmt: skip
    im.pixels()[:] = images.to_float(values[:count].reshape(im.h, im.w, im.c)).transpose(2, 0, 1)


def resize_image(im: IMAGE, w: int, h: int) -> IMAGE:
    """A picture stretched to `w` x `h`."""
    return _fit(im, w, h, images.resize)


def letterbox_image(im: IMAGE, w: int, h: int) -> IMAGE:
    """A picture fitted into `w` x `h` with its aspect ratio kept, on grey."""
    return _fit(im, w, h, images.letterbox)


def rgbgr_image(im: IMAGE) -> None:
    """Swap red and blue."""
    pixels = im.pixels()
    pixels[[0, 2]] = pixels[[2, 0]]


def free_image(im: IMAGE) -> None:
    """Let go of the values."""
    im.data = None


def _fit(im: IMAGE, w: int, h: int, fit: Callable[[np.ndarray, int, int], np.ndarray]) -> IMAGE:
    return _from_pixels(fit(np.ascontiguousarray(im.pixels().transpose(1, 2, 0)), w, h))


def _from_pixels(pixels: np.ndarray) -> IMAGE:
    height, width, channels = pixels.shape
    return IMAGE(width, height, channels, float_array(images.to_planar(pixels)))


def class_colors(names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """A random colour for each name; `random.seed` makes them the same every time."""
    return {name: (_shade(), _shade(), _shade()) for name in names}


def _shade() -> int:
    return random.randint(0, 255)


def draw_boxes(
    detections: Iterable[tuple[str, Any, Sequence[float]]],
    image: np.ndarray,
    colors: Mapping[str, Sequence[int]],
) -> np.ndarray:
    """Draw `(name, confidence, (x, y, w, h))` into a uint8 picture, and give it back."""
    for name, confidence, bbox in detections:
        caption = f"{name} [{float(confidence):.2f}]"
        draw_captioned_box(image, bbox2points(bbox), colors[name], caption)
    return image
