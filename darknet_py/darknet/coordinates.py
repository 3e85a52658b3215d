"""Boxes `(x, y, w, h)`, by their centre and sides, in other coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Bbox = tuple[float, float, float, float]


def bbox2points(bbox: Sequence[float]) -> tuple[int, int, int, int]:
    """A box's left, top, right and bottom, rounded: xmin, ymin, xmax, ymax."""
    x, y, w, h = bbox
    return round(x - w / 2), round(y - h / 2), round(x + w / 2), round(y + h / 2)


def convert2relative(*arguments: Any) -> Bbox:
    """A box in pixels as parts of the picture's width and height.

    Called as `darknet_images.py` does, `(image, bbox)`, or as `darknet_video.py`,
    `(bbox, height, width)`.
    """
    if len(arguments) == 2:
        image, bbox = arguments
        height, width = image.shape[:2]
    else:
        bbox, height, width = arguments
    x, y, w, h = bbox
    return x / width, y / height, w / width, h / height


def convert2original(
    image: np.ndarray, bbox: Sequence[float], preproc_h: int, preproc_w: int
) -> tuple[int, int, int, int]:
    """A box in pixels of `image`, of one in pixels of the `preproc_w` x `preproc_h` input."""
    x, y, w, h = convert2relative(bbox, preproc_h, preproc_w)
    height, width = image.shape[:2]
    return int(x * width), int(y * height), int(w * width), int(h * height)


def convert4cropping(
    image: np.ndarray, bbox: Sequence[float], preproc_h: int, preproc_w: int
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels of `image`, inside of it; see `convert2original`."""
    x, y, w, h = convert2relative(bbox, preproc_h, preproc_w)
    height, width = image.shape[:2]
    return (
        max(int((x - w / 2) * width), 0),
        max(int((y - h / 2) * height), 0),
        min(int((x + w / 2) * width), width - 1),
        min(int((y + h / 2) * height), height - 1),
    )
