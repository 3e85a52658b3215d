"""The pictures that detectors and classifiers take: files, or arrays of pixels."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import numpy as np

from darknet_py import image as images
from darknet_py.errors import ImageError
from darknet_py.image import load_image
from darknet_py.shape import Shape

Fit: TypeAlias = Literal["letterbox", "crop", "resize_min", "squash"]
"""How a picture becomes the network's input; docs/images.md."""

Picture: TypeAlias = str | os.PathLike[str] | np.ndarray
"""A file, or a uint8 array `(height, width, channels)`, RGB; grey also without the last axis."""
BATCH = 16
"""How many pictures run at once."""


def read_picture(picture: Picture, channels: int) -> np.ndarray:
    """A picture's pixels, uint8 `(height, width, channels)`.

    Raises:
        ImageError: it cannot be read, or is an array of another kind.
    """
    if not isinstance(picture, np.ndarray):
        return load_image(picture, channels)
    if picture.ndim == 2 and channels == 1:
        picture = picture[:, :, None]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != channels:
        raise ImageError(
            f"a picture must be a uint8 array (height, width, {channels}), "
            f"got {picture.dtype} {picture.shape}"
        )
    if not picture.size:
        raise ImageError(f"a picture must have pixels, got shape {picture.shape}")
    return picture


def fit_picture(picture: Picture, shape: Shape, fit: Fit) -> np.ndarray:
    """A picture as the input of a network of that `shape`, float32 `(1, channels, h, w)`.

    Raises:
        ImageError: it cannot be read, or has not the network's channels.
    """
    pixels = read_picture(picture, shape.channels)  # bytes become floats while they are resized
    if fit == "letterbox":
        pixels = images.letterbox(pixels, shape.width, shape.height)
    elif fit == "squash":
        pixels = images.resize(pixels, shape.width, shape.height)
    else:
        pixels = images.resize_min(pixels, shape.width)
        if fit == "crop":
            pixels = images.crop_middle(pixels, shape.width, shape.height)
    return images.to_planar(pixels)
