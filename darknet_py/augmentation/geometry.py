"""Windows of pictures, resized: C's crop, place and rotate, each as one warp."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

Colour = tuple[float, float, float, float]


@contextmanager
def use_one_thread() -> Iterator[None]:
    """OpenCV works in the calling thread alone: loaders have threads or processes of their own."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def mean_colour(image: np.ndarray) -> Colour:
    """The mean of each channel."""
    red, green, blue, alpha = cv2.mean(image)
    return red, green, blue, alpha


def cut(
    image: np.ndarray,
    window: tuple[int, int, int, int],
    width: int,
    height: int,
    outside: Colour,
) -> np.ndarray:
    """The window (left, top, width, height) of a uint8 picture, resized by OpenCV.

    What lies outside of the picture has one colour. C:
    AlexeyAB's image_opencv.cpp:image_data_augmentation.
    """
    left, top, wide, high = window
    rows, columns = image.shape[:2]
    inner = image[max(top, 0) : max(top + high, 0), max(left, 0) : max(left + wide, 0)]
    if not inner.size:
        return np.full(
            (height, width, image.shape[2]), np.rint(outside[: image.shape[2]]), np.uint8
        )
    if inner.shape[:2] != (high, wide):
        inner = cv2.copyMakeBorder(
            inner,
            max(-top, 0),
            max(top + high - rows, 0),
            max(-left, 0),
            max(left + wide - columns, 0),
            cv2.BORDER_CONSTANT,
            value=outside,
        )
    return whole_shape(cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR))


def crop_and_resize(
    image: np.ndarray, window: tuple[int, int, int, int], width: int, height: int
) -> np.ndarray:
    """The window (left, top, width, height) resized with aligned corners; edge pixels repeat.

    uint8 in, float32 from 0 to 1 out. C: image.c:crop_image, then resize_image.
    """
    left, top, wide, high = window
    along, down = (wide - 1) / max(width - 1, 1), (high - 1) / max(height - 1, 1)
    matrix = np.array([[along, 0, left], [0, down, top]])
    return _warp(image, matrix, width, height, cv2.BORDER_REPLICATE)


def place(
    image: np.ndarray, canvas: np.ndarray, left: int, top: int, width: int, height: int
) -> None:
    """Put a uint8 picture, resized, on a float32 canvas. C: pjreddie's image.c:place_image."""
    if width < 1 or height < 1:
        return
    along, down = image.shape[1] / width, image.shape[0] / height
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + width, canvas.shape[1]), min(top + height, canvas.shape[0])
    matrix = np.array([[along, 0, (x - left) * along], [0, down, (y - top) * down]])
    canvas[y:bottom, x:right] = _warp(image, matrix, right - x, bottom - y, cv2.BORDER_CONSTANT)


def rotate_and_crop(
    image: np.ndarray,
    angle: float,
    scale: float,
    width: int,
    height: int,
    dx: float,
    dy: float,
    aspect: float,
) -> np.ndarray:
    """A turned, scaled and moved window: float32, black outside. C: image.c:rotate_crop_image.

    `angle` is in radians; uint8 in gives 0 to 1, float32 stays in its range.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    along = aspect / scale
    start_x, start_y = (dx - width / 2.0) * along, (dy - height / 2.0) / scale
    rows, columns = image.shape[:2]
    matrix = np.array(
        [
            [cosine * along, -sine / scale, cosine * start_x - sine * start_y + columns / 2.0],
            [sine * along, cosine / scale, sine * start_x + cosine * start_y + rows / 2.0],
        ]
    )
    return _warp(image, matrix, width, height, cv2.BORDER_CONSTANT)


def _warp(
    image: np.ndarray, matrix: np.ndarray, width: int, height: int, border: int
) -> np.ndarray:
    """Bilinear values at `matrix (column, row, 1)` of the picture, float32."""
    if image.dtype == np.uint8:
        image = image * np.float32(1 / 255)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return whole_shape(
        cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
    )


def whole_shape(image: np.ndarray) -> np.ndarray:
    """With the axis of channels that OpenCV drops where it is 1."""
    return image if image.ndim == 3 else image[:, :, None]


def blur(image: np.ndarray, side: int) -> np.ndarray:
    """Gaussian blur with a kernel of `side` x `side`, odd."""
    return whole_shape(cv2.GaussianBlur(image, (side, side), 0))


def flip(image: np.ndarray) -> np.ndarray:
    """Mirrored, left to right."""
    return whole_shape(cv2.flip(image, 1))


def to_input(image: np.ndarray, out: np.ndarray) -> None:
    """A picture (height, width, channels), uint8 or float32 0 to 1, into `out` (c, h, w)."""
    planes = cv2.split(image)
    for plane, target in zip(planes, out, strict=True):
        if image.dtype == np.uint8:
            np.divide(plane, np.float32(255), out=target)
        else:
            target[...] = plane
