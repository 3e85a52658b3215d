"""Pictures: read, resize, letterbox, crop and write them, with C's arithmetic.

A picture is an array `(height, width, channels)`, RGB: uint8 as a file holds it, or float32 from
0 to 1 as networks take it. `to_planar` turns the latter into a network's input.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

import cv2
import numpy as np

from darknet_py.errors import DarknetWarning, ImageError
from darknet_py.resampling import stretch

_EVERY_COLOUR = [
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    cv2.IMWRITE_JPEG_QUALITY,
]
"""A JPEG keeps each pixel's own colour, as stb_image_write, which C has, writes it."""


def load_image(path: str | os.PathLike[str], channels: int = 3) -> np.ndarray:
    """The picture in a file, uint8 `(height, width, channels)`, RGB.

    It is decoded as by OpenCV's imread, which the C program uses: turned as its EXIF tag says,
    16 bits cut down to 8, without alpha. `channels` is 3, or 1 for grey.

    Raises:
        ImageError: the file cannot be read, or is no picture.
    """
    name = os.fspath(path)
    if channels not in (1, 3):
        raise ImageError(f"{name}: pictures are read with 1 or 3 channels, not {channels}")
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be opened: {reason}") from None
    if not data:
        raise ImageError(f"{name}: is empty")
    flag = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        if image is None and data.startswith(b"\xff\xd8"):  # a JPEG; imread, too, ends it itself
            image = cv2.imdecode(np.frombuffer(data + b"\xff\xd9", np.uint8), flag)
            if image is not None:
                warnings.warn(f"{name}: ends too early, a part is missing", DarknetWarning, 2)
    except cv2.error as error:
        raise ImageError(f"{name}: cannot be decoded: {error.err}") from None
    if image is None:
        raise ImageError(f"{name}: is no picture, or a broken one (PNG, JPEG, BMP, … are read)")
    if channels == 1:
        return np.asarray(image).reshape(*image.shape[:2], 1)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def to_float(image: np.ndarray) -> np.ndarray:
    """uint8 from 0 to 255 as float32 from 0 to 1."""
    return np.asarray(np.divide(image, np.float32(255), dtype=np.float32))


def to_bytes(image: np.ndarray) -> np.ndarray:
    """float32 from 0 to 1 as uint8: cut off, not rounded (C: image.c:save_image_options)."""
    return np.asarray(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)


def to_planar(image: np.ndarray) -> np.ndarray:
    """`(height, width, channels)` as a network's input `(1, channels, height, width)`."""
    height, width, channels = image.shape
    out = np.empty((1, channels, height, width), image.dtype)
    if image.size and 2 <= channels <= 4 and image.dtype in (np.float32, np.uint8):
        cv2.split(image, list(out[0]))  # twice as fast as numpy
    else:
        out[0] = image.transpose(2, 0, 1)
    return out


def interleave(planes: np.ndarray, out: np.ndarray) -> None:
    """Fill `out`, `(height, width, channels)`, with a network's input `(channels, height, width)`.

    Both are float32, of 2 to 4 channels, and not empty: PyTorch takes four times as long.
    """
    cv2.merge(list(planes), out)


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture stretched to `width` x `height`: bilinear between aligned corners, float32.

    There is no antialiasing. A uint8 picture comes out as `to_float` of it would, and sooner.
    C: image.c:resize_image.

    Raises:
        ImageError: a side is not positive.
    """
    old_height, old_width, channels = image.shape
    if min(width, height) < 1:
        raise ImageError(f"a picture cannot be resized to {width} x {height} pixels")
    if (old_width, old_height) == (width, height):
        return to_float(image) if image.dtype == np.uint8 else image.copy()
    if image.dtype != np.uint8:
        image = image.astype(np.float32, copy=False)
    out = np.empty((height, width, channels), np.float32)
    stretch(image, out)
    return out


def resize_bytes(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A uint8 picture stretched to `width` x `height` by OpenCV (cv2.resize, INTER_LINEAR)."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def letterbox_size(shape: tuple[int, ...], width: int, height: int) -> tuple[int, int]:
    """Width and height that a picture of `shape` gets inside a letterbox of `width` x `height`.

    C: image.c:letterbox_image.
    """
    old_height, old_width = shape[:2]
    if np.float32(width) / np.float32(old_width) < np.float32(height) / np.float32(old_height):
        return width, old_height * width // old_width
    return old_width * height // old_height, height


def letterbox(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture resized with its aspect ratio kept, centred on grey, float32.

    C: image.c:letterbox_image.
    """
    new_width, new_height = letterbox_size(image.shape, width, height)
    inner = resize(image, max(new_width, 1), max(new_height, 1))
    if inner.shape[:2] == (height, width):
        return inner
    left, top = (width - new_width) // 2, (height - new_height) // 2
    boxed = np.full((height, width, image.shape[2]), 0.5, np.float32)
    boxed[top : top + new_height, left : left + new_width] = inner
    return boxed


def resize_min(image: np.ndarray, side: int) -> np.ndarray:
    """A picture whose shorter side becomes `side`. C: image.c:resize_min."""
    height, width = image.shape[:2]
    if width < height:
        return resize(image, side, height * side // width)
    return resize(image, width * side // height, side)


def resize_max(image: np.ndarray, side: int) -> np.ndarray:
    """A picture whose longer side becomes `side`. C: image.c:resize_max."""
    height, width = image.shape[:2]
    if width > height:
        return resize(image, side, max(height * side // width, 1))
    return resize(image, max(width * side // height, 1), side)


def crop(image: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A window of a picture; outside of it the edge pixels repeat. C: image.c:crop_image."""
    rows = np.clip(np.arange(top, top + height), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, image.shape[1] - 1)
    return image[rows[:, None], columns]


def crop_middle(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The middle `width` x `height` pixels, or more than there are.

    C: AlexeyAB's classifier.c:predict_classifier.
    """
    # int(a / 2) cuts towards 0, as C's division does; // would not
    left, top = int((image.shape[1] - width) / 2), int((image.shape[0] - height) / 2)
    return crop(image, left, top, width, height)


def center_crop(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The largest square in the middle, resized. C: image.c:center_crop_image."""
    side = min(image.shape[:2])
    left, top = (image.shape[1] - side) // 2, (image.shape[0] - side) // 2
    return resize(crop(image, left, top, side, side), width, height)


def to_jpeg(image: np.ndarray, quality: int = 80) -> bytes:
    """A uint8 RGB picture as a JPEG file holds it."""
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [*_EVERY_COLOUR, quality])
    return data.tobytes()


def save_image(image: np.ndarray, path: str | os.PathLike[str], quality: int = 80) -> None:
    """Write a uint8 picture in the format that the name's ending says, whole or not at all.

    `quality` is JPEG's, from 1 to 100 (C: image.c:save_image, 80).

    Raises:
        ImageError: the ending is unknown, or the file cannot be written.
    """
    path = Path(path)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    try:
        is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        done, data = cv2.imencode(path.suffix, pixels, is_jpeg * [*_EVERY_COLOUR, quality])
    except cv2.error:
        done = False
    if not done:  # .pgm of colours, for one
        raise ImageError(f"{path}: the name must end in .jpg, .png or .bmp")
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data.tobytes())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from None
