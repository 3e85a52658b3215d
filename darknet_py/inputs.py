"""What Detector and Classifier take: pictures, names, a device."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
import torch

from darknet_py.errors import DarknetError, ImageError
from darknet_py.image import load_image

Picture: TypeAlias = str | os.PathLike[str] | np.ndarray
"""A file, or an array `(height, width, channels)`, uint8, RGB."""
BATCH = 16
"""How many pictures run at once."""


def read_picture(picture: Picture, channels: int) -> np.ndarray:
    """A picture's pixels, uint8 `(height, width, channels)`.

    Raises:
        ImageError: it cannot be read, or is an array of another kind.
    """
    if not isinstance(picture, np.ndarray):
        return load_image(picture, channels)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != channels:
        raise ImageError(
            f"a picture must be a uint8 array (height, width, {channels}), "
            f"got {picture.dtype} {picture.shape}"
        )
    if not picture.size:
        raise ImageError(f"a picture must have pixels, got shape {picture.shape}")
    return picture


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; None: the GPU, if PyTorch finds one.

    Raises:
        DarknetError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise DarknetError(f"no device {device!s}: {str(error).splitlines()[0]}") from None
    return found
